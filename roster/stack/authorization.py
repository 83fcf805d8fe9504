"""Access: decides whether a caller may carry out an operation, and again as it begins to write."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from models import User
from models import errors as domain
from models.database import connections
from models.registry import NAMED_OBJECTS
from roster.contract.operation import Operation
from roster.contract.permissions import Verdict
from roster.http.context import RequestContext
from roster.settings import Settings
from roster.stack.security import is_unchanged, question_of_rights


class OutdatedError(Exception):
    """What a request was judged by has changed since: it has to be begun anew."""


# Raises PreconditionFailed, where the object is not the one that the request is based on.
Precondition = Callable[[RequestContext, Session], None]


@dataclass(frozen=True)
class Rules:
    """What decides whether a caller may do something: permission, object, settings."""

    settings: Settings

    @cached_property
    def _of_everybody(self) -> frozenset[str]:
        return frozenset(() if self.settings.signup == "closed" else {"newcomer"})

    def roles(self, context: RequestContext) -> frozenset[str]:
        """Return the roles that the caller has wherever it goes."""
        return context.caller.roles | self._of_everybody

    def judge(
        self, context: RequestContext, operation: Operation, session: Session | None = None
    ) -> tuple[Verdict, Any]:
        """Decide whether the caller may carry out an operation, and load the path's object.

        It is loaded by the given session, else in the way that costs least.
        """
        permission = operation.permission
        roles = self.roles(context)
        if permission.object is None:
            return permission.judge(roles), None
        found = self.load(context, operation, permission.object, session)
        if found is None:
            return Verdict.ABSENT, None
        # What the caller is everywhere may suffice; what it is to the object is another question
        # to the database, and can only add rights.
        verdict = permission.judge(roles, found.own_roles)
        if verdict is not Verdict.GRANTED:
            verdict = permission.judge(roles | found.roles_of(context.caller), found.own_roles)
        return verdict, found

    def load(
        self, context: RequestContext, operation: Operation, name: str, session: Session | None
    ) -> Any:
        """Load the object that the path names, as the operation needs it."""
        ids = context.path_parameters
        kind = NAMED_OBJECTS[name]
        if operation.method == "GET" and kind.view is not None:
            return kind.view.load(context.connection, **ids)
        return kind.mapped.load(session or context.session, **ids)


@dataclass
class Admission:
    """The admission of one request to its operation.

    It is judged when it arrives, so that nobody locks or hashes anything for a request without
    rights. What it may do is decided when its write transaction begins: then the rows that say so
    are locked, and read again. Who loses a right waits for that transaction, or has ended before.
    """

    rules: Rules
    context: RequestContext
    operation: Operation
    precondition: Precondition | None = None
    _is_met: bool = field(default=False, init=False)
    _is_called: bool = field(default=False, init=False)
    _found: Any = field(default=None, init=False)

    def admit(self, steps: Sequence[Callable[[RequestContext], None]] = ()) -> Any:
        """Return the object that the path names, locked where it is about to be changed.

        The steps are carried out for a caller who may do this, while nothing is locked.

        :raises NotFound: where there is none, or the caller must not know of it.
        :raises Forbidden: where the caller may not do this.
        :raises OutdatedError: where caller or token changed in the meantime.
        """
        context, operation = self.context, self.operation
        found = self._judge()
        for step in steps:
            step(context)
        if operation.method != "GET":
            connections.check_at_begin(context.connection, self)
            # No hash is computed while a transaction is open: where one may be, it begins later.
            if found is not None and operation.hashes_where is None:
                context.session.expire_all()
                connections.begin(context.connection)
                found = self._found
        self._is_called = True
        return found

    def _judge(self, session: Session | None = None) -> Any:
        verdict, found = self.rules.judge(self.context, self.operation, session)
        if verdict is Verdict.ABSENT:
            raise domain.NotFound(f"There is no such {self.operation.permission.object}.")
        if verdict is Verdict.FORBIDDEN:
            raise domain.Forbidden("You may not do this.")
        return found

    def selects(self) -> list[connections.Question]:
        """Lock the caller's account, and those on which the object hangs.

        Where no object is to be locked after them, the caller's rights are read along.
        """
        user, name = self.context.caller.user, self.operation.permission.object
        accounts = {} if user is None else {user.id: False}
        if name is None:
            return [*User.locks(accounts), *question_of_rights(self.context)]
        with self._reader() as session:
            mapped = NAMED_OBJECTS[name].mapped
            accounts |= mapped.users_to_lock(session, **self.context.path_parameters)
        return User.locks(accounts)

    def passed(self, rows: list[Any] | None) -> None:
        """Lock the object, and judge again by what the rows say now.

        :raises NotFound: as `admit` does, and so on.
        """
        name = self.operation.permission.object
        if name is None:
            self._check_caller(rows)
            return
        with self._reader() as session:
            NAMED_OBJECTS[name].mapped.lock_named(session, **self.context.path_parameters)
            self._check_caller()
            self._found = self._judge(session)
            # Once: a handler that commits in batches changes the object itself.
            if self.precondition is not None and not self._is_met:
                self.precondition(self.context, session)
                self._is_met = True

    def finish(self) -> None:
        """Judge the precondition of a request that has written nothing.

        :raises PreconditionFailed: where it is not met.
        """
        if self.precondition is not None and not self._is_met:
            connections.begin(self.context.connection)

    def _check_caller(self, rows: list[Any] | None = None) -> None:
        # Read when all is locked: who was waited for may have ended the token.
        if not is_unchanged(self.context, rows):
            raise OutdatedError

    def _reader(self) -> AbstractContextManager[Session]:
        # What the handler has changed by now, and not yet written, must not be read over.
        if self._is_called:
            return connections.reader_on(self.context.connection)
        return nullcontext(self.context.session)
