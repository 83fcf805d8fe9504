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

from roster.http.answers import Answer, RawHeaders, raw_headers
from roster.stack.late_context import Hooks, LateContext

_Sent = tuple[int, RawHeaders, bytes]
_OPERATION = "roster.operation"
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Response(flask.Response):
    """A response whose headers are those that it was given, and no more.

    werkzeug would read a Location as an IRI, and make `com.example:/cb` of an app's
    `com.example:///cb`.
    """

    default_mimetype = None

    def get_wsgi_headers(self, environ: Any) -> Any:
        """Return the headers; without those of a body where there is none (204, 304)."""
        has_body = self.status_code not in {204, 304}
        return self.headers if has_body else super().get_wsgi_headers(environ)


# Returns what Flask makes a response of, or an Answer.
_View = Callable[..., Any]


class FlaskAdapter:
    """Take the place of a2wsgi's adapter, of Flask's routing and of connexion's view decorators.

    a2wsgi would start another thread, and go back to the event loop for each piece of the request
    and of the answer. Flask would match the path once more. connexion's decorators would inspect
    the view and read query and body anew for each request. All else that Flask does around a view
    is done here too: contexts, signals, hooks, error handlers, `make_response`, teardown. Where it
    has nothing to do there, its contexts are made when a handler uses them.
    """

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self._hooks = Hooks(app)
        self._rules: dict[str, Rule] = {}
        self._views: dict[str, _View] = {}
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

    def adopt(self, views: Mapping[str, _View]) -> None:
        """Have Flask call these views, found by the names of their operations' handlers.

        They need none of what connexion's decorators would do.
        """
        for rule in self._app.url_map.iter_rules():
            decorated = self._app.view_functions[rule.endpoint]
            if isinstance(decorated, FlaskOperation):
                view = views[decorated.operation_id]
                self._app.view_functions[rule.endpoint] = _for_flask(view)
                self._rules[decorated.operation_id] = rule
                self._views[decorated.operation_id] = view
        self._operation_endpoints = frozenset(rule.endpoint for rule in self._rules.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request whose body is in memory; what is no request concerns Flask not."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        answer_by = self._answer if self._hooks.exist else self._answer_late
        status, headers, content = answer_by(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

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

    def page(self, scope: Scope, body: bytes) -> _Sent:
        """Have Flask answer a request for a page of its own: with its routing, and all its hooks.

        An exception that no error handler of Flask takes is raised.
        """
        environ = environ_of(scope, body)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _failure: Any = None) -> Any:
            started.append((status, headers))

        pieces: Any = self._app.wsgi_app(environ, cast("Any", start))
        written = _joined(pieces)
        status, headers = started[-1]
        return int(status.split(" ", 1)[0]), raw_headers(headers), written

    def _context(self, scope: Scope, body: bytes) -> FlaskRequestContext:
        """Make the context of a request whose operation is known."""
        operation = scope["extensions"][ROUTING_CONTEXT]["operation_id"]
        context = _MatchedContext(self._app, {**environ_of(scope, body), _OPERATION: operation})
        context.request.url_rule = self._rules[operation]
        context.request.view_args = scope["path_params"]
        return context

    def _answer(self, scope: Scope, body: bytes) -> _Sent:
        """Do what `Flask.wsgi_app` does, for a request whose operation is known."""
        context = self._context(scope, body)
        failure: BaseException | None = None
        try:
            context.push()
            try:
                response = self._app.full_dispatch_request()
            except Exception as error:  # noqa: BLE001 (Flask raises it again)
                failure = error
                response = self._app.handle_exception(error)
            pieces, sent = _sent(response, context.request.environ)
        finally:
            context.pop(failure)
        return *sent, _joined(pieces)

    def _answer_late(self, scope: Scope, body: bytes) -> _Sent:
        """Do the same where Flask has nothing to call around the view, and so nothing to make."""
        view = self._views[scope["extensions"][ROUTING_CONTEXT]["operation_id"]]
        # From now on Flask refuses hooks. Nothing public says so.
        self._app._got_first_request = True  # noqa: SLF001
        context = LateContext(self._app, lambda: self._context(scope, body))
        context.push()
        try:
            try:
                result = view(**scope["path_params"])
                if type(result) is Answer and not context.has_more:
                    return result.status, result.all_headers(), result.body
                result = _made_by_flask(result)
            except Exception as error:  # noqa: BLE001 (Flask raises it again, if it is no answer)
                response = self._refused(error)
            else:
                response = self._finished(result)
            pieces, sent = _sent(response, context.request.environ)
        finally:
            context.pop()
        return *sent, _joined(pieces)

    def _refused(self, error: Exception) -> flask.Response:
        """Have Flask answer an exception of a view; it raises what it has no answer to."""
        try:
            result = self._app.handle_user_exception(error)
        except Exception as failure:  # noqa: BLE001 (Flask raises it again)
            return self._app.handle_exception(failure)
        return self._finished(result)

    def _finished(self, result: Any) -> flask.Response:
        """Have Flask make a response, and call what belongs behind it."""
        try:
            return self._app.finalize_request(result)
        except Exception as failure:  # noqa: BLE001 (Flask raises it again)
            return self._app.handle_exception(failure)


def _for_flask(view: _View) -> _View:
    """Return a view that returns what Flask makes a response of."""
    return lambda **arguments: _made_by_flask(view(**arguments))


def _made_by_flask(result: Any) -> Any:
    if not isinstance(result, Answer):
        return result
    headers = [
        (name.decode("latin-1"), text.decode("latin-1")) for name, text in result.all_headers()
    ]
    return Response(result.body, result.status, headers)


def _sent(response: flask.Response, environ: Any) -> Any:
    """Return the pieces of a response, and its status and headers."""
    # The entry point leaves out the body of an answer to HEAD; the layers above this want it whole.
    if environ["REQUEST_METHOD"] == "HEAD":
        environ = {**environ, "REQUEST_METHOD": "GET"}
    pieces, status, headers = response.get_wsgi_response(environ)
    return pieces, (int(status.split(" ", 1)[0]), raw_headers(headers))


def _joined(pieces: Any) -> bytes:
    """Read all pieces of a body, and close it."""
    try:
        return b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()


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
