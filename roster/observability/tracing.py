"""Traces: spans of requests, statements, hashes and calls, for an OpenTelemetry collector.

Its packages are an extra, `roster[tracing]`. Nothing is traced, and nothing costs time, where
`ROSTER_TRACES_URL` is not set: functions are wrapped at the start of a server that traces.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version
from threading import Thread
from typing import Any

import httpx2
from asgi_correlation_id import correlation_id
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Engine, event
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.database.postgresql import PostgreSQLConnection
from models.database.sqlite import SQLiteConnection
from models.users import passwords
from roster.http.context import CONTEXT, RequestContext
from roster.settings import Settings

# W3C's traceparent and tracestate alone: a client's baggage goes to no other service.
_CONTEXT = TraceContextTextMapPropagator()
# More spans than these do not wait for the collector, nor a batch longer: they are dropped.
_MAX_SPANS = 4096
_BATCH = 512
_EXPORT_SECONDS = 5
# How long the end of the server waits for the last spans.
_PATIENCE = 1.0
_MAX_SQL = 2000
_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
# Methods of the drivers that go past SQLAlchemy's cursors.
_OF_DRIVERS = ("fetch", "write", "write_later", "begin", "commit")
_SPAN = "roster_span"


class Tracing:
    """The tracing of one server, from its start to its end."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        named = {"service.name": "roster", "service.version": version("roster")}
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.traces_share)),
            resource=Resource.create(named),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=settings.traces_url, timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=_MAX_SPANS, max_export_batch_size=_BATCH)
        )
        self._tracer = self._provider.get_tracer("roster")
        self._system = "postgresql" if engine.dialect.name == "postgresql" else "sqlite"
        self._engine = engine
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Wrap the functions that are traced."""
        for driver in (SQLiteConnection, PostgreSQLConnection):
            for name in _OF_DRIVERS:
                self._replace(driver, name, self._of_driver(getattr(driver, name), name))
        self._replace(passwords, "_compute", self._of_hash(passwords._compute))  # noqa: SLF001
        self._replace(httpx2.AsyncClient, "send", self._of_call(httpx2.AsyncClient.send))
        event.listen(self._engine, "before_cursor_execute", self._before)
        event.listen(self._engine, "after_cursor_execute", self._after)
        event.listen(self._engine, "handle_error", self._failed)
        self._undo += [
            lambda: event.remove(self._engine, "before_cursor_execute", self._before),
            lambda: event.remove(self._engine, "after_cursor_execute", self._after),
            lambda: event.remove(self._engine, "handle_error", self._failed),
        ]

    def close(self) -> None:
        """Send the last spans, for so long at most as a stop may take, and unwrap all."""
        while self._undo:
            self._undo.pop()()
        ending = Thread(target=self._provider.shutdown, name="roster-tracing", daemon=True)
        ending.start()
        ending.join(_PATIENCE)

    def traced(self, app: ASGIApp) -> ASGIApp:
        """Return an ASGI application with a span for each request to this one."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            sent = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            }
            method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
            told = {"http.request.method": method}
            with self._span(
                method, context=_CONTEXT.extract(sent), kind=SpanKind.SERVER, attributes=told
            ) as span:

                async def telling(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        _tell(span, scope, method, message["status"])
                    await send(message)

                await app(scope, receive, telling)

        return application

    def _replace(self, owner: Any, name: str, replacement: Any) -> None:
        original = vars(owner)[name]
        setattr(owner, name, replacement)
        self._undo.append(lambda: setattr(owner, name, original))

    def _of_driver(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(real)
        def call(connection: Any, *arguments: Any) -> Any:
            if name in {"fetch", "write", "write_later"}:
                sql = str(arguments[0])
            elif connection.in_transaction is (name == "commit"):
                sql = name.upper()
            else:  # there is nothing to begin, or to commit
                return real(connection, *arguments)
            with self._inside(_name(sql), kind=SpanKind.CLIENT, attributes=self._told(sql)):
                return real(connection, *arguments)

        return call

    def _of_hash(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def compute(*arguments: Any) -> Any:
            with self._inside("password hash"):
                return real(*arguments)

        return compute

    def _of_call(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(real)
        async def send(client: Any, request: Any, **options: Any) -> Any:
            told = {"http.request.method": request.method, "server.address": request.url.host}
            with self._span(request.method, kind=SpanKind.CLIENT, attributes=told) as span:
                _CONTEXT.inject(request.headers)
                response = await real(client, request, **options)
                span.set_attribute("http.response.status_code", response.status_code)
                return response

        return send

    @contextmanager
    def _span(self, name: str, **options: Any) -> Iterator[Span]:
        """Make a span; an error is one without its message, which may hold what was sent."""
        options |= {"record_exception": False, "set_status_on_exception": False}
        with self._tracer.start_as_current_span(name, **options) as span:
            try:
                yield span
            except BaseException:
                span.set_status(StatusCode.ERROR)
                raise

    @contextmanager
    def _inside(self, name: str, **options: Any) -> Iterator[None]:
        """Make a span, but only inside that of a request."""
        if not trace.get_current_span().is_recording():
            yield
            return
        with self._span(name, **options):
            yield

    def _told(self, sql: str) -> dict[str, str]:
        return {"db.system.name": self._system, "db.query.text": sql[:_MAX_SQL]}

    def _before(self, _: Any, __: Any, sql: str, ___: Any, context: Any, ____: bool) -> None:
        if trace.get_current_span().is_recording():
            span = self._tracer.start_span(
                _name(sql), kind=SpanKind.CLIENT, attributes=self._told(sql)
            )
            setattr(context, _SPAN, span)

    def _after(self, _: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        _end(context, None)

    def _failed(self, failure: Any) -> None:
        _end(failure.execution_context, StatusCode.ERROR)


def _end(context: Any, status: StatusCode | None) -> None:
    span: Span | None = getattr(context, _SPAN, None)
    if span is not None:
        if status is not None:
            span.set_status(status)
        span.end()
        delattr(context, _SPAN)


def _name(sql: str) -> str:
    """Name a statement by its verb and its first table."""
    verb = sql.split(None, 1)[0].upper()
    table = re.search(r"\b(?:FROM|INTO|UPDATE)\s+(\w+)", sql)
    return f"{verb} {table[1]}" if table else verb


def _tell(span: Span, scope: Scope, method: str, status: int) -> None:
    """Add the route and the status of a request to its span; nothing that it sent."""
    context: RequestContext | None = scope.get(CONTEXT)
    if context is not None:
        template = context.route.template
        span.update_name(f"{method} {template}")
        span.set_attribute("http.route", template)
        if context.operation is not None:
            span.set_attribute("roster.operation", context.operation.id)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("roster.request_id", correlation_id.get() or "")
    if status >= 500:
        span.set_status(StatusCode.ERROR)
