"""The storage for oauthlib: all of its hooks in one class."""

from models.oauth.code_hooks import CodeHooks
from models.oauth.token_hooks import TokenHooks


class TokenStore(CodeHooks, TokenHooks):
    """The storage behind the OAuth endpoints, for one request."""
