"""OAuth 2.0: clients, consents, grants, codes, tokens, and the token store of oauthlib."""
