"""The rules in plain Python: what is answered to one action, and what is so afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.serving import SCOPES

ALL = frozenset(SCOPES.split())
DESK = "desk"  # the client of everybody's first token, which the operator made
SERVICE = "a service"
APP, TOOL = "app", "tool"  # of the code grant, and of the grants that only an admin may give
CODE_SENT, ERROR_SENT, TO_LOGIN = "a code", "an error", "to the login"


@dataclass(frozen=True)
class Action:
    """Something that somebody does: `by` whom, `on` what, and what is to be `new` there.

    `desk` is the family of the token with which the caller comes; `secret` and `version` are those
    of other secrets and tokens that it brings.
    """

    kind: str
    by: str = ""
    on: str = ""
    whom: str = ""
    what: str = ""
    value: Any = None
    new: str = ""
    desk: str = ""
    secret: str = ""
    version: int = 0

    def __str__(self) -> str:
        said = (
            f"{name}={value!r}" for name, value in vars(self).items() if value or name == "value"
        )
        return f"({', '.join(said)})"


@dataclass
class User:
    """An account."""

    email: str
    first_name: str = ""
    is_active: bool = True
    is_regular_user: bool = True
    is_admin: bool = False
    is_internal: bool = False

    @property
    def may_write(self) -> bool:
        """Whether the user is a writer, whom only activity makes one."""
        return self.is_active and (self.is_regular_user or self.is_admin or self.is_internal)

    @property
    def is_active_admin(self) -> bool:
        """Whether the user is an admin now."""
        return self.is_active and self.is_admin


@dataclass
class Team:
    """A team; its members, in the order in which they came, and who of them leads it."""

    title: str
    members: dict[str, bool]


@dataclass
class Client:
    """A client; `uri` is which of two it has, `secret` what made its present one."""

    kind: str
    owner: str
    name: str
    secret: str
    scopes: frozenset[str] = ALL
    uri: int = 1


@dataclass
class Family:
    """A grant and its tokens: `version` counts the refreshes."""

    client: str
    user: str | None
    scopes: frozenset[str]
    version: int = 0
    has_access: bool = True


@dataclass
class Code:
    """A code, and what it was exchanged for."""

    client: str
    user: str
    scopes: frozenset[str]
    family: str | None = None


class Refused(Exception):
    """An action changes nothing and is answered with a status."""

    def __init__(self, status: Any) -> None:
        self.status = status


@dataclass
class Model:
    """All that is so."""

    users: dict[str, User]
    teams: dict[str, Team] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    remembered: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def after(self, *actions: Action) -> tuple[Model, list[Any]]:
        """Return what is so after some actions, one after the other, and what is answered."""
        model = deepcopy(self)
        answers = []
        for action in actions:
            carry_out: Callable[[Action], Any] = getattr(model, action.kind)
            try:
                answers.append(carry_out(action))
            except Refused as refused:
                answers.append(refused.status)
        return model, answers

    @property
    def visible(self) -> dict[str, Any]:
        """What can be seen of it in the database."""
        return {
            "users": {name: tuple(vars(user).values()) for name, user in self.users.items()},
            "teams": {each: (team.title, dict(team.members)) for each, team in self.teams.items()},
            "clients": {
                each: (client.owner, client.name, client.scopes, client.uri)
                for each, client in self.clients.items()
                if each != DESK
            },
            "grants": Counter(
                (family.client, family.user, family.scopes) for family in self.families.values()
            ),
            "codes": Counter(
                (code.client, code.user, code.scopes, code.family is not None)
                for code in self.codes.values()
            ),
            "sessions": Counter(self.sessions.values()),
            "remembered": {pair: scopes for pair, scopes in self.remembered.items() if scopes},
        }

    # Who may

    def _caller(self, action: Action) -> User | None:
        """Return the calling user, None for a service; 401 where its token is dead."""
        if action.by == SERVICE:
            return None
        family, user = self.families.get(action.desk), self.users.get(action.by)
        if family is None or not family.has_access or user is None or not user.is_active:
            raise Refused(401)
        return user

    def _user(self, action: Action) -> User:
        user = self._caller(action)
        if user is None:
            raise Refused(403)
        return user

    def _check_power(self, action: Action) -> User:
        """Return a user, over whom the caller has power; 404 or 403 otherwise."""
        by, on = action.by, action.on
        caller, target = self._caller(action), self.users.get(on)
        is_above = caller is not None and (caller.is_admin or caller.is_internal)
        if target is None or not (caller is None or is_above or by == on):
            raise Refused(404)
        is_protected = target.is_admin or target.is_internal
        if caller is None or not (by == on or caller.is_admin or not is_protected):
            raise Refused(403)
        return target

    def _check_leads(self, action: Action, whom: str | None = None) -> Team:
        """Return a team that the caller leads or is above, with a member; 404 or 403 otherwise."""
        by = action.by
        caller, team = self._caller(action), self.teams.get(action.on)
        is_above = caller is not None and (caller.is_admin or caller.is_internal)
        if team is None or not (caller is None or is_above or by in team.members):
            raise Refused(404)
        if whom is not None and whom not in team.members:
            raise Refused(404)
        leads = is_above or team.members.get(by, False)
        if caller is None or not (leads and caller.may_write):
            raise Refused(403)
        return team

    def _check_owns(self, action: Action) -> Client:
        caller, client = self._caller(action), self.clients.get(action.on)
        if client is None or not (caller is None or caller.is_admin or client.owner == action.by):
            raise Refused(404)
        if caller is None:
            raise Refused(403)
        return client

    def _check_admin_remains(self, without: str) -> None:
        others = (user for name, user in self.users.items() if name != without)
        if self.users[without].is_active_admin and not any(u.is_active_admin for u in others):
            raise Refused(409)

    def _authenticate(self, action: Action, client: str) -> Client:
        """Return a client that sent the secret which it has in the form; 400 otherwise."""
        found = self.clients.get(client)
        if found is None or (client != DESK and found.secret != action.secret):
            raise Refused(400)
        return found

    def _is_backed(self, client: Client) -> bool:
        """Tell whether the grants that only an admin may give are good."""
        owner = self.users.get(client.owner)
        return client.name == DESK or (owner is not None and owner.is_active_admin)

    # Users

    def sign_up(self, action: Action) -> int:
        """Sign somebody up; `by` may be nobody."""
        if action.by:
            self._caller(action)
        emails = [user.email for user in self.users.values()]
        if action.on in self.users or action.value in emails:
            raise Refused(409)
        self.users[action.on] = User(action.value)
        return 201

    def change_user(self, action: Action) -> int:
        """Change one field of a user, with the right password."""
        target, caller = self._check_power(action), self._user(action)
        needed = {
            "is_admin": caller.is_admin,
            "is_active": caller.is_admin or caller.is_internal,
            "is_regular_user": caller.is_admin or caller.is_internal,
        }
        if not caller.may_write or not needed.get(action.what, True):
            raise Refused(403)
        others = [user.email for name, user in self.users.items() if name != action.on]
        if action.what == "email" and action.value in others:
            raise Refused(409)
        keep = action.desk if action.by == action.on else None
        self._set(target, action, keep)
        return 200

    def administer(self, action: Action) -> int:
        """Do what the operator does on the command line."""
        target = self.users.get(action.on)
        if target is None:
            raise Refused(404)
        self._set(target, action, None)
        return 200

    def _set(self, target: User, action: Action, keep: str | None) -> None:
        if action.what in {"is_active", "is_admin"} and not action.value:
            self._check_admin_remains(action.on)
        if action.what == "password":
            self._end_logins(action.on, keep)
        else:
            setattr(target, action.what, action.value)
        if not target.is_active:
            self._end_logins(action.on, None)

    def _end_logins(self, name: str, keep: str | None) -> None:
        self._end(each for each, f in self.families.items() if f.user == name and each != keep)
        self.codes = {each: code for each, code in self.codes.items() if code.user != name}
        self.sessions = {each: user for each, user in self.sessions.items() if user != name}

    def delete_user(self, action: Action) -> int:
        """Delete an account; a leadership passes on, but for a writer's who could hand it over."""
        target = self._check_power(action)
        self._check_admin_remains(action.on)
        mine = [each for each, team in self.teams.items() if action.on in team.members]
        may_refuse = action.by == action.on and target.may_write
        if may_refuse and any(self._is_last_leader(self.teams[each], action.on) for each in mine):
            raise Refused(409)
        for each in mine:
            self._take_out(each, action.on)
        self._end_logins(action.on, None)
        for each in [each for each, c in self.clients.items() if c.owner == action.on]:
            self._remove_client(each)
        self.remembered = {k: v for k, v in self.remembered.items() if k[0] != action.on}
        del self.users[action.on]
        return 204

    # Teams

    def create_team(self, action: Action) -> int:
        """Found a team."""
        if not self._user(action).may_write:
            raise Refused(403)
        self.teams[action.new] = Team(action.value, {action.by: True})
        return 201

    def change_team(self, action: Action) -> int:
        """Give a team another title."""
        self._check_leads(action).title = action.value
        return 200

    def delete_team(self, action: Action) -> int:
        """Dissolve a team."""
        self._check_leads(action)
        del self.teams[action.on]
        return 204

    def add_member(self, action: Action) -> int:
        """Add a user to a team."""
        team = self._check_leads(action)
        if action.whom in team.members:
            raise Refused(409)
        if action.whom not in self.users or not self.users[action.whom].is_active:
            raise Refused(422)
        team.members[action.whom] = action.value
        return 201

    def change_member(self, action: Action) -> int:
        """Make a member a leader, or a leader none."""
        team = self._check_leads(action, action.whom)
        if not action.value:
            self._hand_over(team, action.whom)
        team.members[action.whom] = action.value
        return 200

    def remove_member(self, action: Action) -> int:
        """Take a member out of a team, or leave it."""
        team = self.teams.get(action.on)
        self._caller(action)
        if action.by != action.whom or team is None or action.whom not in team.members:
            team = self._check_leads(action, action.whom)
        self._hand_over(team, action.whom)
        self._take_out(action.on, action.whom)
        return 204

    def _is_last_leader(self, team: Team, name: str) -> bool:
        others = [leads for other, leads in team.members.items() if other != name]
        return team.members[name] and bool(others) and not any(others)

    def _hand_over(self, team: Team, name: str) -> None:
        """Pass a last leader's role on; 409 for a writer, who has to do so before."""
        if self._is_last_leader(team, name):
            if self.users[name].may_write:
                raise Refused(409)
            self._pass_on(team, name)

    def _pass_on(self, team: Team, name: str) -> None:
        heirs = [other for other in team.members if other != name and self.users[other].may_write]
        if heirs:
            team.members[heirs[0]] = True

    def _take_out(self, on: str, name: str) -> None:
        team = self.teams[on]
        if self._is_last_leader(team, name):
            self._pass_on(team, name)
        del team.members[name]
        if not team.members:
            del self.teams[on]

    # Clients

    def create_client(self, action: Action) -> int:
        """Register a client."""
        caller = self._user(action)
        if action.what == TOOL and not caller.is_admin:
            raise Refused(403)
        self.clients[action.new] = Client(action.what, action.by, action.new, action.new)
        return 201

    def change_client(self, action: Action) -> int:
        """Change a client's scopes, redirect URI or name."""
        client, caller = self._check_owns(action), self._user(action)
        if action.what == "scopes":
            if client.kind == TOOL and not action.value <= client.scopes and not caller.is_admin:
                raise Refused(403)
            of_client = [e for e, f in self.families.items() if f.client == action.on]
            self._end([e for e in of_client if not self.families[e].scopes <= action.value])
            self.codes = {
                each: code
                for each, code in self.codes.items()
                if code.client != action.on or code.family or code.scopes <= action.value
            }
        if action.what == "uri" and action.value != client.uri:
            self.remembered = {k: v for k, v in self.remembered.items() if k[1] != action.on}
            self.codes = {e: c for e, c in self.codes.items() if c.client != action.on or c.family}
        setattr(client, action.what, action.value)
        return 200

    def delete_client(self, action: Action) -> int:
        """Delete a client."""
        self._check_owns(action)
        self._remove_client(action.on)
        return 204

    def create_client_secret(self, action: Action) -> int:
        """Replace a client's secret."""
        client = self._check_owns(action)
        if client.kind == TOOL and not self._is_backed(client):
            raise Refused(403)
        client.secret = action.new
        return 201

    def _remove_client(self, name: str) -> None:
        self._end([each for each, f in self.families.items() if f.client == name])
        self.codes = {each: code for each, code in self.codes.items() if code.client != name}
        self.remembered = {k: v for k, v in self.remembered.items() if k[1] != name}
        del self.clients[name]

    def withdraw(self, action: Action) -> int:
        """Withdraw all that the caller has let a client do."""
        self._user(action)
        between = (action.by, action.on)
        mine = [e for e, f in self.families.items() if (f.user, f.client) == between]
        if not mine and not self.remembered.get(between):
            raise Refused(404)
        self._end(mine)
        self.codes = {e: c for e, c in self.codes.items() if (c.user, c.client) != between}
        self.remembered.pop(between, None)
        return 204

    # Tokens

    def _end(self, families: Iterator[str] | list[str]) -> None:
        """End grants, with their tokens and the codes that they came from."""
        ended = set(families)
        self.families = {e: f for e, f in self.families.items() if e not in ended}
        self.codes = {e: c for e, c in self.codes.items() if c.family not in ended}

    def password(self, action: Action) -> int:
        """Log a user in through a client that takes passwords."""
        client, user = self._authenticate(action, action.on), self.users.get(action.whom)
        if client.kind != TOOL or not self._is_backed(client):
            raise Refused(400)
        if user is None or not user.is_active:
            raise Refused(400)
        self.families[action.new] = Family(action.on, action.whom, client.scopes)
        return 200

    def credentials(self, action: Action) -> int:
        """Give a client a token of its own."""
        client = self._authenticate(action, action.on)
        if client.kind != TOOL or not self._is_backed(client):
            raise Refused(400)
        self.families[action.new] = Family(action.on, None, client.scopes)
        return 200

    def refresh(self, action: Action) -> int:
        """Use a refresh token; one that was used before ends its family."""
        self._authenticate(action, action.what)
        family = self.families.get(action.on)
        if family is None:
            raise Refused(400)
        if action.version < family.version:
            self._end([action.on])
            return 400
        family.version += 1
        family.has_access = True
        return 200

    def revoke(self, action: Action) -> int:
        """Revoke an access token, or by the refresh token the whole family."""
        self._authenticate(action, action.what)
        family = self.families.get(action.on)
        if family is not None and action.value == "refresh":
            self._end([action.on])
        elif family is not None and family.version == action.version:
            family.has_access = False
        return 200

    # Pages

    def log_in(self, action: Action) -> Any:
        """Sign a user in at a browser."""
        user = self.users.get(action.on)
        if user is None or not user.is_active:
            raise Refused(400)
        self.sessions[action.new] = action.on
        return TO_LOGIN

    def allow(self, action: Action) -> Any:
        """Allow a client some scopes, in a session; the client asks for its first URI."""
        client = self.clients.get(action.what)
        if client is None or client.kind != APP or client.uri != 1:
            raise Refused(400)
        user = self.sessions.get(action.on)
        if user is None:
            raise Refused(TO_LOGIN)
        if not action.value <= client.scopes:
            raise Refused(ERROR_SENT)
        between = (user, action.what)
        self.remembered[between] = self.remembered.get(between, frozenset()) | action.value
        self.codes[action.new] = Code(action.what, user, action.value)
        return CODE_SENT

    def exchange(self, action: Action) -> int:
        """RequestContext a code; one that was used before ends what came of it."""
        self._authenticate(action, action.what)
        code = self.codes.get(action.on)
        if code is None:
            raise Refused(400)
        if code.family is not None:
            self._end([code.family])
            return 400
        self.families[action.new] = Family(code.client, code.user, code.scopes)
        code.family = action.new
        return 200
