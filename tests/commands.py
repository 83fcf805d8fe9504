"""Commands of the command line, run in this process, and the database that they work on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from models import User
from models.database import connections

PASSWORD = "correct horse battery staple"
CLIENT = ("clients", "create", "--owner", "ada", "--name", "Site")
MORE = ("--grant", "password", "--scope", "users:read")


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and the status with which it ended."""

    status: int
    out: str
    error: str

    @property
    def line(self) -> str:
        """The one line of a failure."""
        assert self.status != 0
        assert self.out == ""
        [line] = self.error.splitlines()
        assert "Traceback" not in line
        return line


Run = Callable[..., Outcome]


@dataclass(frozen=True)
class Migrated:
    """A migrated database."""

    url: str

    def ask(self, function: Callable[[Any], Any]) -> Any:
        """Call a function with a session."""
        engine = connections.connect(self.url)
        try:
            with connections.session_factory(engine)() as session:
                result = function(session)
                session.commit()
                return result
        finally:
            engine.dispose()

    def user(self, username: str) -> User:
        """Return a user."""
        found = self.ask(lambda session: User.find_by_login(session, username))
        assert isinstance(found, User)
        return found


def rows(migrated: Migrated, kind: Any) -> int:
    """Return how many objects of a kind there are."""
    count: int = migrated.ask(lambda session: session.scalar(select(func.count(kind.id))))
    return count
