"""What the parts of connexion, Flask and SQLAlchemy cost that Roster's own code takes the place of.

`python -m tests.benchmarks.bypassed` measures requests in this process, on SQLite: as they are, and
with one part put back, by turns.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import copy_context
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import click
from a2wsgi import WSGIMiddleware
from connexion.apps.flask import FlaskOperation
from connexion.middleware.request_validation import RequestValidationMiddleware
from connexion.middleware.routing import RoutingMiddleware
from flask.ctx import RequestContext as FlaskRequestContext
from starlette.types import Message, Scope

from models.database.connections import Connections
from models.database.prepared import Prepared
from roster import application, settings
from roster.application import Application, create_app
from roster.http.answers import Answer
from roster.http.context import RequestContext, current
from roster.server.dispatch import Dispatcher
from roster.server.threads import Threads
from roster.stack import wsgi
from roster.stack.late_context import Hooks
from roster.stack.wsgi import FlaskAdapter
from tests.benchmarks import data, operations
from tests.benchmarks.operations import Request

_WORKERS = 32
_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "scheme": "http",
    "root_path": "",
    "query_string": b"",
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 5000),
}


@contextmanager
def _thread_pool() -> Iterator[None]:
    with ThreadPoolExecutor(_WORKERS) as pool:

        async def run(_: Threads, function: Any, *arguments: Any) -> Any:
            call = partial(copy_context().run, function, *arguments)
            return await asyncio.get_running_loop().run_in_executor(pool, call)

        with mock.patch.object(Threads, "run", run):
            yield


@contextmanager
def _a2wsgi() -> Iterator[None]:
    """Run connexion's stack on the event loop, and Flask in a thread by connexion's adapter."""
    adapters: dict[FlaskAdapter, WSGIMiddleware] = {}

    async def answer(self: Dispatcher, scope: Scope, context: RequestContext) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": context.raw_body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        current.set(context)
        try:
            await self._app({**scope}, receive, send)
        finally:
            context.close()
        start, *bodies = sent
        body = b"".join(message.get("body", b"") for message in bodies)
        return Answer(start["status"], body, raw_headers=start["headers"])

    async def call(self: FlaskAdapter, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if self not in adapters:
                wsgi_app: Any = self._app.wsgi_app
                adapters[self] = WSGIMiddleware(wsgi_app, workers=_WORKERS)
            await adapters[self](scope, receive, send)

    with (
        mock.patch.object(Dispatcher, "__call__", answer),
        mock.patch.object(FlaskAdapter, "__call__", call),
    ):
        yield


def _contexts() -> AbstractContextManager[object]:
    """Have Flask make its contexts and its response, and look for hooks, though there are none."""
    return mock.patch.object(Hooks, "exist", new=True)


@contextmanager
def _flask_routing() -> Iterator[None]:
    with (
        _contexts(),
        mock.patch.object(wsgi, "_MatchedContext", FlaskRequestContext),
        mock.patch.object(FlaskAdapter, "_url_adapter", lambda self, request: self._bind(request)),
    ):
        yield


@contextmanager
def _view_decorators() -> Iterator[None]:
    adopt = FlaskAdapter.adopt

    def adopt_decorated(self: FlaskAdapter, views: Any) -> None:
        decorated = dict(self._app.view_functions)
        adopt(self, views)
        for endpoint, view in decorated.items():
            if isinstance(view, FlaskOperation):
                view._fn = wsgi._for_flask(view._fn)
                self._app.view_functions[endpoint] = view

    with _contexts(), mock.patch.object(FlaskAdapter, "adopt", adopt_decorated):
        yield


def _stack(*layers: Any) -> AbstractContextManager[object]:
    return mock.patch.object(application, "_STACK", layers)


@contextmanager
def _pool() -> Iterator[None]:
    with (
        mock.patch.object(Connections, "take", lambda self: self._engine.connect()),
        mock.patch.object(Connections, "give_back", lambda _, connection: connection.close()),
    ):
        yield


def _execute(self: Prepared, connection: Any, **values: Any) -> Any:
    found = connection.execute(self._statement, values)
    return found.all() if found.returns_rows else []


@contextmanager
def _execution() -> Iterator[None]:
    with (
        mock.patch.object(Prepared, "all", _execute),
        mock.patch.object(Prepared, "raw", _execute),
    ):
        yield


_PARTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "connexion's routing": partial(_stack, RoutingMiddleware, application._STACK[1]),
    "connexion's validation, besides": partial(
        _stack,
        *application._STACK,
        RequestValidationMiddleware,
    ),
    "Flask's contexts, hooks and response": _contexts,
    "those, with Flask's routing": _flask_routing,
    "those, with connexion's view decorators": _view_decorators,
    "connexion's WSGI adapter, with Flask's routing": _a2wsgi,
    "the event loop's thread pool": _thread_pool,
    "SQLAlchemy's pool": _pool,
    "SQLAlchemy's execution": _execution,
}


async def _call(app: Application, request: Request) -> None:
    body = request.body.encode()
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **request.headers}
    started: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        started.append(message)

    scope = {
        **_SCOPE,
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "extensions": {},
    }
    await app(scope, receive, send)
    if started[0]["status"] not in {200, 201}:
        raise click.ClickException(f"{request.method} {request.path}: {started[0]['status']}")


def _microseconds(app: Application, requests: Sequence[Request]) -> float:
    async def make() -> float:
        began = time.perf_counter()
        for request in requests:
            await _call(app, request)
        return (time.perf_counter() - began) / len(requests) * 1e6

    return asyncio.run(make())


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=20, help="How often each is measured; the medians count.")
@click.option("--requests", default=100, help="How many requests each round makes.")
def main(rounds: int, requests: int) -> None:
    """Measure each part that is bypassed."""
    with tempfile.TemporaryDirectory(prefix="roster-bypassed-") as folder, ExitStack() as apps:
        url = f"sqlite:///{Path(folder) / 'roster.db'}"
        known = {each.name: each.requests for each in operations.operations(data.fill(url))}
        chosen = settings.load(
            database_url=url, secret_key="a key for the benchmark alone", **data.BOUNDLESS
        )
        parts = {"": nullcontext, **_PARTS}
        built = {}
        for name, part in parts.items():
            with part():
                built[name] = create_app(chosen)
            apps.callback(built[name].engine.dispose)
        for name in ("users_me", "create_team"):
            wanted = tuple(islice(known[name] * requests, requests))
            times: dict[str, list[float]] = {each: [] for each in parts}
            for number in range(rounds + 1):
                for each, part in parts.items():
                    with part():
                        took = _microseconds(built[each], wanted)
                    if number:  # the first round warms up
                        times[each].append(took)
            click.echo(f"{operations.LABELS[name]}: {statistics.median(times['']):.0f} µs")
            for each in _PARTS:
                ratio = statistics.median(
                    theirs / ours for theirs, ours in zip(times[each], times[""], strict=True)
                )
                click.echo(f"  with {each}: {ratio - 1:+.0%}")


if __name__ == "__main__":
    main()
