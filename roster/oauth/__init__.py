"""The HTTP side of the OAuth 2.0 authorization server."""
