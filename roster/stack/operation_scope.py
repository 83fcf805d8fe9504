"""The operation scope: tells connexion's stack which operation the entry point has found."""

from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT, SpecMiddleware
from connexion.spec import Specification
from starlette.types import ASGIApp, Receive, Scope, Send

from roster.http.context import current


class OperationMiddleware(SpecMiddleware):
    """The place of connexion's routing, which would search all paths again, four times over.

    It leaves in the scope what connexion's own leaves there: the operation, for the middlewares
    below it, and the parameters of the path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._base_path = ""

    def add_api(self, specification: Specification, **_: Any) -> None:
        """Learn under which path the definition is served; the rest is in the request context."""
        self._base_path = specification.base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the operation of a request, and pass it on."""
        if scope["type"] == "http":
            context = current.get()
            handler = context.operation.handler if context.operation else None
            found = {"api_base_path": self._base_path, "operation_id": handler}
            scope["path_params"] = context.path_parameters
            scope["extensions"] = {**(scope.get("extensions") or {}), ROUTING_CONTEXT: found}
        await self.app(scope, receive, send)
