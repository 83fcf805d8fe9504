"""connexion's FlaskApp as it comes, with SQLAlchemy's ORM and marshmallow.

Validation, security and JSON are connexion's own; the function that looks tokens up is a plain one,
as in its documentation.
"""

from typing import Any

from connexion import FlaskApp
from connexion.exceptions import BadRequestProblem, Forbidden, ProblemException

from tests.benchmarks.peers import common, shapes
from tests.benchmarks.peers.common import API, ORIGIN, Caller

HERE = __name__
SCOPES = ("users:read", "teams:read", "teams:write")
FORM = ("grant_type", "client_id", "username", "password", "refresh_token")


def _operation(name: str, scope: str, status: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": f"{HERE}.{name}",
        "security": [{"oauth2": [scope]}],
        "responses": {status: {"description": "Done.", "content": {"application/json": {}}}},
        **more,
    }


def _query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "integer", **schema}}


DEFINITION = {
    "openapi": "3.0.3",
    "info": {"title": "Peer", "version": "1"},
    "paths": {
        f"{API}/users/me": {"get": _operation("read_me", "users:read", "200")},
        f"{API}/users": {
            "get": _operation(
                "list_users",
                "users:read",
                "200",
                parameters=[
                    _query("limit", minimum=1, maximum=100, default=20),
                    _query("offset", minimum=0, default=0),
                    _query("cursor"),
                ],
            )
        },
        f"{API}/teams/{{team_id}}": {
            "get": _operation(
                "read_team",
                "teams:read",
                "200",
                parameters=[
                    {
                        "name": "team_id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "integer"},
                    }
                ],
            )
        },
        f"{API}/teams": {
            "post": _operation(
                "create_team",
                "teams:write",
                "201",
                requestBody={
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["title"],
                                "additionalProperties": False,
                                "properties": {
                                    "title": {"type": "string", "minLength": 3, "maxLength": 50}
                                },
                            }
                        }
                    },
                },
            )
        },
        "/auth/oauth2/token": {
            "post": {
                "operationId": f"{HERE}.issue_token",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {
                                "type": "object",
                                "required": ["grant_type", "client_id"],
                                "properties": {name: {"type": "string"} for name in FORM},
                            }
                        }
                    },
                },
                "responses": {"200": {"description": "Done.", "content": {"application/json": {}}}},
            }
        },
    },
    "components": {
        "securitySchemes": {
            "oauth2": {
                "type": "oauth2",
                "x-tokenInfoFunc": f"{HERE}.token_info",
                "flows": {
                    "password": {
                        "tokenUrl": "/auth/oauth2/token",
                        "scopes": dict.fromkeys(SCOPES, ""),
                    }
                },
            }
        }
    },
}


def token_info(token: str) -> dict[str, Any] | None:
    """Find out whose token it is."""
    with common.sessions() as session:
        caller = common.find_caller(session, token)
    return None if caller is None else {"scope": list(caller.scopes), "caller": caller}


def _caller(info: dict[str, Any]) -> Caller:
    caller: Caller = info["caller"]
    return caller


def read_me(token_info: dict[str, Any]) -> Any:
    """Show the user whose token this is."""
    caller = _caller(token_info)
    if caller.user is None:
        raise Forbidden
    return shapes.user.dump(caller.user)


def list_users(
    token_info: dict[str, Any], limit: int, offset: int, cursor: int | None = None
) -> Any:
    """List all users."""
    if not _caller(token_info).sees_all:
        raise Forbidden
    with common.sessions() as session:
        users, headers = common.user_page(session, limit, offset, cursor)
        return shapes.base_users.dump(users), 200, headers


def read_team(token_info: dict[str, Any], team_id: int) -> Any:
    """Show a team."""
    with common.sessions() as session:
        team = common.find_team(session, team_id, _caller(token_info))
        if team is None:
            raise ProblemException(status=404, title="Not Found")
        return shapes.team.dump(team)


def create_team(token_info: dict[str, Any], body: dict[str, Any]) -> Any:
    """Found a team, with the caller as its leader."""
    caller = _caller(token_info)
    if caller.user is None or not caller.is_writer:
        raise Forbidden
    with common.sessions() as session:
        session.add(caller.user)
        team = common.create_team(session, body["title"], caller.user)
        location = f"{ORIGIN}{API}/teams/{team.id}"
        return shapes.team.dump(team), 201, {"Location": location}


def issue_token(body: dict[str, str]) -> Any:
    """Issue an access token."""
    with common.sessions() as session:
        try:
            answer = common.issue_token(session, body)
        except common.InvalidGrant:
            raise BadRequestProblem("invalid_grant") from None
    return answer, 200, {"Cache-Control": "no-store"}


app = FlaskApp(__name__)
app.add_api(DEFINITION)
