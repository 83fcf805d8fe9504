"""The token store of a request, with what the settings say of lifetimes, guessing and quotas."""

from models import TokenStore, User
from models.token_store import Lifetimes
from roster.exchange import Exchange
from roster.settings import Settings


def token_store(exchange: Exchange, settings: Settings, user: User | None = None) -> TokenStore:
    """Make the store; `user` is who is signed in, where a code is to be given."""
    lifetimes = Lifetimes(
        access=settings.access_token_seconds,
        refresh_idle=settings.refresh_token_idle_seconds,
        refresh_total=settings.refresh_token_total_seconds,
        code=settings.code_seconds,
    )
    return TokenStore(exchange.session, lifetimes, exchange.gate, user, settings.quotas)
