"""Errors: from an exception to the answer that the definition declares for it."""

import logging
from collections.abc import Mapping, Sequence

import limits.errors
import orjson
from asgi_correlation_id import correlation_id
from connexion.exceptions import OAuthProblem
from starlette.exceptions import HTTPException

from models import errors as domain
from models.database import failures
from roster import pages
from roster.http.answers import Answer
from roster.redis_client import reason_of

PROBLEM = "application/problem+json"
OAUTH_ERROR = "application/json"
PAGE = "text/html"
REALM = "roster"

_logger = logging.getLogger(__name__)

# RFC 9110's names; those of `http.HTTPStatus` differ between versions of Python.
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_OAUTH_CODES = {
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}

_STATUS: dict[type[Exception], int] = {
    domain.NotFound: 404,
    domain.Forbidden: 403,
    domain.Conflict: 409,
    domain.PreconditionFailed: 412,
    domain.Unprocessable: 422,
    domain.TooManyAttempts: 429,
    domain.NotReady: 503,
}


class HTTPError(Exception):
    """A request that the machinery itself refuses, before or beside the rules of the models."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def unauthorized(
    error: str | None = None, detail: str = "This needs an access token.", realm: str = REALM
) -> HTTPError:
    """Make the 401 of RFC 6750 §3; without a token the challenge carries no error code (§3.1)."""
    challenge = f'Bearer realm="{realm}"'
    if error:
        challenge += f', error="{error}", error_description="{detail}"'
    return HTTPError(401, detail, headers={"WWW-Authenticate": challenge})


def insufficient_scope(scopes: frozenset[str]) -> HTTPError:
    """Make the 403 of RFC 6750 §3.1 for a token that lacks a scope."""
    scope = " ".join(sorted(scopes))
    detail = f"The token lacks a scope; this needs {scope}."
    challenge = (
        f'Bearer realm="{REALM}", error="insufficient_scope",'
        f' error_description="{detail}", scope="{scope}"'
    )
    return HTTPError(403, detail, headers={"WWW-Authenticate": challenge})


def answer(error: Exception, media_type: str = PROBLEM) -> Answer:
    """Make the answer to an error, in the media type that its path declares for errors."""
    if isinstance(error, domain.OAuthError) and media_type != PAGE:
        # RFC 6749 section 5.2: a client that could not be authenticated is told how it can be.
        challenge = {"WWW-Authenticate": f'Basic realm="{REALM}"'} if error.status == 401 else {}
        return _oauth_error(error.status, error.error, error.detail, challenge)
    status, detail, errors, headers = _describe(error)
    if media_type == OAUTH_ERROR:
        return _oauth_error(status, _OAUTH_CODES.get(status, "invalid_request"), detail, headers)
    if media_type == PAGE:
        return _page(status, detail, headers)
    return _problem(status, detail, errors, headers)


def _describe(error: Exception) -> tuple[int, str, Sequence[tuple[str, str]], dict[str, str]]:
    """Return the status, the sentence, the places and the headers of an error's answer."""
    if isinstance(error, OAuthProblem):
        error = unauthorized()
    if isinstance(error, HTTPError):
        return error.status, error.detail, error.errors, error.headers
    if isinstance(error, domain.DomainError):
        return _status_of(error), error.detail, error.errors, _headers_of(error)
    if (
        isinstance(error, HTTPException)
        and error.status_code < 500
        and error.status_code in _TITLES
    ):
        return error.status_code, f"{_TITLES[error.status_code]}.", (), {}
    if isinstance(error, limits.errors.StorageError) or failures.is_passing(error):
        # Each request fails so until it is over: one line each, of what the driver says.
        reason = reason_of(error)
        _logger.error("The database, or the store of limits, does not answer: %s", reason)
        detail = "The service cannot answer just now. Try again shortly."
        return 503, detail, (), {"Retry-After": "5"}
    if failures.is_unmigrated(error) or failures.is_forbidden(error):
        # No request goes on until an operator acts: a line is enough, which says what to do.
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        missing = "A migration" if failures.is_unmigrated(error) else "A right on a table"
        _logger.error("%s is missing in the database: %s", missing, reason)
    else:
        _logger.error("A request could not be answered.", exc_info=error)
    detail = "The server could not answer; its operator can find the reason by the request id."
    return 500, detail, (), {}


def _status_of(error: domain.DomainError) -> int:
    if isinstance(error, domain.OAuthError):
        return error.status
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def _headers_of(error: domain.DomainError) -> dict[str, str]:
    if isinstance(error, domain.TooManyAttempts):
        return {"Retry-After": str(error.retry_after)}
    return {}


def _problem(
    status: int, detail: str, errors: Sequence[tuple[str, str]], headers: Mapping[str, str]
) -> Answer:
    """Make the body of RFC 9457, which names no rejected value."""
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES[status],
        "status": status,
        "detail": detail,
        "request_id": correlation_id.get() or "",
    }
    if errors:
        problem["errors"] = [
            {"pointer": pointer, "detail": sentence} for pointer, sentence in errors
        ]
    return Answer(status, orjson.dumps(problem), (("Content-Type", PROBLEM), *headers.items()))


def _oauth_error(status: int, code: str, description: str, headers: Mapping[str, str]) -> Answer:
    """Make the body of RFC 6749 §5.2: its text is ASCII without quotes and backslashes."""
    safe = description.replace('"', "'").replace("\\", "/").encode("ascii", "replace").decode()
    body = orjson.dumps({"error": code, "error_description": safe})
    fixed = {"Content-Type": OAUTH_ERROR, "Cache-Control": "no-store", "Pragma": "no-cache"}
    return Answer(status, body, (*fixed.items(), *headers.items()))


def _page(status: int, detail: str, headers: Mapping[str, str]) -> Answer:
    body = pages.render(
        "problem", heading=_TITLES[status], detail=detail, request_id=correlation_id.get() or ""
    )
    fixed = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": pages.policy(),
    }
    return Answer(status, body.encode(), (*fixed.items(), *headers.items()))
