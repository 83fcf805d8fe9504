"""The WSGI adapter: calls Flask at the end of the ASGI stack, in the thread that runs it."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import flask
from a2wsgi.wsgi import build_environ
from connexion.apps.flask import FlaskOperation
from connexion.middleware.abstract import ROUTING_CONTEXT
from flask.ctx import RequestContext as FlaskRequestContext
from starlette.types import Receive, Scope, Send
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter, RequestRedirect, Rule

_OPERATION = "roster.operation"
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


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
        self._operation_endpoints: frozenset[str] = frozenset()
        self._bind = app.create_url_adapter
        # connexion would have Flask raise what are answers: redirects to a path with a slash, and
        # `abort(response)`.
        app.config["TRAP_HTTP_EXCEPTIONS"] = False
        # Flask offers no other way to bind its URL map only when `url_for` needs it.
        app.create_url_adapter = self._url_adapter  # type: ignore[method-assign]

    def _url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        if request is not None and _OPERATION in request.environ:
            return cast(MapAdapter, _LateAdapter(self._bind, request))
        return self._bind(request)

    def adopt(self, views: Mapping[str, Callable[..., Any]]) -> None:
        """Have Flask call these views, found by the names of their operations' handlers.

        They need none of what connexion's decorators would do.
        """
        for rule in self._app.url_map.iter_rules():
            decorated = self._app.view_functions[rule.endpoint]
            if isinstance(decorated, FlaskOperation):
                self._app.view_functions[rule.endpoint] = views[decorated.operation_id]
                self._rules[decorated.operation_id] = rule
        self._operation_endpoints = frozenset(rule.endpoint for rule in self._rules.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request whose body is in memory; what is no request concerns Flask not."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        environ = environ_of(scope, body)
        environ[_OPERATION] = scope["extensions"][ROUTING_CONTEXT]["operation_id"]
        written: list[bytes] = []
        pieces, status, headers = self._respond(scope, environ)
        try:
            written.extend(pieces)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"".join(written)})

    def finds_page(self, path: str, method: str) -> bool:
        """Tell whether Flask has a rule for a path that belongs to no operation."""
        adapter = self._app.url_map.bind("localhost")
        try:
            rule, _ = adapter.match(path, method=method, return_rule=True)
        except RequestRedirect as redirect:  # to a path with other slashes
            target = unquote(urlsplit(redirect.new_url).path)
            return target != path and self.finds_page(target, method)
        except MethodNotAllowed as error:
            methods = error.valid_methods or ()
            return all(self.finds_page(path, each) for each in methods)
        except (HTTPException, ValueError):  # Python reads no integer of 5000 digits
            return False
        return rule.endpoint not in self._operation_endpoints

    def page(self, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Have Flask answer a request for a page of its own: with its routing, and all its hooks.

        An exception that no error handler of Flask takes is raised.
        """
        environ = environ_of(scope, body)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _failure: Any = None) -> Any:
            started.append((status, headers))

        pieces: Any = self._app.wsgi_app(environ, cast("Any", start))
        try:
            written = b"".join(pieces)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        status, headers = started[-1]
        return int(status.split(" ", 1)[0]), _raw(headers), written

    def _respond(self, scope: Scope, environ: Any) -> Any:
        """Do what `Flask.wsgi_app` does, for a request whose operation is known."""
        context = _MatchedContext(self._app, environ)
        context.request.url_rule = self._rules[environ[_OPERATION]]
        context.request.view_args = scope["path_params"]
        failure: BaseException | None = None
        try:
            context.push()
            try:
                response = self._app.full_dispatch_request()
            except Exception as error:  # noqa: BLE001 (Flask raises it again)
                failure = error
                response = self._app.handle_exception(error)
            # The entry point leaves out the body of an answer to HEAD; the layers above this want
            # it whole.
            if environ["REQUEST_METHOD"] == "HEAD":
                environ = {**environ, "REQUEST_METHOD": "GET"}
            pieces, status, headers = response.get_wsgi_response(environ)
        finally:
            context.pop(failure)
        return pieces, int(status.split(" ", 1)[0]), _raw(headers)


class _MatchedContext(FlaskRequestContext):
    """A request context whose operation is found already."""

    def match_request(self) -> None:
        """Leave the rule as it was set."""


class _LateAdapter:
    """Flask's URL adapter of a request, bound when it is first used: `url_for` is rare."""

    def __init__(self, bind: Callable[[Any], Any], request: flask.Request) -> None:
        self._bind = bind
        self._request = request

    def __getattr__(self, name: str) -> Any:
        # Once per request at most: what is found replaces the way to find it.
        bound = self._bind(self._request)
        self.__dict__.update(vars(bound))
        return getattr(bound, name)


def environ_of(scope: Scope, body: bytes) -> Any:
    """Return the WSGI environ of a request whose body is in memory."""
    query = scope["query_string"]
    if not query.isascii():  # a2wsgi takes nothing else
        scope = {**scope, "query_string": quote(query, safe=_PRINTABLE).encode()}
    environ: Any = build_environ(cast("Any", scope), cast("Any", BytesIO(body)))
    if "HTTP_TRANSFER_ENCODING" in environ:  # a body that came in chunks has no length
        environ["wsgi.input_terminated"] = True
    return environ


def _raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
