"""FastAPI with SQLAlchemy's ORM and pydantic, as its tutorial shows it.

Operations and dependencies are plain `def`, for which FastAPI has threads. The same in `async def`
with SQLAlchemy's asyncio was tried: on SQLite (aiosqlite) no faster, on PostgreSQL slower, by up to
a third (asyncpg) or a half (psycopg). Answers go through response models, which FastAPI hands to
pydantic to write as JSON at once, so that no other JSON library could help.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Response, Security, status
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from tests.benchmarks.peers import common
from tests.benchmarks.peers.common import API, ORIGIN, Caller

app = FastAPI()
oauth2 = OAuth2PasswordBearer(tokenUrl="/auth/oauth2/token")


class FromAttributes(BaseModel):
    """What is read from a mapped object."""

    model_config = ConfigDict(from_attributes=True)


class BaseUser(FromAttributes):
    """A user in lists."""

    id: int
    username: str
    first_name: str
    middle_name: str
    last_name: str


class User(BaseUser):
    """A user in full."""

    email: str
    is_active: bool
    is_regular_user: bool
    is_admin: bool
    created: datetime
    updated: datetime


class Member(FromAttributes):
    """A member of a team."""

    user: BaseUser
    is_leader: bool


class Team(FromAttributes):
    """A team in full."""

    id: int
    title: str
    members: list[Member]
    created: datetime
    updated: datetime


class NewTeam(BaseModel):
    """A team to create."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=3, max_length=50)


def get_session() -> Iterator[Session]:
    """Open a session for a request."""
    with common.sessions() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def get_caller(
    scopes: SecurityScopes, session: SessionDep, token: Annotated[str, Depends(oauth2)]
) -> Caller:
    """Find out whose token it is."""
    caller = common.find_caller(session, token)
    if caller is None:
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": 'Bearer realm="peer"'}
        )
    if not caller.scopes.issuperset(scopes.scopes):
        raise HTTPException(status.HTTP_403_FORBIDDEN)
    return caller


@app.get(f"{API}/users/me", response_model=User)
def read_me(caller: Annotated[Caller, Security(get_caller, scopes=["users:read"])]) -> object:
    """Show the user whose token this is."""
    if caller.user is None:
        raise HTTPException(status.HTTP_403_FORBIDDEN)
    return caller.user


@app.get(f"{API}/users", response_model=list[BaseUser])
def list_users(
    caller: Annotated[Caller, Security(get_caller, scopes=["users:read"])],
    session: SessionDep,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
    cursor: int | None = None,
) -> object:
    """List all users."""
    if not caller.sees_all:
        raise HTTPException(status.HTTP_403_FORBIDDEN)
    users, headers = common.user_page(session, limit, offset, cursor)
    response.headers.update(headers)
    return users


@app.get(f"{API}/teams/{{team_id}}", response_model=Team)
def read_team(
    caller: Annotated[Caller, Security(get_caller, scopes=["teams:read"])],
    session: SessionDep,
    team_id: int,
) -> object:
    """Show a team."""
    team = common.find_team(session, team_id, caller)
    if team is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return team


@app.post(f"{API}/teams", response_model=Team, status_code=status.HTTP_201_CREATED)
def create_team(
    caller: Annotated[Caller, Security(get_caller, scopes=["teams:write"])],
    session: SessionDep,
    body: NewTeam,
    response: Response,
) -> object:
    """Found a team, with the caller as its leader."""
    if caller.user is None or not caller.is_writer:
        raise HTTPException(status.HTTP_403_FORBIDDEN)
    team = common.create_team(session, body.title, caller.user)
    response.headers["Location"] = f"{ORIGIN}{API}/teams/{team.id}"
    return team


class TokenRequest(BaseModel):
    """A token request."""

    grant_type: str
    client_id: str
    username: str = ""
    password: str = ""
    refresh_token: str = ""


class Token(BaseModel):
    """A token answer."""

    token_type: str
    access_token: str
    refresh_token: str
    expires_in: int
    scope: str


@app.post("/auth/oauth2/token", response_model=Token)
def issue_token(
    session: SessionDep, form: Annotated[TokenRequest, Form()], response: Response
) -> object:
    """Issue an access token."""
    try:
        answer = common.issue_token(session, form.model_dump())
    except common.InvalidGrant:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "invalid_grant") from None
    response.headers["Cache-Control"] = "no-store"
    return answer
