"""The application factory: composes the packages into one ASGI application."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import flask
from connexion import FlaskApp
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.response_validation import ResponseValidationMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.spec import OpenAPISpecification
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from models.database import connections
from models.database.checkpoints import Checkpoints
from models.users import passwords
from roster import pages
from roster.api import documentation
from roster.api.captcha import Captcha
from roster.api.documentation import Documentation
from roster.contract import loader
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionErrors
from roster.http.context import RequestContext
from roster.oauth.metadata import Metadata
from roster.oauth.providers import oauth_providers
from roster.oauth.rate_limits import Limits
from roster.observability import logs
from roster.observability.access import AccessLog
from roster.observability.metrics import Metrics
from roster.purges import purges_of
from roster.rates.rates import Rates
from roster.server.assets import Assets, from_file
from roster.server.cors import with_cors
from roster.server.dispatch import Dispatcher, step_through
from roster.server.entry import EntryPoint
from roster.server.hosts import known_hosts_only
from roster.server.proxies import Proxies
from roster.server.purging import Purging
from roster.server.request_ids import RequestIds
from roster.server.watching import watch
from roster.settings import Settings, SettingsError
from roster.stack.authorization import Rules
from roster.stack.extension import Extend, find_extension
from roster.stack.flask_pages import FlaskPages
from roster.stack.hashing import hash_elsewhere
from roster.stack.idempotency import Idempotency
from roster.stack.object_checks import check_objects
from roster.stack.operation_scope import OperationMiddleware
from roster.stack.options import answer_options
from roster.stack.providers import providers
from roster.stack.resolver import HandlerResolver
from roster.stack.security import TokenHandler, metrics_handler
from roster.stack.validation import ValidationMiddleware
from roster.stack.wsgi import FlaskAdapter

# What connexion itself puts before these answers errors, which the entry point does.
_STACK = (OperationMiddleware, SecurityMiddleware)
_Act = Callable[[], None]


@dataclass(frozen=True)
class Application:
    """The whole server as an ASGI application, with the parts that its owner may want to reach.

    `flask` is the Flask app that calls the handlers. Extend it by `create_app(..., extend=...)`.
    """

    settings: Settings
    definition: Definition
    engine: Engine
    sessions: sessionmaker[Session]
    limits: Limits
    rates: Rates
    flask: flask.Flask
    asgi: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of an ASGI server."""
        await self.asgi(scope, receive, send)


def create_app(
    settings: Settings,
    *,
    validate_responses: bool = False,
    extend: Extend | None = None,
) -> Application:
    """Build the server: all is loaded, resolved and checked here, nothing at the first request.

    :param validate_responses: check every answer of a handler against the definition, which costs
        time; for tests.
    :param extend: called once with the Flask app before the first request, to set its config and
        to register extensions, hooks, error handlers and blueprints, as in any Flask app. Paths
        of the definition win over those of blueprints. Hooks run for operations too, but not for
        requests that are refused before Flask; an operation that hashes passwords or asks a
        captcha service may run them twice. By default the function that the settings name.
    :raises SettingsError: where the settings name a function that is not there.
    :raises DefinitionError: where the definition is wrong, or does not fit the handlers.
    """
    logs.keep_secrets()
    extend = extend or find_extension(settings)
    defined = loader.load(settings.environment)
    with defined.locating():
        check_objects(defined)
    engine = connections.connect(
        settings.database_url, settings.threads, settings.database_limits, settings.prepares
    )
    sessions = connections.session_factory(engine)
    metrics = Metrics()
    limits = Limits(settings, metrics.limited)
    rates = Rates(settings, defined, metrics.limited)
    captcha = Captcha(settings, limits)
    rules = Rules(settings)
    given = providers(
        settings,
        captcha=captcha,
        definition=defined,
        documentation=Documentation(settings),
        metadata=Metadata(defined, settings),
        engine=engine,
        metrics=metrics,
    )
    given = {**given, **oauth_providers(settings, defined, limits)}
    idempotency = Idempotency(settings)
    # A request that takes a detour runs the steps before it once more: what counts comes last.
    steps = (
        idempotency.find,
        captcha.step,
        partial(hash_elsewhere, settings),
        limits.step,
        idempotency.claim,
    )
    resolver = HandlerResolver(defined, rules, given, steps)
    with defined.locating():
        stack, app, adapter = _connexion(
            defined, resolver, settings, validate_responses=validate_responses
        )
    if extend:
        extend(app)
    dispatcher = Dispatcher(
        stack, settings.threads, queue=settings.queue, hashing_queue=settings.hashing_queue
    )

    pool = connections.Connections(engine, metrics.used_database)
    passwords.observe(metrics.hashed)
    watch(metrics, dispatcher, engine, pool)

    async def options(_scope: Scope, context: RequestContext) -> Any:
        return await dispatcher.run(answer_options, context, rules)

    def begin(context: RequestContext) -> None:
        limits.attach(context)
        rates.attach(context)

    assets = Assets([*documentation.assets(), from_file(pages.STYLE, "/auth/style.css")])
    client_address = Proxies(settings.trusted_proxies or 0).client_address
    entry_point = EntryPoint(
        definition=defined,
        connections=pool,
        inner=dispatcher,
        options=options,
        begin=begin,
        assets=assets,
        observe=metrics.observe,
        origin=settings.origin,
        client_address=client_address,
        pages=FlaskPages(adapter, dispatcher.run),
        run=dispatcher.run,
    )

    tracing = _tracing(settings, engine)
    checkpoints = Checkpoints(engine)
    purging = Purging(sessions, purges_of(settings), metrics, settings.purge_hours)
    traced = [tracing] if tracing else []
    life = _life(
        [each.start for each in (purging, metrics, checkpoints, *traced)],
        [each.close for each in (purging, metrics, dispatcher, checkpoints, rates, *traced)],
        [engine.dispose, logs.end],
    )

    inner = known_hosts_only(with_cors(entry_point, settings), entry_point.refuse, settings)
    log = logs.access_log()
    if log:
        inner = AccessLog(inner, log.write, assets, client_address)
    if tracing:
        inner = tracing.traced(inner)
    asgi = _Outermost(RequestIds(inner), Router(lifespan=life))
    return Application(settings, defined, engine, sessions, limits, rates, app, asgi)


