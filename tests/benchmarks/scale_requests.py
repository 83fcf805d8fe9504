"""The requests whose cost must not grow, sent straight to the server in this process."""

import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from models import Code
from models.database.base import now
from models.development import CLIENT_SECRET
from models.oauth.secret import digest, generate
from roster.application import Application
from tests.benchmarks.authorization import INTROSPECT_PATH, REVOKE_PATH, VERIFIER, challenge
from tests.benchmarks.data import REDIRECT_URI
from tests.benchmarks.operations import TOKEN_PATH
from tests.benchmarks.scale_data import BUSY, DOCUMENTATION, Size, access_token, refresh_token

_PLACES = 20
_CLIENT = urlencode({"client_id": "documentation", "client_secret": CLIENT_SECRET})


@dataclass(frozen=True)
class Answer:
    """What the server answered, and how long that took, in seconds."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    took: float


async def send(
    app: Application, method: str, target: str, *, token: str = "", form: str = ""
) -> Answer:
    """Send one request to a server without a socket in between."""
    parts = urlsplit(target)
    headers = [(b"host", b"127.0.0.1:5000")]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    if form:
        headers.append((b"content-type", b"application/x-www-form-urlencoded"))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 5000),
        "state": {},
    }
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": form.encode(), "more_body": False}

    async def collect(message: Any) -> None:
        messages.append(message)

    began = time.perf_counter()
    await app(scope, receive, collect)
    took = time.perf_counter() - began
    body = b"".join(message.get("body", b"") for message in messages[1:])
    answer = Answer(messages[0]["status"], dict(messages[0]["headers"]), body, took)
    if answer.status != 200:
        raise RuntimeError(f"{method} {target} was answered {answer.status}: {body.decode()}")
    return answer


class Visitor:
    """Makes requests as random users, so that no cache knows what comes next."""

    def __init__(self, app: Application, size: Size) -> None:
        self._app = app
        self._size = size
        self._random = random.Random(4711)
        self._refresh_tokens: dict[int, str] = {}
        self._cursors: dict[str, list[str]] = {}

    @property
    def operations(self) -> dict[str, Callable[[], Awaitable[float]]]:
        """What is measured: each makes one request, and returns how long it took in seconds."""
        return {
            "users/me": self.read_me,
            "users, a page by cursor": self.list_users,
            "teams, a page by cursor": self.list_teams,
            "token refresh": self.refresh,
            "client credentials": self.client_credentials,
            "code exchange": self.exchange,
            "introspection": self.introspect,
            "revocation": self.revoke,
        }

    async def begin(self) -> None:
        """Find places all over the lists, from which the pages go on."""
        for path, token, rows in (
            ("/api/v1/users", await self._admin(), self._size.users),
            ("/api/v1/teams", access_token(BUSY), self._size.teams),
        ):
            self._cursors[path] = [
                self._next(
                    await send(
                        self._app,
                        "GET",
                        f"{path}?limit=20&offset={self._random.randrange(max(rows - 40, 1))}",
                        token=token,
                    )
                )
                for _ in range(_PLACES)
            ]

    async def read_me(self) -> float:
        """Ask who a random user is."""
        answer = await send(
            self._app, "GET", "/api/v1/users/me", token=access_token(self._living_grant())
        )
        return answer.took

    async def list_users(self) -> float:
        """Read a page of all users, as an admin."""
        return await self._page("/api/v1/users", await self._admin())

    async def list_teams(self) -> float:
        """Read a page of the teams of a user who belongs to all of them."""
        return await self._page("/api/v1/teams", access_token(BUSY))

    async def refresh(self) -> float:
        """Exchange a random refresh token for the next pair."""
        return (await self._refresh()).took

    async def client_credentials(self) -> float:
        """Request a token for a service."""
        form = f"grant_type=client_credentials&{_CLIENT}"
        return (await send(self._app, "POST", TOKEN_PATH, form=form)).took

    async def exchange(self) -> float:
        """Exchange a code of a random user for tokens."""
        code = self._new_code(self._size.user_of(self._living_grant()))
        form = f"grant_type=authorization_code&{_CLIENT}&code={code}&code_verifier={VERIFIER}"
        form = f"{form}&redirect_uri={quote(REDIRECT_URI, safe='')}"
        return (await send(self._app, "POST", TOKEN_PATH, form=form)).took

    async def introspect(self) -> float:
        """Ask for the state of a random access token."""
        form = f"{_CLIENT}&token={access_token(self._living_grant())}"
        return (await send(self._app, "POST", INTROSPECT_PATH, form=form)).took

    async def revoke(self) -> float:
        """End a new access token of a random grant."""
        token = json.loads((await self._refresh()).body)["access_token"]
        form = f"{_CLIENT}&token={token}"
        return (await send(self._app, "POST", REVOKE_PATH, form=form)).took

    async def _refresh(self) -> Answer:
        grant = self._living_grant()
        value = self._refresh_tokens.get(grant) or refresh_token(grant)
        form = f"grant_type=refresh_token&client_id=documentation&refresh_token={value}"
        answer = await send(self._app, "POST", TOKEN_PATH, form=form)
        self._refresh_tokens[grant] = json.loads(answer.body)["refresh_token"]
        return answer

    def _new_code(self, user_id: int) -> str:
        """Store a code as the consent page does, and return it."""
        code, moment = generate(), now()
        with self._app.sessions() as session:
            Code.store(
                session.connection(),
                code_hash=digest(code),
                client_id=DOCUMENTATION,
                user_id=user_id,
                redirect_uri=REDIRECT_URI,
                redirect_uri_given=True,
                code_challenge=challenge(VERIFIER),
                scope="users:read",
                created=moment,
                expires_at=moment + timedelta(seconds=60),
            )
            session.commit()
        return code

    def _living_grant(self) -> int:
        while True:
            grant = self._random.randrange(self._size.grants)
            if not self._size.is_dead(grant) and self._size.client_of(grant) == DOCUMENTATION:
                return grant

    async def _admin(self) -> str:
        if not hasattr(self, "_admins_token"):
            form = "grant_type=password&client_id=documentation&username=root&password=q"
            answer = await send(self._app, "POST", TOKEN_PATH, form=form)
            self._admins_token = str(json.loads(answer.body)["access_token"])
        return self._admins_token

    async def _page(self, path: str, token: str) -> float:
        place = self._random.randrange(_PLACES)
        cursors = self._cursors[path]
        answer = await send(self._app, "GET", cursors[place], token=token)
        if b"link" in answer.headers:  # else the list is at its end, and the page comes again
            cursors[place] = self._next(answer)
        return answer.took

    @staticmethod
    def _next(answer: Answer) -> str:
        link = answer.headers[b"link"].decode()
        return link.partition("<")[2].partition(">")[0]
