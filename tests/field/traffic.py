"""Mixed requests of people who each check every answer they get."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import psycopg

from models import User
from models.database import connections
from tests.live import LiveServer
from tests.serving import PASSWORD

# What the log says of an error that nobody has thought of.
UNEXPECTED = "A request could not be answered"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# No answer, and those of a server or of a proxy that could not answer.
UNANSWERED = (0, 502, 503, 504)
# Every kind of request in turn; those of a team go from its making to its end.
ROUND = (
    "me",
    "create",
    "other",
    "rename",
    "me",
    "add_twice",
    "list",
    "me",
    "test_fails",
    "delete",
    "gone",
    "me",
)
_ROUNDS_PER_LOGIN = 3


class Somebody:
    """A user with a connection of its own to the server.

    `answers` counts the statuses of what was answered, `acknowledged` are the titles of the teams
    that must be there at the end, `doubtful` those of them that may have another title since, and
    `wrong` is what was answered wrongly.
    """

    client = "documentation"

    def __init__(self, url: str, number: int, timeout: float = 120) -> None:
        self.name = f"somebody{number}"
        self.id = 0
        self.answers: Counter[int] = Counter()
        self.acknowledged: dict[int, str] = {}
        self.doubtful: dict[int, tuple[str, str]] = {}
        self.wrong: list[str] = []
        self._timeout = timeout
        self.move_to(url)
        self._token = ""
        self._team = 0
        self._made = 0

    def move_to(self, url: str) -> None:
        """Make all further requests to the server at a URL."""
        self._http = HTTPConnection(urlsplit(url).netloc, timeout=self._timeout)

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, Any, Any]:
        """Make a request; return the status, the body and the headers of the answer."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        content = None if body is None else json.dumps(body)
        return self._send(method, f"/api/v1{path}", content, headers)

    def _send(
        self, method: str, path: str, content: str | None, headers: Any
    ) -> tuple[int, Any, Any]:
        try:
            self._http.request(method, path, content, headers)
            answer = self._http.getresponse()
            text = answer.read()
        except (OSError, HTTPException):
            self.close()
            self.answers[0] += 1
            return 0, {}, {}
        self.answers[answer.status] += 1
        if answer.status in UNANSWERED and "Retry-After" not in answer.headers:
            self.wrong.append(f"{method} {path}: {answer.status} without Retry-After")
        return answer.status, json.loads(text) if text else None, answer.headers

    def close(self) -> None:
        """Close the connection to the server; the next request opens another one."""
        self._http.close()

    def expect(self, what: str, found: object, *right: object) -> None:
        """Note what was answered otherwise than it should have been; refusals are counted only."""
        if found not in right and found not in UNANSWERED:
            self.wrong.append(f"{self.name}: {what}: {found!r}, not {right!r}")

    def login(self) -> int:
        """Log in; return the status."""
        form = {
            "grant_type": "password",
            "client_id": self.client,
            "username": self.name,
            "password": PASSWORD,
        }
        status, body, _ = self._send("POST", "/auth/oauth2/token", urlencode(form), _FORM)
        self.expect("login", status, 200)
        if status == 200:
            self._token = body["access_token"]
        return status

    def me(self) -> None:
        """Read oneself."""
        status, body, _ = self.ask("GET", "/users/me")
        self.expect("me", status, 200)
        if status == 200:
            self.expect("me", (body["id"], body["username"]), (self.id, self.name))

    def other(self) -> None:
        """Read one's team."""
        if self._team in self.acknowledged:
            status, body, _ = self.ask("GET", f"/teams/{self._team}")
            self.expect("team", status, 200)
            if status == 200:
                title = self.acknowledged[self._team]
                self.expect("team", (body["id"], body["title"]), (self._team, title))

    def list(self) -> None:
        """Read the list of one's team's members."""
        if self._team in self.acknowledged:
            status, body, _ = self.ask("GET", f"/teams/{self._team}/members")
            self.expect("members", status, 200)
            if status == 200:
                self.expect("members", [each["user"]["id"] for each in body], [self.id])

    def create(self) -> int:
        """Create a team; return the status."""
        self._made += 1
        title = f"{self.name} {self._made}"
        status, body, _ = self.ask("POST", "/teams", {"title": title})
        self.expect("create", status, 201)
        if status == 201:
            self.expect("create", body["title"], title)
            self._team = body["id"]
            self.acknowledged[self._team] = title
        return status

    def rename(self) -> None:
        """Give one's team another title."""
        if self._team in self.acknowledged:
            title = f"{self.acknowledged[self._team]} again"
            status, body, _ = self._patch({"op": "replace", "path": "/title", "value": title})
            self.expect("rename", status, 200)
            if status == 200:
                self.expect("rename", body["title"], title)
                self.acknowledged[self._team] = title
            elif status in UNANSWERED:
                self.doubtful[self._team] = (self.acknowledged.pop(self._team), title)

    def test_fails(self) -> None:
        """Ask for a change on a condition that does not hold, which is undone."""
        if self._team in self.acknowledged:
            status, _, _ = self._patch(
                {"op": "replace", "path": "/title", "value": "never"},
                {"op": "test", "path": "/title", "value": "otherwise"},
            )
            self.expect("test", status, 409)

    def _patch(self, *operations: Any) -> tuple[int, Any, Any]:
        return self.ask(
            "PATCH", f"/teams/{self._team}", operations, kind="application/json-patch+json"
        )

    def add_twice(self) -> None:
        """Add oneself to one's team, where one is already."""
        if self._team in self.acknowledged:
            body = {"user_id": self.id}
            status, _, _ = self.ask("POST", f"/teams/{self._team}/members", body)
            self.expect("add", status, 409)

    def delete(self) -> None:
        """Delete one's team."""
        if self._team in self.acknowledged:
            status, _, _ = self.ask("DELETE", f"/teams/{self._team}")
            self.expect("delete", status, 204)
            # Whether it went is not known where the answer was none.
            del self.acknowledged[self._team]

    def gone(self) -> None:
        """Read a team that was deleted."""
        if self._team and not any(self.answers[each] for each in UNANSWERED):
            status, _, _ = self.ask("GET", f"/teams/{self._team}")
            self.expect("gone", status, 404)

    def steps(self) -> Iterator[None]:
        """Make requests for ever, one for each step."""
        while True:
            self.login()
            yield
            for _ in range(_ROUNDS_PER_LOGIN):
                for step in ROUND:
                    getattr(self, step)()
                    yield


