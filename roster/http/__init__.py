"""HTTP requests and responses: the request context, errors, media types, and bodies."""
