"""Random secrets (tokens, client secrets): 256 random bits each, kept as their SHA-256."""

import hashlib
import secrets


def generate(_request: object = None) -> str:
    """Return a new secret; the request that oauthlib gives a token generator is ignored."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """Return the hash by which a secret is stored and found."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
