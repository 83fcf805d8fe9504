"""Security: from the Authorization header to the caller, through the live tokens."""

import hmac
import re
from collections.abc import Callable
from typing import Any, cast

from connexion.security import NO_VALUE, AbstractSecurityHandler

from models import Caller
from models.database.connections import Question
from models.oauth import bearer
from roster.http.context import RequestContext, current
from roster.http.errors import HTTPError, insufficient_scope, unauthorized
from roster.settings import Settings

# RFC 6750 §2.1: the scheme (in any letter case), spaces, a token68.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*) *")
_MAX_TOKEN_LENGTH = 512


def bearer_token(header: str | None) -> str | None:
    """Read the bearer token from an Authorization header; None where there is no such header.

    :raises HTTPError: 401, where the header holds something else; without an error code where that
        is another scheme (RFC 6750 §3.1).
    """
    if header is None:
        return None
    if header.partition(" ")[0].lower() != "bearer":
        raise unauthorized()
    found = _BEARER.fullmatch(header)
    if found is None or len(found[1]) > _MAX_TOKEN_LENGTH:
        raise unauthorized("invalid_token", "The Authorization header holds no bearer token.")
    return found[1]


def identify(context: RequestContext) -> Caller | None:
    """Return the caller of the access token in the Authorization header; None without a header.

    The request is counted for it.

    :raises HTTPError: 401, where the header is malformed or the token is unknown, expired or
        revoked; 429, after too many requests.
    """
    try:
        caller = _identified(context)
    except HTTPError:
        context.usage.count(None)
        raise
    context.usage.count(caller)
    return caller


def _identified(context: RequestContext) -> Caller | None:
    token = context.token = bearer_token(context.header(b"authorization"))
    if token is None:
        return None
    caller = bearer.caller_of(context.connection, token)
    if caller is None:
        raise _ended()
    return caller


def is_unchanged(context: RequestContext, found: list[Any] | None = None) -> bool:
    """Tell whether the caller still has the rights that it had when it was identified.

    `found` is the result of `question_of_rights`, where that has been executed already.

    :raises HTTPError: 401, where its token has ended since.
    """
    if context.token is None or context.caller.grant_id is None:
        return True
    same = bearer.has_same_rights(context.connection, context.token, context.caller, found)
    if same is None:
        raise _ended()
    return same


def question_of_rights(context: RequestContext) -> list[Question]:
    """Return the select that `is_unchanged` needs; an empty list where it needs none."""
    if context.token is None or context.caller.grant_id is None:
        return []
    return [bearer.question_of_rights(context.connection, context.token)]


def _ended() -> HTTPError:
    return unauthorized("invalid_token", "The access token is unknown, expired or revoked.")


class TokenHandler(AbstractSecurityHandler):
    """Resolve the definition's OAuth 2.0 security scheme against the token store.

    Where a token is optional, connexion treats a refused one like none at all; so the error is also
    stored in the request context, and the handler wrapper raises it. A token that only lacks the
    scope counts as none there.
    """

    def get_fn(
        self,
        security_scheme: dict[str, Any],
        required_scopes: list[str],
    ) -> Callable[[Any], Any]:
        """Return the function that connexion calls with each request to an operation."""
        required = frozenset(required_scopes)

        def verify(_request: Any) -> Any:
            context = current.get()
            try:
                caller = identify(context)
            except HTTPError as refusal:
                context.refusal = refusal
                raise
            if caller is None:
                return NO_VALUE
            if not required <= caller.scopes:
                raise insufficient_scope(required)
            context.caller = caller
            return {"scope": sorted(caller.scopes)}

        return verify


def metrics_handler(settings: Settings) -> type[AbstractSecurityHandler]:
    """Make the handler of the security scheme of `/metrics`: the operator's bearer token."""

    class MetricsHandler(AbstractSecurityHandler):
        def get_fn(self, *_: Any) -> Callable[[Any], Any]:
            return verify

    def verify(_request: Any) -> Any:
        context = current.get()
        context.refusal = _judge_metrics(settings, context.header(b"authorization"))
        return cast(Any, NO_VALUE)

    return MetricsHandler


def _judge_metrics(settings: Settings, header: str | None) -> HTTPError | None:
    expected = settings.metrics_token.get_secret_value()
    if not expected:
        return None if settings.is_development else HTTPError(404, "There is nothing here.")
    scheme, _, given = (header or "").partition(" ")
    if scheme.lower() != "bearer":
        return unauthorized(realm="metrics")
    if not hmac.compare_digest(given.strip().encode(), expected.encode()):
        return unauthorized("invalid_token", "This is not the metrics token.", realm="metrics")
    return None
