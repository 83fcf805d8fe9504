"""The storage that oauthlib asks for: all of its hooks, answered from the database."""

from models.oauth.code_hooks import CodeHooks
from models.oauth.token_hooks import TokenHooks


class TokenStore(CodeHooks, TokenHooks):
    """The storage behind the OAuth endpoints, for one request."""
