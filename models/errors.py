"""The errors of the rules in the models; their sentences never contain a rejected value."""

from collections.abc import Sequence


class DomainError(Exception):
    """A rule was broken.

    `detail` is a sentence for the caller. `errors` are pairs of a JSON pointer (RFC 6901)
    into the request's body and a sentence about the value there. With `consequence`, the
    transaction is committed although the error was raised.
    """

    consequence = False

    def __init__(self, detail: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)


class NotFound(DomainError):
    """There is no such object, or it was deleted."""


class Forbidden(DomainError):
    """The caller may not do this."""


class PasswordRequired(Forbidden):
    """The caller's own password is missing or wrong."""


class Conflict(DomainError):
    """The request conflicts with the current state of the data."""


class PreconditionFailed(DomainError):
    """The object is not the one on which the request is based."""


class Unprocessable(DomainError):
    """A value is well formed, but a rule forbids it."""


class TooManyAttempts(DomainError):
    """There were too many attempts, most of them failed ones; `retry_after` is in seconds."""

    def __init__(
        self,
        retry_after: int,
        detail: str = "There were too many failed attempts. Try again later.",
    ) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class NotReady(DomainError):
    """The database does not have what this version of the server needs."""


class OAuthError(DomainError):
    """An OAuth request was refused, with an error of RFC 6749 section 5.2."""

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        consequence: bool = False,
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.consequence = consequence
