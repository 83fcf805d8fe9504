"""The seam: all that happens around a handler, so that a handler need not."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flask
from connexion.exceptions import ResolverError
from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver

import models
from models import errors as domain
from roster.definition import Definition, Operation
from roster.exchange import Exchange, current
from roster.paging import window
from roster.permissions import Verdict
from roster.responses import Responder
from roster.settings import Settings

# What a handler may ask for by name, besides the definition's own parameters: how each is made from
# the exchange.
Providers = Mapping[str, Callable[[Exchange], Any]]

# What an operation asks for between the permission and the handler: makes the function that does
# it, or None for an operation that does not ask for it.
Step = Callable[[Operation], Callable[[Exchange], None] | None]


@dataclass(frozen=True)
class Rules:
    """What decides whether a caller may do something: permission, object, settings."""

    settings: Settings

    def roles(self, exchange: Exchange) -> frozenset[str]:
        """Return the roles that the caller has wherever it goes."""
        newcomer = set() if self.settings.signup == "closed" else {"newcomer"}
        return frozenset(exchange.caller.roles | newcomer)

    def judge(self, exchange: Exchange, operation: Operation) -> tuple[Verdict, Any]:
        """Decide whether the caller may carry out an operation, and load the path's object."""
        permission = operation.permission
        roles = self.roles(exchange)
        if permission.object is None:
            return permission.judge(roles), None
        found = self._load(exchange, operation, permission.object)
        if found is None:
            return Verdict.ABSENT, None
        # What the caller is everywhere may suffice; what it is to the object is another question
        # to the database, and can only add rights.
        verdict = permission.judge(roles, found.standing)
        if verdict is not Verdict.GRANTED:
            verdict = permission.judge(roles | found.roles_of(exchange.caller), found.standing)
        return verdict, found

    def _load(self, exchange: Exchange, operation: Operation, name: str) -> Any:
        ids = exchange.path_parameters
        if operation.method == "GET" and name in models.READ:
            return models.READ[name].load(exchange.connection, **ids)
        return models.OBJECTS[name].load(exchange.session, **ids)


class Seam(Resolver):
    """Resolve each operation to its handler, wrapped in all that is the same for every one.

    Around a handler the seam opens the session, loads the object that the path names (absent: 404),
    asks whether the caller may (403, or 404 where it must not know), calls the handler with what
    its parameters name, commits, and makes the response. An error rolls back, but one that declares
    a consequence commits it first. Before the handler come the steps that the operation asks for.
    """

    def __init__(
        self,
        definition: Definition,
        rules: Rules,
        providers: Providers,
        steps: Sequence[Step] = (),
    ) -> None:
        super().__init__()
        self._definition = definition
        self._rules = rules
        self._providers = providers
        self._steps = steps
        self._resolved: dict[str, Resolution] = {}

    def resolve(self, operation: AbstractOperation) -> Resolution:
        """Find and wrap the handler of an operation; connexion asks once for each of its layers."""
        declared = self._definition.operation(operation.path, operation.method)
        if declared.id not in self._resolved:
            found = super().resolve(operation)  # type: ignore[no-untyped-call]
            self._resolved[declared.id] = Resolution(
                self._wrap(found.function, declared), declared.handler
            )
        return self._resolved[declared.id]

    @property
    def views(self) -> dict[str, Callable[..., flask.Response]]:
        """The wrapped handlers, by the handlers' names."""
        return {found.operation_id: found.function for found in self._resolved.values()}

    def _wrap(
        self, handler: Callable[..., Any], operation: Operation
    ) -> Callable[..., flask.Response]:
        arguments = [
            self._argument(name, operation) for name in inspect.signature(handler).parameters
        ]
        respond = Responder(operation, self._definition, self._rules.settings)
        steps = [step for make in self._steps if (step := make(operation))]

        def carry_out(**_: Any) -> flask.Response:
            exchange = current.get()
            if exchange.refusal is not None:
                raise exchange.refusal
            try:
                found = self._admit(exchange, operation)
                for step in steps:
                    step(exchange)
                result = handler(**{name: provide(exchange, found) for name, provide in arguments})
            except domain.DomainError as error:
                if error.consequence:
                    exchange.commit()
                raise
            exchange.commit()
            return respond(result, exchange)

        return carry_out

    def _argument(
        self, name: str, operation: Operation
    ) -> tuple[str, Callable[[Exchange, Any], Any]]:
        """Find where a handler's parameter comes from.

        :raises ResolverError: when the server starts, where it comes from nowhere.
        """
        if name == operation.permission.object:
            return name, lambda _, found: found
        if name == "body":
            return name, lambda exchange, _: exchange.body
        if any(each["name"] == name and each["in"] == "path" for each in operation.parameters):
            return name, lambda exchange, _: exchange.path_parameters[name]
        if name in self._providers:
            provide = self._providers[name]
            return name, lambda exchange, _: provide(exchange)
        if any(
            parameter["name"] == name
            for parameter in operation.parameters
            if parameter["in"] == "query"
        ):
            return name, lambda exchange, _: exchange.query[name]
        raise ResolverError(
            f"{operation.handler} asks for {name}, which neither the definition nor the seam gives."
        )

    def _admit(self, exchange: Exchange, operation: Operation) -> Any:
        verdict, found = self._rules.judge(exchange, operation)
        if verdict is Verdict.ABSENT:
            raise domain.NotFound(f"There is no such {operation.permission.object}.")
        if verdict is Verdict.REFUSED:
            raise domain.Forbidden("You may not do this.")
        return found


def providers(settings: Settings, **services: Any) -> Providers:
    """Make the table of what a handler may ask for by name."""
    constant = {name: (lambda _, service=service: service) for name, service in services.items()}
    return {
        "session": lambda exchange: exchange.session,
        "connection": lambda exchange: exchange.connection,
        "caller": lambda exchange: exchange.caller,
        "gate": lambda exchange: exchange.gate,
        "window": lambda exchange: window(exchange, settings),
        "settings": lambda _: settings,
        **constant,
    }
