"""Routing: the scope behind it is the one that connexion's own routing makes."""

import re
from typing import Any, cast

import pytest
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.routing import RoutingMiddleware as ConnexionsRoutingMiddleware
from connexion.resolver import Resolver
from connexion.spec import Specification
from starlette.types import Receive, Scope, Send

from roster.contract import loader
from roster.contract.operation import Operation
from roster.http.context import RequestContext, current
from roster.stack.operation_scope import OperationMiddleware
from tests.roster.raw import converse, http_scope

DEFINED = loader.load("development")
SPECIFICATION = Specification.from_dict(DEFINED.document)
IDS = {"client_id": "an-App_1"}


def path_of(operation: Operation) -> str:
    """Return a path that an operation answers."""
    return re.sub(r"\{(\w+)\}", lambda found: IDS.get(found[1], "7"), operation.path)


def scope_behind(middleware: Any, operation: Operation) -> dict[str, Any]:
    """Return what an application behind a routing middleware is called with."""
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope)

    routing = middleware(app)
    routing.add_api(SPECIFICATION, resolver=Resolver(lambda _: lambda: None))
    converse(routing, http_scope(operation.method, path_of(operation)), [])
    [scope] = found
    return {
        name: scope.get(name) for name in ("type", "method", "path", "path_params", "headers")
    } | {ROUTING_CONTEXT: scope["extensions"][ROUTING_CONTEXT]}


@pytest.mark.parametrize("operation", DEFINED.operations, ids=lambda operation: operation.id)
def test_an_operation_is_named_as_connexion_names_it(operation: Operation) -> None:
    found = DEFINED.match(path_of(operation))
    assert found
    route, path_parameters, path = found
    current.set(RequestContext(cast(Any, None), route, operation, path, path_parameters))

    assert scope_behind(OperationMiddleware, operation) == scope_behind(
        ConnexionsRoutingMiddleware, operation
    )