def _life(starts: Sequence[_Act], *ends: Sequence[_Act]) -> Callable[[Any], Any]:
    """Return the lifespan of a server: what is called at its start, and at its end."""

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        for start in starts:
            start()
        yield
        for end in chain(*ends):
            end()

    return lifespan


def _tracing(settings: Settings, engine: Engine) -> Any:
    """Make the tracing; None where nothing is traced, which needs none of its packages."""
    if not settings.traces_url:
        return None
    try:
        from roster.observability.tracing import Tracing  # noqa: PLC0415
    except ModuleNotFoundError:
        raise SettingsError("ROSTER_TRACES_URL needs the packages of roster[tracing]") from None
    return Tracing(settings, engine)


def _connexion(
    defined: Definition, resolver: HandlerResolver, settings: Settings, *, validate_responses: bool
) -> tuple[ASGIApp, flask.Flask, FlaskAdapter]:
    """Build connexion's app around Flask, complete, so that a mistake shows at the start."""
    checks = [ResponseValidationMiddleware] if validate_responses else []
    app = FlaskApp(
        "roster",
        middlewares=[
            *_STACK,
            partial(ValidationMiddleware, definition=defined),
            *checks,
            ContextMiddleware,
        ],
        server_args={"static_folder": None},
        resolver=resolver,
        security_map={"oauth2": TokenHandler, "bearer": metrics_handler(settings)},
        validate_responses=validate_responses,
    )
    # connexion offers no other way to change its WSGI adapter.
    adapter = FlaskAdapter(app.app)
    app._middleware_app.asgi_app = adapter  # type: ignore[assignment]  # noqa: SLF001
    stack: ASGIApp = app.middleware
    with _without_second_check():
        app.add_api(defined.document, base_path=defined.base_path or None)
        # connexion builds its stack, and reads the definition, at the first event, whatever it is.
        step_through(stack({"type": "lifespan"}, _never, _never))
    if resolver.mistakes:
        raise DefinitionErrors(resolver.mistakes)
    adapter.adopt(resolver.views)
    return stack, app.app, adapter


@contextmanager
def _without_second_check() -> Iterator[None]:
    """Keep connexion from checking the document, which takes half of the time of a start.

    The loader has checked it by the same schema, with a faster validator.
    """
    OpenAPISpecification._validate_spec = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001
    try:
        yield
    finally:
        # That of its base class is found again.
        del OpenAPISpecification._validate_spec  # noqa: SLF001


async def _never(*_: Any) -> Any:
    raise RuntimeError("There is nothing to receive or to send here.")


@dataclass(frozen=True)
class _Outermost:
    """Tell ASGI's events apart: HTTP, the server's own life, and WebSockets, which are refused."""

    http: ASGIApp
    life: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.life(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})
