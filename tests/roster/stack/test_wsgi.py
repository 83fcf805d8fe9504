"""The bridge: Flask answers as it does behind a2wsgi, though nothing is routed or waited for.

Where nobody has registered a hook, its contexts are made when they are used, and nobody can tell.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, cast

import flask
import pytest
from a2wsgi import WSGIMiddleware
from connexion.apps.flask import FlaskOperation
from connexion.middleware.abstract import ROUTING_CONTEXT
from flask import signals
from flask.sessions import SecureCookieSessionInterface
from flask.signals import request_finished, request_started, request_tearing_down
from starlette.types import Message
from werkzeug.exceptions import Conflict

from roster.http.answers import Answer
from roster.stack.wsgi import FlaskAdapter
from tests.roster.raw import body_of, converse, http_scope

View = Callable[..., Any]

OPERATION = "handlers.things.change_thing"
variable: ContextVar[str] = ContextVar("variable", default="unset")


def flask_app(view: View) -> flask.Flask:
    """Return an application with one view, as connexion registers it."""
    app = flask.Flask("things", static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    operation = FlaskOperation(view, cast(Any, None), OPERATION, pythonic_params=False)
    app.add_url_rule("/thíngs/<int:thing_id>", "change_thing", operation, methods=["POST"])
    return app


def in_place(app: flask.Flask) -> FlaskAdapter:
    bridge = FlaskAdapter(app)
    operation: Any = app.view_functions["change_thing"]
    bridge.adopt({OPERATION: operation._fn})
    return bridge


def behind_a2wsgi(app: flask.Flask) -> Any:
    # Without connexion's decorators, which need connexion's contexts.
    operation: Any = app.view_functions["change_thing"]
    app.view_functions["change_thing"] = operation._fn
    return WSGIMiddleware(cast(Any, app.wsgi_app))


BRIDGES: list[Callable[[flask.Flask], Any]] = [in_place, behind_a2wsgi]


def request_scope() -> dict[str, Any]:
    return http_scope(
        "POST",
        "/thíngs/7",
        query=b"a=1&b=%C3%A4",
        headers=[
            (b"host", b"api.example:8000"),
            (b"content-type", b"text/plain"),
            (b"content-length", b"11"),
            (b"x-twice", b"one"),
            (b"x-twice", b"two"),
            (b"x-latin", b"\xe4"),
            (b"if-none-match", b'"x"'),
            (b"cookie", b"a=1; b=2"),
        ],
        path_params={"thing_id": 7},
        extensions={ROUTING_CONTEXT: {"api_base_path": "", "operation_id": OPERATION}},
    )


def answer_of(messages: list[Message]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    start, *bodies = messages
    return start["status"], start["headers"], b"".join(each["body"] for each in bodies)


def both(view: View, body: bytes = b"hello world", prepare: Any = None) -> tuple[Any, Any]:
    """Send the same request over both bridges; return what each answers."""
    answers = []
    for bridge in BRIDGES:
        app = flask_app(view)
        if prepare:
            prepare(app)
        answers.append(answer_of(converse(bridge(app), request_scope(), body_of(body))))
    return answers[0], answers[1]


class Pieces:
    """An iterable that knows whether it was closed."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1


def with_a_text(thing_id: int) -> Any:
    return f"thing {thing_id}: ä"


def with_a_dict(thing_id: int) -> Any:
    return {"id": thing_id}


def with_a_tuple(thing_id: int) -> Any:
    return b"made", 201, [("X-Thing", str(thing_id)), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]


def with_a_response(thing_id: int) -> Any:
    return flask.Response(b"bytes", 299, {"X-Latin": "\xe4"}, content_type="application/json")


def with_a_generator(thing_id: int) -> Any:
    return flask.Response(piece for piece in (b"one", b"", b"two"))


def with_a_context_for_the_stream(thing_id: int) -> Any:
    flask.g.thing = thing_id

    def stream() -> Iterator[str]:
        yield str(flask.g.thing)
        yield flask.request.method
        yield flask.request.args["b"]

    return flask.Response(flask.stream_with_context(stream()))


def without_content(thing_id: int) -> Any:
    return "", 204


def with_not_modified(thing_id: int) -> Any:
    response = flask.Response("body", 304)
    response.set_etag("x")
    return response


def with_a_location(thing_id: int) -> Any:
    return flask.redirect("/elsewhere")


