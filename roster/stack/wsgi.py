"""The WSGI adapter: calls Flask at the end of the ASGI stack, in the thread that runs it."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, cast

import flask
from a2wsgi.wsgi import build_environ
from connexion.apps.flask import FlaskOperation
from connexion.middleware.abstract import ROUTING_CONTEXT
from starlette.types import Receive, Scope, Send
from werkzeug.routing import Rule


class FlaskAdapter:
    """Take the place of a2wsgi's adapter, of Flask's routing and of connexion's view decorators.

    a2wsgi would start another thread, and go back to the event loop for each piece of the request
    and of the answer. Flask would match the path once more. connexion's decorators would inspect
    the view and read query and body anew for each request. All else that Flask does around a view
    is done here too: contexts, signals, hooks, error handlers, `make_response`, teardown.
    """

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self._rules: dict[str, Rule] = {}
        # Without an adapter a request context does not match its URL.
        app.create_url_adapter = lambda request: None  # type: ignore[method-assign] # noqa: ARG005

    def adopt(self, views: Mapping[str, Callable[..., Any]]) -> None:
        """Have Flask call these views, found by the names of their operations' handlers.

        They need none of what connexion's decorators would do.
        """
        for rule in self._app.url_map.iter_rules():
            decorated = self._app.view_functions[rule.endpoint]
            if isinstance(decorated, FlaskOperation):
                self._app.view_functions[rule.endpoint] = views[decorated.operation_id]
                self._rules[decorated.operation_id] = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request whose body is in memory; what is no request concerns Flask not."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        environ = build_environ(cast("Any", scope), cast("Any", BytesIO(body)))
        written: list[bytes] = []
        pieces, status, headers = self._respond(scope, environ)
        try:
            written.extend(pieces)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"".join(written)})

    def _respond(self, scope: Scope, environ: Any) -> Any:
        """Do what `Flask.wsgi_app` does, for a request whose operation is known."""
        context = self._app.request_context(environ)
        context.request.url_rule = self._rules[scope["extensions"][ROUTING_CONTEXT]["operation_id"]]
        context.request.view_args = scope["path_params"]
        failure: BaseException | None = None
        try:
            context.push()
            try:
                response = self._app.full_dispatch_request()
            except Exception as error:  # noqa: BLE001 (Flask raises it again)
                failure = error
                response = self._app.handle_exception(error)
            pieces, status, headers = response.get_wsgi_response(environ)
        finally:
            context.pop(failure)
        return (
            pieces,
            int(status.split(" ", 1)[0]),
            [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        )
