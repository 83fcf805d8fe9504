"""Audit: leaves the event that the definition names for an operation, and those of bad logins."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from models.audit.event import Act, client_named
from models.database import connections
from models.errors import DomainError
from models.registry import NAMED_OBJECTS
from roster.contract.audit import Audited
from roster.contract.operation import Operation
from roster.http.audit import begin_act
from roster.http.context import RequestContext

_LOGIN = "login.failed"
_CLIENT = "client.refused"
_USER = "user "


# Carries an operation out: for a request, and the object that its path names.
_CarryOut = Callable[[RequestContext, Any], Any]


def with_events(operation: Operation, carry_out: _CarryOut) -> _CarryOut:
    """Have an operation leave its event, and one for each login that failed, in its transaction.

    The operation's own is written when the handler is done: with what it wrote, or not at all. What
    only reads is returned as it is.
    """
    if not operation.writes:
        return carry_out
    trail = _Trail(operation, operation.audited) if operation.audited else None

    def carry_out_and_tell(context: RequestContext, found: Any) -> Any:
        act = trail.begin(context, found) if trail else None
        result = carry_out(context, found)
        if trail and act:
            trail.finish(act, context, result)
        _record_failures(context, operation)
        return result

    return carry_out_and_tell


def with_failures(
    operation: Operation, answer: Callable[[RequestContext], Any]
) -> Callable[[RequestContext], Any]:
    """Have a request that is refused leave its failed logins too, in a transaction of their own."""
    if not operation.writes:
        return answer

    def answer_and_tell(context: RequestContext) -> Any:
        try:
            return answer(context)
        except DomainError:
            if context.failed():
                context.undo()
                # What it asked for it may not do. That it tried is written for all that.
                connections.check_at_begin(context.connection, None)
                _record_failures(context, operation)
                context.commit()
            raise

    return answer_and_tell


class _Trail:
    """The audit event of one operation; what the definition says of it is read at the start."""

    def __init__(self, operation: Operation, audited: Audited) -> None:
        self._audited = audited
        self._deletes = operation.method == "DELETE"

    def begin(self, context: RequestContext, found: Any) -> Act:
        """Note what can be known before the handler has changed it."""
        audited = self._audited
        act = begin_act(context, audited.action, target_kind=audited.target)
        act.user_id = _user_concerned(context, found)
        details = dict(_changes(context.body, audited))
        if audited.in_path:
            act.target_id = str(context.path_parameters[audited.in_path])
        if self._deletes:
            # With a user its clients go, with a client its tokens: perhaps those of this request.
            if act.client is not None:
                act.client_id = client_named(context.connection, act.client)
            kind = NAMED_OBJECTS.get(audited.target)
            if kind is not None and kind.goes_with is not None:
                details |= kind.goes_with(context.session, found)
        act.details = details
        return act

    def finish(self, act: Act, context: RequestContext, result: Any) -> None:
        """Write the event of what the handler has done."""
        if self._audited.in_answer:
            made = result[self._audited.in_answer]
            act.target_id = str(made)
            if self._audited.target == "user":
                act.user_id = made
        act.write(context.connection)


def _record_failures(context: RequestContext, operation: Operation) -> None:
    """Write an event for each login of a request that failed.

    One that was refused after too many others (429) leaves none: the limits bound the events. The
    name is not told that was typed for an account that there is not: it may be a password.
    """
    for kind, account in context.failed():
        act = begin_act(context, _LOGIN, details={"operation": operation.id})
        if kind == "secret":
            act.action, act.client_id = _CLIENT, account
            act.target_kind, act.target_id = "client", account
        elif account.startswith(_USER):
            act.user_id = int(account.removeprefix(_USER))
            act.target_kind, act.target_id = "user", str(act.user_id)
        act.write(context.connection)


def _user_concerned(context: RequestContext, found: Any) -> int | None:
    """Return the user whom an act concerns: the one named, or the owner of what is named."""
    named = context.path_parameters.get("user_id", getattr(found, "user_id", None))
    if named is None and isinstance(context.body, dict):
        named = context.body.get("user_id")
    return named if isinstance(named, int) else None


def _changes(body: Any, audited: Audited) -> Iterator[tuple[str, str]]:
    """Yield which members a body changes, and the values of those that may be told."""
    if audited.is_patch:
        replaced = {
            each["path"].removeprefix("/"): each["value"]
            for each in body
            if each["op"] == "replace"
        }
        yield "changed", " ".join(sorted(replaced))
        body = replaced
    if isinstance(body, Mapping):
        for name, value in body.items():
            if isinstance(value, bool):
                yield name, str(value).lower()
            elif name in audited.tells:
                yield name, " ".join(map(str, value)) if isinstance(value, list) else str(value)