def tells_the_request(thing_id: int) -> Any:
    request = flask.request
    return [
        request.method,
        request.path,
        request.url,
        request.host,
        request.remote_addr,
        request.content_type,
        request.content_length,
        sorted(request.args.items()),
        sorted((name.lower(), value) for name, value in request.headers.items()),
        sorted(request.cookies.items()),
        request.get_data(as_text=True),
        request.endpoint,
        request.view_args,
        str(request.url_rule),
        request.if_none_match.contains("x"),
        flask.current_app.name,
    ]


def tells_the_environ(thing_id: int) -> Any:
    unlike = {"wsgi.input", "wsgi.errors", "asgi.scope", "werkzeug.request", "roster.operation"}
    environ = flask.request.environ
    return sorted((name, str(value)) for name, value in environ.items() if name not in unlike)


def reads_in_parts(thing_id: int) -> Any:
    read = flask.request.stream.read
    return b"|".join([read(3), read(3), read(100), read(1)])


def tells_the_context(thing_id: int) -> Any:
    return variable.get()


def uses_g_and_a_later_hook(thing_id: int) -> Any:
    flask.g.thing = thing_id

    @flask.after_this_request
    def add(response: flask.Response) -> flask.Response:
        response.headers["X-G"] = str(flask.g.thing)
        return response

    return "done"


def aborts(thing_id: int) -> Any:
    flask.abort(409)


def aborts_with_a_response(thing_id: int) -> Any:
    flask.abort(flask.Response("no", 418))


def uses_the_contexts_by_other_names(thing_id: int) -> Any:
    flask.g.thing = thing_id
    again: Any = flask.copy_current_request_context(lambda: flask.request.path)
    return [
        flask.has_request_context(),
        flask.has_app_context(),
        flask.url_for("change_thing", thing_id=thing_id, _external=True),
        flask.render_template_string("{{ request.method }} {{ g.thing }} {{ session.get('a') }}"),
        flask.get_flashed_messages(),
        dict(flask.session),
        str(again()),
        flask.globals.request_ctx.request.path,
        flask.globals.app_ctx.app.name,
    ]


def writes_a_session_without_a_key(thing_id: int) -> Any:
    try:
        flask.session["thing"] = thing_id
    except RuntimeError as error:
        return str(error)
    return "written"


def leaves_a_hook_that_fails(thing_id: int) -> Any:
    @flask.after_this_request
    def fail(_: flask.Response) -> flask.Response:
        flask.abort(409)

    return "done"


@pytest.mark.parametrize(
    "view",
    [
        with_a_text,
        with_a_dict,
        with_a_tuple,
        with_a_response,
        with_a_generator,
        with_a_context_for_the_stream,
        without_content,
        with_not_modified,
        with_a_location,
        tells_the_request,
        tells_the_environ,
        reads_in_parts,
        tells_the_context,
        uses_g_and_a_later_hook,
        uses_the_contexts_by_other_names,
        writes_a_session_without_a_key,
        aborts,
        aborts_with_a_response,
    ],
)
def test_a_view_is_answered_as_behind_a2wsgi(view: View) -> None:
    token = variable.set("set outside")
    try:
        ours, theirs = both(view)
    finally:
        variable.reset(token)

    assert ours == theirs


def test_a_hook_that_fails_fails_as_behind_a2wsgi() -> None:
    failures = []
    for bridge in BRIDGES:
        with pytest.raises(Conflict) as raised:
            converse(bridge(flask_app(leaves_a_hook_that_fails)), request_scope(), body_of(b""))
        failures.append(type(raised.value))

    assert failures[0] == failures[1]


def with_nothing(thing_id: int) -> Any:
    return None


def breaks(thing_id: int) -> Any:
    raise LookupError("broken")


@pytest.mark.parametrize("view", [leaves_a_hook_that_fails, with_nothing, breaks, aborts])
def test_errors_are_handled_and_told_as_behind_a2wsgi(view: View) -> None:
    heard: list[type[BaseException]] = []

    def hear(_: object, exception: BaseException, **__: Any) -> None:
        heard.append(type(exception))

    def prepare(app: flask.Flask) -> None:
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.register_error_handler(500, lambda error: (type(error).__name__, 500))
        app.register_error_handler(LookupError, lambda error: (f"{error}", 418))

    with signals.got_request_exception.connected_to(hear):
        ours, theirs = both(view, prepare=prepare)

    assert ours == theirs
    assert heard in ([], heard[:1] * 2)


