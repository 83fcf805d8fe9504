"""Foreign definitions: served with handlers that keep what they are given."""

import itertools
import json
import shutil
import sys
import tempfile
import types
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Parameter, Signature
from typing import Any

from models.database.connections import Connections, connect
from roster import settings
from roster.application import _connexion
from roster.contract.definition import Definition
from roster.contract.operation import each_operation
from roster.server.assets import Assets
from roster.server.dispatch import Dispatcher
from roster.server.entry import EntryPoint
from roster.stack.authorization import Rules
from roster.stack.resolver import HandlerResolver
from tests.roster.raw import body_of, converse, http_scope

_numbers = itertools.count()

Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class Answer:
    """An answer, and what the handler was given, or None where it was not called."""

    status: int
    body: bytes
    given: dict[str, Any] | None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def problem(self) -> Any:
        """The body of an error's answer."""
        return json.loads(self.body)

    @property
    def places(self) -> list[str]:
        """Where the request is wrong."""
        return [each["pointer"] for each in self.problem.get("errors", ())]


@dataclass
class Mounted:
    """A definition that is served in this process."""

    document: dict[str, Any]
    results: dict[str, Any] = field(default_factory=dict)
    given: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Serve it.

        :raises DefinitionError: for what is not supported.
        """
        self._module = f"foreign_handlers_{next(_numbers)}"
        complete(self.document, self._module)
        self.definition = Definition(self.document)
        module = types.ModuleType(self._module)
        for operation in self.definition.operations:
            arguments = self.definition.parameters[operation.id].arguments
            names = [f"{name}_" if name == "body" else name for name in arguments]
            names += ["body"] if "requestBody" in operation.spec else []
            name = operation.handler.rpartition(".")[2]
            setattr(module, name, self._handler(operation.id, names))
        sys.modules[self._module] = module

    def _handler(self, operation_id: str, names: list[str]) -> Callable[..., Any]:
        def handler(**given: Any) -> Any:
            self.given.append(given)
            return self.results.get(operation_id)

        parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in names]
        handler.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return handler

    @cached_property
    def app(self) -> Any:
        """The definition as an ASGI application."""
        folder = tempfile.mkdtemp(prefix="roster-foreign-")
        self._end = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        chosen = settings.load(database_url=f"sqlite:///{folder}/roster.db", threads=1)
        engine = connect(chosen.database_url, 1, chosen.database_limits, chosen.prepares)
        resolver = HandlerResolver(self.definition, Rules(chosen), {}, ())
        stack, _, _ = _connexion(self.definition, resolver, chosen, validate_responses=False)
        dispatcher = Dispatcher(stack, 1, queue=10, hashing_queue=10)
        return EntryPoint(
            definition=self.definition,
            connections=Connections(engine),
            inner=dispatcher,
            options=dispatcher,
            begin=lambda _: None,
            assets=Assets([]),
            observe=lambda *_: None,
            origin=chosen.origin,
            client_address=lambda _: "",
            run=dispatcher.run,
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: bytes = b"",
        headers: Headers = (),
        body: bytes = b"",
    ) -> Answer:
        """Send a request."""
        self.given.clear()
        scope = http_scope(method, path, query=query, headers=headers)
        start, *bodies = converse(self.app, scope, body_of(body))
        content = b"".join(each["body"] for each in bodies)
        sent = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], content, self.given[0] if self.given else None, sent)


def complete(document: dict[str, Any], module: str) -> None:
    """Add what this server's own definitions say besides, and leave security out."""
    document.pop("security", None)
    for path, method, operation in each_operation(document):
        operation.pop("security", None)
        operation.setdefault("operationId", f"{method} {path}")
        operation["x-openapi-router-controller"] = module
        operation["x-permission"] = {"may": ["anyone"]}
        if method != "get":
            operation["x-audit"] = {"none": "the handlers change nothing"}
