"""The request context: what is known of the request that is being handled."""

from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from models import Caller
from models.attempt_limit import AttemptLimit, Unlimited
from models.database.connections import Connections, session_on, write_now
from roster.contract.operation import Operation
from roster.contract.routes import Route
from roster.http.usage import Uncounted, Usage

# Where an ASGI scope holds the context, for layers around the entry point.
CONTEXT = "roster.context"

_NOBODY = Caller.anonymous()
_UNLIMITED = Unlimited()
_UNCOUNTED = Uncounted()


@dataclass(eq=False)
class RequestContext:
    """One request, from the entry point to the handler.

    The entry point fills in what it read, security adds the caller, validation the parameters and
    the body. It lives in one thread at a time and ends with the answer, and so does its database
    session. `path` is the path as the definition has it, `asked_path` as the client wrote it.
    `query` holds parameters by their names, `arguments` those of headers and cookies by the names
    that handlers use. `failed` gives the kind and the account of each attempt that failed.
    `idempotent` is what is stored of a request that has an `Idempotency-Key`.
    """

    connections: Connections
    route: Route
    operation: Operation | None
    path: str
    path_parameters: dict[str, Any]
    asked_path: str = ""
    query_string: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    raw_body: bytes = b""
    client_address: str = ""
    query: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    read_body: Callable[[], Any] | None = None
    token: str | None = field(default=None, repr=False)
    caller: Caller = _NOBODY
    refusal: Exception | None = None
    attempts: AttemptLimit = _UNLIMITED
    usage: Usage = _UNCOUNTED
    failed: Callable[[], Collection[tuple[str, str]]] = tuple
    form: dict[str, str] | None = None
    idempotent: Any = None
    captcha_verdict: bool | None = None
    may_hash: bool = False
    _by_name: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    _connection: Connection | None = None
    _session: Session | None = None
    _at_end: list[Callable[[], None]] = field(default_factory=list)

    @property
    def connection(self) -> Connection:
        """The database connection of this request, taken when it is first needed."""
        if self._connection is None:
            self._connection = self.connections.take()
        return self._connection

    @property
    def session(self) -> Session:
        """The database session of this request, opened on its connection when first needed."""
        if self._session is None:
            self._session = session_on(self.connection)
        return self._session

    def flush(self) -> None:
        """Write what is held back, in the transaction that is under way."""
        if self._session is not None:
            self._session.flush()
        if self._connection is not None:
            write_now(self._connection)

    def commit(self) -> None:
        """Commit what was written."""
        # A session that has not been used knows of no transaction on its connection.
        if self._session is not None and self._session.in_transaction():
            self._session.commit()
        elif self._connection is not None and self._connection.in_transaction():
            self._connection.commit()

    def undo(self) -> None:
        """Undo what was not committed, and forget what was read."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        if self._connection is not None:
            self._connection.rollback()

    def header(self, name: bytes) -> str | None:
        """Return a header by its lower-case name; several of one name are joined, as in HTTP."""
        found = self._by_name
        if not found:
            for key, value in self.headers:
                # HTTP/2 parts cookies into several headers (RFC 9113 section 8.2.3).
                joint = b"; " if key == b"cookie" else b", "
                found[key] = found[key] + joint + value if key in found else value
        return found[name].decode("latin-1") if name in found else None

    def at_end(self, function: Callable[[], None]) -> None:
        """Have a function called when the request is answered, however that went."""
        self._at_end.append(function)

    def rewind(self) -> None:
        """Forget what a run found out that is not at its end; the next one begins anew."""
        self.query, self.body, self.caller, self.refusal = {}, None, _NOBODY, None
        self._give_back()

    def close(self) -> None:
        """Give the database connection back; what was not committed is undone."""
        # The frames through which it was raised lead back to it, and to this.
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            refusal.__traceback__ = None
        try:
            self._give_back()
        finally:
            functions, self._at_end = self._at_end, []
            for function in functions:
                function()

    def _give_back(self) -> None:
        session, self._session = self._session, None
        connection, self._connection = self._connection, None
        try:
            if session is not None:
                session.close()
        finally:
            if connection is not None:
                self.connections.give_back(connection)


current: ContextVar[RequestContext] = ContextVar("current")