def with_an_answer(thing_id: int) -> Any:
    return Answer(
        201, b"made", (("X-Latin", "\xe4"),), ((b"set-cookie", b"a"), (b"set-cookie", b"b"))
    )


def with_an_answer_and_a_later_hook(thing_id: int) -> Any:
    uses_g_and_a_later_hook(thing_id)
    return Answer(200, b"done", (("Content-Type", "text/plain"),))


def with_a_header_in_a_header(thing_id: int) -> Any:
    return Answer(303, b"", (("Location", "https://api.example\r\nSet-Cookie: a=1"),))


def sent_by(view: View, prepare: Any = None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    app = flask_app(view)
    if prepare:
        prepare(app)
    status, headers, body = answer_of(converse(in_place(app), request_scope(), body_of(b"")))
    return status, sorted(each for each in headers if each[0] != b"content-length"), body


@pytest.mark.parametrize("view", [with_an_answer, with_an_answer_and_a_later_hook])
def test_an_answer_is_the_same_with_a_hook_and_without(view: View) -> None:
    hooked = sent_by(view, lambda app: app.before_request(lambda: None))

    assert sent_by(view) == hooked


def test_a_header_cannot_hold_another() -> None:
    for prepare in (None, lambda app: app.before_request(lambda: None)):
        with pytest.raises(ValueError, match=r"end of a line|newline"):
            sent_by(with_a_header_in_a_header, prepare)


class _NoRequest(flask.Request):
    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError


def without_requests(app: flask.Flask) -> None:
    app.request_class = _NoRequest


def test_no_request_is_made_that_nobody_asks_for() -> None:
    assert sent_by(with_an_answer, without_requests)[0] == 201
    for view in (tells_the_request, with_an_answer_and_a_later_hook):
        with pytest.raises(NotImplementedError):
            sent_by(view, without_requests)


class _Sessions(SecureCookieSessionInterface):
    """Sessions of another kind."""


class _OwnResponse(flask.Response):
    """A response of a project's own."""


def _patch(app: flask.Flask) -> None:
    app.process_response = app.process_response  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "prepare",
    [
        lambda app: app.before_request(lambda: None),
        lambda app: app.after_request(lambda response: response),
        lambda app: app.teardown_request(lambda _: None),
        lambda app: app.teardown_appcontext(lambda _: None),
        lambda app: app.url_value_preprocessor(lambda *_: None),
        lambda app: app.config.update(SECRET_KEY="key"),
        lambda app: setattr(app, "session_interface", _Sessions()),
        lambda app: setattr(app, "response_class", _OwnResponse),
        lambda app: app.before_request_funcs.setdefault(None, []).append(lambda: None),
        _patch,
    ],
    ids=[
        *("before", "after", "teardown", "teardown of app", "url value", "key", "sessions"),
        *("response", "past the decorator", "patch"),
    ],
)
def test_whatever_flask_has_to_call_it_gets_a_request_for(prepare: Any) -> None:
    def prepare_both(app: flask.Flask) -> None:
        without_requests(app)
        prepare(app)

    with pytest.raises(NotImplementedError):
        sent_by(with_an_answer, prepare_both)


@pytest.mark.parametrize("name", ["make_response", "process_response", "full_dispatch_request"])
def test_a_method_of_flask_that_a_tool_has_replaced_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, called = getattr(flask.Flask, name), []

    def traced(*arguments: Any, **named: Any) -> Any:
        called.append(name)
        return method(*arguments, **named)

    monkeypatch.setattr(flask.Flask, name, traced)

    assert sent_by(with_an_answer)[0] == 201
    assert called == [name]


# How the signals are called that Flask sends for each request.
AROUND = ("request-", "appcontext-")


@pytest.mark.parametrize(
    "signal",
    [each for name, each in signals._signals.items() if name.startswith(AROUND)],
    ids=lambda signal: signal.name,
)
def test_a_signal_may_be_connected_at_any_time(signal: Any) -> None:
    heard: list[object] = []
    app = flask_app(with_an_answer)
    bridge = in_place(app)
    converse(bridge, request_scope(), body_of(b""))

    def hear(sender: object, **_: Any) -> None:
        heard.append(sender)

    with signal.connected_to(hear):
        converse(bridge, request_scope(), body_of(b""))

    assert heard == [app]


