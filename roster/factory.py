"""The factory: puts the rooms together into one ASGI application."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from connexion import FlaskApp
from connexion.middleware.context import ContextMiddleware
from connexion.middleware.response_validation import ResponseValidationMiddleware
from connexion.middleware.security import SecurityMiddleware
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from models import database
from roster import definition, documentation, logs
from roster.access import Rules
from roster.assets import Assets, from_file
from roster.boundary import Boundary
from roster.bridge import FlaskInPlace
from roster.captcha import Captcha
from roster.cors import with_cors
from roster.definition import Definition
from roster.detours import hash_elsewhere
from roster.documentation import Documentation
from roster.exchange import Exchange
from roster.hosts import known_hosts_only
from roster.metrics import Metrics
from roster.oauth import pages
from roster.oauth.limits import Limits
from roster.oauth.metadata import Metadata
from roster.oauth.provided import oauth_providers
from roster.options import answer_options
from roster.proxies import Proxies
from roster.routing import RoutingMiddleware
from roster.seam import Seam, providers
from roster.security import TokenHandler, metrics_handler
from roster.settings import Settings
from roster.validation import ValidationMiddleware
from roster.worker import Worker, step_through

# What connexion itself puts before these answers errors, which the boundary does.
_STACK = (RoutingMiddleware, SecurityMiddleware, ValidationMiddleware)
# A request id from outside goes into answers and logs, so only a UUID is taken over.
_REQUEST_ID = re.compile(r"[0-9A-Fa-f]{8}(-?)(?:[0-9A-Fa-f]{4}\1){3}[0-9A-Fa-f]{12}")


@dataclass(frozen=True)
class Application:
    """The whole server as an ASGI application, with the parts that its owner may want to reach."""

    settings: Settings
    definition: Definition
    engine: Engine
    sessions: sessionmaker[Session]
    limits: Limits
    asgi: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of an ASGI server."""
        await self.asgi(scope, receive, send)


def create_app(settings: Settings, *, validate_responses: bool = False) -> Application:
    """Build the server: all is loaded, resolved and checked here, nothing at the first request.

    :param validate_responses: check every answer of a handler against the definition, which costs
        time; for tests.
    :raises connexion.exceptions.ResolverError: where the definition names a handler that is not
        there.
    """
    logs.keep_secrets()
    defined = definition.load(settings.environment)
    engine = database.connect(
        settings.database_url, settings.threads, settings.database_limits, settings.prepares
    )
    sessions = database.session_factory(engine)
    metrics = Metrics()
    limits = Limits(settings)
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
    # A request that takes a detour runs the steps before it once more: what counts comes last.
    steps = (captcha.step, partial(hash_elsewhere, settings), limits.step)
    seam = Seam(defined, rules, given, steps)
    stack = _connexion(defined, seam, settings, validate_responses=validate_responses)
    worker = Worker(
        stack, settings.threads, queue=settings.queue, hashing_queue=settings.hashing_queue
    )

    async def options(_scope: Scope, exchange: Exchange) -> Any:
        return await worker.run(answer_options, exchange, rules)

    boundary = Boundary(
        definition=defined,
        connections=database.Connections(engine),
        inner=worker,
        options=options,
        begin=limits.guard,
        assets=Assets([*documentation.assets(), from_file(pages.STYLE, "/auth/style.css")]),
        observe=metrics.observe,
        origin=settings.origin,
        client_address=Proxies(settings.trusted_proxies or 0).client_address,
    )

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        yield
        worker.close()
        engine.dispose()

    http = CorrelationIdMiddleware(
        known_hosts_only(with_cors(boundary, settings), boundary.refuse, settings),
        update_request_header=False,
        validator=lambda value: _REQUEST_ID.fullmatch(value) is not None,
    )
    asgi = _Outermost(http, Router(lifespan=lifespan))
    return Application(settings, defined, engine, sessions, limits, asgi)


def _connexion(
    defined: Definition, seam: Seam, settings: Settings, *, validate_responses: bool
) -> ASGIApp:
    """Build connexion's app around Flask, complete, so that a mistake shows at the start."""
    checks = [ResponseValidationMiddleware] if validate_responses else []
    app = FlaskApp(
        "roster",
        middlewares=[*_STACK, *checks, ContextMiddleware],
        server_args={"static_folder": None},
        resolver=seam,
        security_map={"oauth2": TokenHandler, "bearer": metrics_handler(settings)},
        validate_responses=validate_responses,
    )
    # connexion offers no other way to change the bridge.
    bridge = FlaskInPlace(app.app)
    app._middleware_app.asgi_app = bridge  # type: ignore[assignment]  # noqa: SLF001
    app.add_api(defined.document)
    stack: ASGIApp = app.middleware
    # connexion builds its stack at the first event, whatever that is.
    step_through(stack({"type": "lifespan"}, _never, _never))
    bridge.adopt(seam.views)
    return stack


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
