"""Pages of Flask's own: paths that the definition lacks and a Flask blueprint has."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import Scope

from roster.http.answers import Answer
from roster.stack.wsgi import FlaskAdapter


@dataclass(frozen=True)
class FlaskPages:
    """Answer such requests in one of the threads, with Flask's own routing and no validation."""

    flask: FlaskAdapter
    run: Callable[..., Awaitable[Any]]

    def has(self, scope: Scope) -> bool:
        """Tell whether Flask has a rule of its own for a request's path."""
        return self.flask.finds_page(scope["path"], scope["method"])

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a request whose body is in memory.

        :raises HTTPError: 503, where too many requests are waiting.
        """
        status, headers, content = await self.run(self.flask.page, scope, body)
        return Answer(status, content, raw_headers=headers)