def test_flask_takes_no_hook_after_the_first_request() -> None:
    app = flask_app(with_an_answer)
    converse(in_place(app), request_scope(), body_of(b""))

    with pytest.raises(AssertionError, match="first request"):
        app.before_request(lambda: None)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_the_files_of_a_form_are_closed(bridge: Callable[[flask.Flask], Any]) -> None:
    files: list[Any] = []

    def view(thing_id: int) -> str:
        files.extend(flask.request.files.values())
        return "done"

    body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nc\r\n--x--\r\n'
    scope = request_scope()
    scope["headers"] = [
        (b"content-type", b"multipart/form-data; boundary=x"),
        (b"content-length", str(len(body)).encode()),
    ]
    converse(bridge(flask_app(view)), scope, body_of(body))

    assert [each.closed for each in files] == [True]


def test_an_empty_body_is_read_as_behind_a2wsgi() -> None:
    ours, theirs = both(reads_in_parts, body=b"")

    assert ours == theirs


def test_hooks_and_error_handlers_work_as_behind_a2wsgi() -> None:
    def prepare(app: flask.Flask) -> None:
        app.before_request(lambda: setattr(flask.g, "seen", flask.request.endpoint))

        @app.after_request
        def add(response: flask.Response) -> flask.Response:
            response.headers["X-Seen"] = flask.g.seen
            return response

        app.register_error_handler(Conflict, lambda error: (f"no: {error.code}", 418))

    ours, theirs = both(aborts, prepare=prepare)

    assert ours == theirs
    assert ours[0] == 418
    assert (b"x-seen", b"change_thing") in ours[1]


def test_a_hook_may_answer_instead_of_the_view() -> None:
    ours, theirs = both(aborts, prepare=lambda app: app.before_request(lambda: ("early", 202)))

    assert ours == theirs
    assert (ours[0], ours[2]) == (202, b"early")


@pytest.mark.parametrize("bridge", BRIDGES)
def test_signals_and_teardown_come_in_order(bridge: Callable[[flask.Flask], Any]) -> None:
    order: list[str] = []

    def view(**_: Any) -> str:
        order.append("view")
        return "done"

    app = flask_app(view)

    def note_start(*_: Any, **__: Any) -> None:
        order.append("started")

    def note_end(*_: Any, **__: Any) -> None:
        order.append("finished")

    def note_teardown(*_: Any, **__: Any) -> None:
        order.append("tearing down")

    app.teardown_request(lambda error: order.append(f"teardown {error}"))
    with (
        request_started.connected_to(note_start, app),
        request_finished.connected_to(note_end, app),
        request_tearing_down.connected_to(note_teardown, app),
    ):
        converse(bridge(app), request_scope(), body_of(b""))

    assert order == ["started", "view", "finished", "teardown None", "tearing down"]


@pytest.mark.parametrize("bridge", BRIDGES)
def test_an_exception_comes_out_and_teardown_hears_of_it(
    bridge: Callable[[flask.Flask], Any],
) -> None:
    heard: list[BaseException | None] = []

    def view(thing_id: int) -> None:
        raise LookupError("broken")

    app = flask_app(view)
    app.teardown_request(heard.append)
    with pytest.raises(LookupError, match="broken") as raised:
        converse(bridge(app), request_scope(), body_of(b""))

    assert heard == [raised.value]


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("failure", [None, RuntimeError("broken")])
def test_an_iterable_is_closed_once(
    bridge: Callable[[flask.Flask], Any], failure: Exception | None
) -> None:
    pieces = Pieces(b"one", failure or b"two")
    app = bridge(flask_app(lambda **_: flask.Response(pieces)))
    if failure:
        with pytest.raises(RuntimeError, match="broken"):
            converse(app, request_scope(), body_of(b""))
    else:
        assert answer_of(converse(app, request_scope(), body_of(b"")))[2] == b"onetwo"

    assert pieces.closed == 1


def test_no_context_is_left_behind() -> None:
    converse(in_place(flask_app(with_a_text)), request_scope(), body_of(b""))

    assert not flask.has_request_context()
    assert not flask.has_app_context()


def test_nothing_is_sent_before_the_answer_is_whole() -> None:
    pieces = Pieces(b"one", RuntimeError("broken"))
    app = in_place(flask_app(lambda **_: flask.Response(pieces)))
    sent: list[Message] = []

    async def receive() -> Message:
        return body_of(b"")[0]

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(app(request_scope(), receive, send))

    assert sent == []


def test_what_is_no_request_does_not_concern_flask() -> None:
    app = in_place(flask_app(aborts))

    for kind in ("lifespan", "websocket"):
        assert converse(app, {"type": kind}, []) == []
