"""The data of the benchmark: one database of each kind, of which every server gets a copy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import Client, Grant, Member, Team, Token, User
from models.database import connections, migrate
from models.database.base import now
from models.oauth.client import CONFIDENTIAL, GRANT_TYPES, PUBLIC
from models.oauth.secret import digest, generate
from models.oauth.token import ACCESS, REFRESH
from models.users import passwords
from tests.scopes import ALL_SCOPES

USERS = 1000
TEAMS = 100
MEMBERS = 10
FOUNDERS = 200
CLIENT = "benchmark"
# The confidential clients of the authorization server: that of the code flow, and one for itself.
WEB = "benchmark-web"
SERVICE = "benchmark-service"
SECRET = "k9Zr2mWq7LxVb4TnHs8PyCd3JfGa6EuX0oRiQwNvBtM"
REDIRECT_URI = "https://app.example.com/callback"
SCOPES = ("teams:read", "users:read")
PASSWORD = "correct horse battery staple"
# Settings with which every request is counted, and none is one too many.
BOUNDLESS = {"rate_per_address": 10**9, "rate_per_token": 10**9}
# So many log in by turns that no two of 16 clients guess at one account at the same time. Their
# tokens serve nothing else, for a grant too many ends the oldest one.
LOGINS = tuple(f"user{number}" for number in range(301, 333))


@dataclass(frozen=True)
class Data:
    """What requests need to know of the rows.

    The member leads the team, and does not belong to the foreign one. The narrow token may only
    read users. The founders create teams by turns, for nobody leads thousands.
    """

    admin_token: str
    member_token: str
    narrow_token: str
    expired_token: str
    team_id: int
    foreign_team_id: int
    founders: tuple[str, ...]


def fill(url: str) -> Data:
    """Make the tables by Roster's migrations, and fill them."""
    engine = connections.connect(url)
    migrate.upgrade(engine)
    with connections.session_factory(engine)() as session:
        users = _users(session)
        client = Client(
            client_id=CLIENT,
            user_id=users[0].id,
            name="Benchmark",
            client_type=PUBLIC,
            scopes=ALL_SCOPES,
            grant_types=GRANT_TYPES,
            redirect_uris=(),
        )
        session.add_all([client, *_confidential_clients(users[0])])
        teams = [_team(session, users, number) for number in range(TEAMS)]
        session.flush()
        tokens = [_token(session, client, user) for user in users]
        known = Data(
            admin_token=tokens[0],
            member_token=tokens[1],
            narrow_token=_token(session, client, users[1], scope=("users:read",)),
            expired_token=_token(session, client, users[1], days=-1),
            team_id=teams[0].id,
            foreign_team_id=teams[50].id,
            founders=tuple(tokens[-FOUNDERS:]),
        )
        session.commit()
    engine.dispose()
    analyze(url)
    return known


def analyze(url: str) -> None:
    """Let the database learn how its rows are distributed."""
    engine = connections.connect(url)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()


def refresh_tokens(url: str, count: int) -> list[str]:
    """Store new refresh tokens of the users that log in, each of a family of its own."""
    with session(url) as opened:
        client = Client.find(opened, CLIENT)
        users = opened.scalars(select(User).where(User.username.in_(LOGINS))).all()
        assert client
        return [
            _token(opened, client, users[number % len(users)], REFRESH) for number in range(count)
        ]


@contextmanager
def session(url: str) -> Iterator[Session]:
    """Open a session, which is committed at the end."""
    engine = connections.connect(url)
    with connections.session_factory(engine)() as opened:
        yield opened
        opened.commit()
    engine.dispose()


def _users(session: Session) -> list[User]:
    password_hash = passwords.hash_password(PASSWORD)
    users = [
        User(
            username=f"user{number}" if number else "root",
            email=f"user{number}@example.com",
            password_hash=password_hash,
            first_name="Ada",
            last_name=f"Lovelace {number}",
            is_admin=number == 0,
        )
        for number in range(USERS)
    ]
    for user in users:
        session.add(user)
        session.flush()  # one after the other: their ids are in this order
    return users


def _confidential_clients(owner: User) -> list[Client]:
    same = {
        "user_id": owner.id,
        "client_type": CONFIDENTIAL,
        "secret_hash": digest(SECRET),
        "scopes": SCOPES,
    }
    return [
        Client(
            client_id=WEB,
            name=WEB,
            grant_types=("authorization_code", "refresh_token"),
            redirect_uris=(REDIRECT_URI,),
            **same,
        ),
        Client(
            client_id=SERVICE,
            name=SERVICE,
            grant_types=("client_credentials",),
            redirect_uris=(),
            **same,
        ),
    ]


def _team(session: Session, users: list[User], number: int) -> Team:
    first = 1 + number * 7 % (USERS - MEMBERS)
    made = Team.create(session.connection(), f"Team {number}", users[first])
    team = session.get_one(Team, made.id)
    others = users[first + 1 : first + MEMBERS]
    session.add_all(Member(team=team, user=user, is_leader=False) for user in others)
    return team


def _token(
    session: Session,
    client: Client,
    user: User,
    kind: str = ACCESS,
    *,
    scope: tuple[str, ...] = ALL_SCOPES,
    days: int = 1,
) -> str:
    token, ends, scopes = generate(), now() + timedelta(days=days), " ".join(scope)
    family = now() + timedelta(days=90)
    grant = Grant(client_id=client.id, user_id=user.id, scope=scopes, expires_at=family)
    session.add(grant)
    session.flush()
    session.add(
        Token(hash=digest(token), kind=kind, grant_id=grant.id, scope=scopes, expires_at=ends)
    )
    return token