_Kind = TypeVar("_Kind", bound=Somebody)


def people(kind: type[_Kind], url: str, database_url: str, number: int) -> list[_Kind]:
    """Create users of the server at a URL, in its database. They are to be closed at the end."""
    found = [kind(url, each) for each in range(number)]
    engine = connections.connect(database_url)
    with connections.session_factory(engine)() as session:
        for each in found:
            email = f"{each.name}@example.com"
            made = User.create(session, username=each.name, email=email, password=PASSWORD)
            each.id = made.id
        session.commit()
    engine.dispose()
    return found


MakePeople = Callable[[LiveServer, str, int], list[Somebody]]


def make_requests(crowd: Sequence[Somebody], number: int) -> Counter[int]:
    """Have all make requests at once, this number altogether.

    How often which status was answered to them, so far, is returned.
    """

    def go(somebody: Somebody) -> None:
        steps = somebody.steps()
        enough = somebody.answers.total() + number / len(crowd)
        while somebody.answers.total() < enough:
            next(steps)
        somebody.close()

    with ThreadPoolExecutor(len(crowd)) as pool:
        list(pool.map(go, crowd))
    return sum((each.answers for each in crowd), Counter())


def lost(crowd: Sequence[Somebody], database_url: str) -> dict[int, str | None]:
    """Return the teams that are not in the database as somebody was told, with their titles."""
    with psycopg.connect(database_url) as connection:
        there: dict[int, str] = dict(connection.execute("SELECT id, title FROM teams").fetchall())
    told = {id: (title,) for each in crowd for id, title in each.acknowledged.items()}
    doubtful = {id: titles for each in crowd for id, titles in each.doubtful.items()}
    return {
        id: there.get(id)
        for id, titles in {**told, **doubtful}.items()
        if there.get(id) not in titles
    }
