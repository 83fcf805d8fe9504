"""Plain Flask with SQLAlchemy's ORM and marshmallow, behind gunicorn with threads.

As people deploy it. uvicorn with a2wsgi in between was tried, and slower by a tenth or more.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, abort, g, request
from marshmallow import ValidationError
from sqlalchemy.orm import Session

from tests.benchmarks.peers import common, shapes
from tests.benchmarks.peers.common import API, ORIGIN, Caller

app = Flask(__name__)
app.json.sort_keys = False  # type: ignore[attr-defined]

View = Callable[..., Any]


def session() -> Session:
    """Return the session of this request."""
    if "session" not in g:
        g.session = common.sessions()
    found: Session = g.session
    return found


@app.teardown_appcontext
def close_session(_error: BaseException | None) -> None:
    """Give the session back."""
    if "session" in g:
        g.session.close()


@app.errorhandler(ValidationError)
def refuse(error: ValidationError) -> Any:
    """Tell what is wrong with a request."""
    return {"errors": error.messages}, 400


def needs(scope: str) -> Callable[[View], View]:
    """Call a view with whose token it is, if it has a scope."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(**arguments: Any) -> Any:
            authorization = request.authorization
            if authorization is None or authorization.type != "bearer" or not authorization.token:
                return {}, 401, {"WWW-Authenticate": 'Bearer realm="peer"'}
            caller = common.find_caller(session(), authorization.token)
            if caller is None:
                return {}, 401, {"WWW-Authenticate": 'Bearer realm="peer"'}
            if scope not in caller.scopes:
                abort(403)
            return view(caller, **arguments)

        return checked

    return decorate


@app.get(f"{API}/users/me")
@needs("users:read")
def read_me(caller: Caller) -> Any:
    """Show the user whose token this is."""
    if caller.user is None:
        abort(403)
    return shapes.user.dump(caller.user)


@app.get(f"{API}/users")
@needs("users:read")
def list_users(caller: Caller) -> Any:
    """List all users."""
    if not caller.sees_all:
        abort(403)
    users, headers = common.user_page(session(), **shapes.page.load(request.args))
    return shapes.base_users.dump(users), headers


@app.get(f"{API}/teams/<int:team_id>")
@needs("teams:read")
def read_team(caller: Caller, team_id: int) -> Any:
    """Show a team."""
    team = common.find_team(session(), team_id, caller)
    if team is None:
        abort(404)
    return shapes.team.dump(team)


@app.post(f"{API}/teams")
@needs("teams:write")
def create_team(caller: Caller) -> Any:
    """Found a team, with the caller as its leader."""
    if caller.user is None or not caller.is_writer:
        abort(403)
    body = shapes.new_team.load(request.get_json())
    team = common.create_team(session(), body["title"], caller.user)
    return shapes.team.dump(team), 201, {"Location": f"{ORIGIN}{API}/teams/{team.id}"}


@app.post("/auth/oauth2/token")
def issue_token() -> Any:
    """Issue an access token."""
    try:
        answer = common.issue_token(session(), request.form)
    except common.InvalidGrant:
        return {"error": "invalid_grant"}, 400
    return answer, {"Cache-Control": "no-store"}
