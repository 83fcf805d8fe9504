"""The late context: Flask's context of a request, made when a handler first uses it."""

from collections.abc import Callable
from contextvars import Token
from functools import cached_property
from types import FunctionType
from typing import Any

import flask
from flask import app as flask_app
from flask import signals
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from werkzeug.routing import MapAdapter

# What Flask calls for each request, once somebody has registered something.
_FUNCTIONS = (
    "url_value_preprocessors",
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "teardown_appcontext_funcs",
)
_SIGNALS = (
    signals.appcontext_pushed,
    signals.appcontext_popped,
    signals.appcontext_tearing_down,
    signals.request_started,
    signals.request_finished,
    signals.request_tearing_down,
)
# Those of any app, which are seen at one look.
_RECEIVERS = tuple(signal.receivers for signal in _SIGNALS)
# The methods that call them, which some tools replace.
_METHODS = (
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "finalize_request",
    "make_response",
    "process_response",
    "do_teardown_request",
    "do_teardown_appcontext",
    "app_context",
)


class Hooks:
    """What Flask has to call around a view, or to make of a project's own, for each request."""

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self._functions = tuple(getattr(app, name) for name in _FUNCTIONS)

    @property
    def exist(self) -> bool:
        """Whether there are any now; replaced methods of Flask are looked for once."""
        app = self._app
        if any(self._functions) or app.config["SECRET_KEY"] or self._have_replaced_methods:
            return True
        if app.response_class is not flask.Response:
            return True
        if type(app.session_interface) is not SecureCookieSessionInterface:
            return True
        return any(_RECEIVERS) and any(signal.has_receivers_for(app) for signal in _SIGNALS)

    @cached_property
    def _have_replaced_methods(self) -> bool:
        return any(_is_replaced(self._app, name) for name in _METHODS)


def _is_replaced(app: flask.Flask, name: str) -> bool:
    """Tell whether a method is not Flask's own: of the app, of its class, or around it."""
    method = getattr(type(app), name)
    is_own = type(method) is FunctionType and method.__code__.co_filename == flask_app.__file__
    return name in vars(app) or not is_own


class LateContext(RequestContext):
    """A request context whose request is made when somebody asks for it, as few handlers do.

    `make` makes it. With the rest of what Flask does around a view, it takes a third of the time of
    a request for `users/me`. Use it only where Flask has nothing to call around the view.
    """

    def __init__(self, app: flask.Flask, make: Callable[[], RequestContext]) -> None:
        # Without what the base class does, which begins with the request.
        self.app = app
        self.flashes = None
        self._make = make
        self._after_request_functions = []
        self._bound: list[tuple[Token[RequestContext], Token[AppContext] | None]] = []

    @cached_property
    def made(self) -> RequestContext:
        """The context that Flask itself would have made."""
        return self._make()

    @cached_property
    def request(self) -> flask.Request:  # type: ignore[override]
        """The request."""
        return self.made.request

    @cached_property
    def url_adapter(self) -> MapAdapter | None:  # type: ignore[override]
        """What `url_for` needs."""
        return self.made.url_adapter

    @cached_property
    def _session(self) -> SessionMixin:  # type: ignore[override]
        # Nobody can write to it: the app has no key for one.
        return self.app.session_interface.make_null_session(self.app)

    @property
    def has_more(self) -> bool:
        """Whether the view has asked for more to be called after it."""
        return bool(self._after_request_functions)

    def copy(self) -> RequestContext:
        """Return a context with the same request, for another thread."""
        return self.made.copy()

    def push(self) -> None:
        """Bind the context, and one of the app, unless that is bound; a stream does it again."""
        of_app = _cv_app.get(None)
        is_there = of_app is not None and of_app.app is self.app
        app_token = None if is_there else _cv_app.set(self.app.app_context())
        self._bound.append((_cv_request.set(self), app_token))

    def pop(self, exc: Any = None) -> None:
        """Unbind the contexts, and close the files of the request at the end."""
        token, app_token = self._bound.pop()
        if not self._bound and "made" in vars(self):
            self.request.close()
            self.request.environ["werkzeug.request"] = None  # a circle of references
        _cv_request.reset(token)
        if app_token is not None:
            _cv_app.reset(app_token)
