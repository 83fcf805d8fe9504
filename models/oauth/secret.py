"""Random secrets (tokens, client secrets) of 256 bits, stored as their SHA-256."""

import hashlib
import secrets


def generate(_request: object = None) -> str:
    """Return a new secret; oauthlib passes a request to a token generator, which is ignored."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """Return the hash of a secret, by which it is stored and found."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
