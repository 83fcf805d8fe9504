"""Random actions, one by one and in pairs, end as a small model of the rules says.

An action alone is answered as the model answers it, two at the same moment as the model answers
them in one of the two orders; and then what is in the database is what is in the model.
"""

import os
import random
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.interleaving import Turns, pauses, side_by_side
from tests.model_of_rules import ALL, APP, DESK, SERVICE, TOOL, Action, Model
from tests.ruled_world import PEOPLE, World, email
from tests.serving import Server
from tests.writers import NARROW, Hand

pytestmark = pytest.mark.slow

# For each of the two databases; and where to begin, as it is printed where something differs: then
# it is also made as short as possible.
MINUTES = float(os.environ.get("RULES_MINUTES", "0.4"))
SEED = int(os.environ.get("RULES_SEED", "0"))
EXAMPLES, STEPS = 5, 40
MOST = 3  # teams, and clients: few, so that much happens to each
TOGETHER = ("one writes first", "other writes first", "all mixed")

KINDS = (
    *("change_user",) * 6,
    *("delete_user",) * 2,
    *("add_member",) * 5,
    *("change_member",) * 4,
    *("remove_member",) * 4,
    *("create_team",) * 3,
    *("password",) * 2,
    *("sign_up",) * 2,
    "change_team",
    "delete_team",
    *("create_client",) * 3,
    *("change_client",) * 3,
    "delete_client",
    "create_client_secret",
    *("withdraw",) * 2,
    "credentials",
    *("refresh",) * 2,
    "revoke",
    *("log_in",) * 2,
    *("allow",) * 3,
    *("exchange",) * 2,
    "administer",
)
FLAGS = ("is_active", "is_regular_user", "is_admin")


class Draw:
    """Draws actions that fit what is so: mostly on what there is, by whom there is."""

    def __init__(self, chance: int, model: Model, world: World, number: int) -> None:
        self._random = random.Random(chance)
        self._model, self._world, self._number = model, world, number

    def one_of(self, values: Iterable[Any]) -> Any:
        """Draw one of some values, the same one by the same chance."""
        found = list(values)
        return self._random.choice(found) if found else "none"

    def action(self) -> Action:
        """Draw an action."""
        kind = self._possible(self._random.choice(KINDS))
        fields = {"new": f"{kind} {self._number}", **getattr(self, f"_{kind}", self._of_team)()}
        if "by" in fields:
            fields["desk"] = self._world.desks.get(fields["by"], "")
        return Action(kind, **fields)

    def _possible(self, kind: str) -> str:
        """Return another kind where there is too much for one, or nothing yet."""
        model = self._model
        teams, clients = len(model.teams), len(model.clients) - 1
        families = any(family.user for family in model.families.values())
        if kind.endswith(("_team", "_member")) and not teams:
            return "create_team"
        if "client" in kind and not clients:
            return "create_client"
        instead = {
            "create_team": ("add_member", teams >= MOST),
            "create_client": ("change_client", clients >= MOST),
            "allow": ("log_in", not model.sessions),
            "exchange": ("allow" if model.sessions else "log_in", not model.codes),
            "refresh": ("password", not families),
            "revoke": ("password", not families),
        }
        other, is_needed = instead.get(kind, (kind, False))
        return other if is_needed else kind

    def _somebody(self) -> Any:
        return self.one_of(self._world.users)

    def _caller(self) -> Any:
        return self.one_of([*self._world.users, SERVICE])

    def _secret(self, client: str) -> str:
        found = self._model.clients.get(client)
        return found.secret if found else ""

    def _sign_up(self) -> dict[str, Any]:
        name = self.one_of([*PEOPLE, "gus"])
        return {"by": self.one_of(["", "ada"]), "on": name, "value": email(name)}

    def _change_user(self) -> dict[str, Any]:
        what = self.one_of([*FLAGS, *FLAGS, "email", "first_name", "password"])
        value: Any = self.one_of([True, False])
        if what == "email":
            value = email(self.one_of(["dan", "eve", "new"]))
        elif what == "first_name":
            value = f"Name {self._number}"
        return {"by": self._caller(), "on": self._somebody(), "what": what, "value": value}

    def _administer(self) -> dict[str, Any]:
        what = self.one_of(["is_active", "is_admin", "is_internal", "password"])
        return {"on": self._somebody(), "what": what, "value": self.one_of([True, False])}

    def _delete_user(self) -> dict[str, Any]:
        return {"by": self._caller(), "on": self._somebody()}

    def _create_team(self) -> dict[str, Any]:
        return {"by": self._caller(), "value": f"Team {self._number}"}

    def _of_team(self) -> dict[str, Any]:
        team = self.one_of(self._model.teams)
        fields = {"by": self._caller(), "on": team}
        return {**fields, "value": f"Title {self._number}"}

    def _add_member(self) -> dict[str, Any]:
        return {**self._of_team(), "whom": self._somebody(), "value": self.one_of([True, False])}

    def _change_member(self) -> dict[str, Any]:
        fields = self._add_member()
        return {**fields, "whom": self._member(fields["on"])}

    def _remove_member(self) -> dict[str, Any]:
        fields = self._change_member()
        is_leaving = self.one_of([True, False])
        return {**fields, "by": fields["whom"]} if is_leaving else fields

    def _member(self, team: str) -> Any:
        found = self._model.teams.get(team)
        return self.one_of(found.members if found else self._world.users)

    def _create_client(self) -> dict[str, Any]:
        return {"by": self._caller(), "what": self.one_of([APP, TOOL])}

    def _a_client(self) -> Any:
        return self.one_of(each for each in self._model.clients if each != DESK)

    def _delete_client(self) -> dict[str, Any]:
        client = self._a_client()
        found = self._model.clients.get(client)
        owner = found.owner if found else self._somebody()
        return {"by": self.one_of([owner, self._caller()]), "on": client}

    _create_client_secret = _delete_client

    def _change_client(self) -> dict[str, Any]:
        fields = self._delete_client()
        found = self._model.clients.get(fields["on"])
        what = self.one_of(["name", "scopes", "uri"] if found and found.kind == APP else ["scopes"])
        value: Any = f"Name {self._number}"
        if what != "name":
            value = self.one_of([1, 2] if what == "uri" else [ALL, frozenset(NARROW)])
        return {**fields, "what": what, "value": value}

    def _withdraw(self) -> dict[str, Any]:
        mine = [(f.user, f.client) for f in self._model.families.values() if f.user]
        found = [*mine, *self._model.remembered] or [("ada", DESK)]
        by, on = self._random.choice(found)
        return {"by": by, "on": on}

    def _password(self) -> dict[str, Any]:
        client = self.one_of([DESK, self._a_client()])
        return {"on": client, "whom": self._somebody(), "secret": self._secret(client)}

    def _credentials(self) -> dict[str, Any]:
        client = self._a_client()
        return {"on": client, "secret": self._secret(client)}

    def _refresh(self) -> dict[str, Any]:
        of_users = [name for name, f in self._model.families.items() if f.user]
        return self._of_family(of_users, past=self.one_of([0, 0, 1]))

    def _revoke(self) -> dict[str, Any]:
        others = [each for each in self._model.families if each != f"{SERVICE}'s"]
        value = self.one_of(["access", "refresh"])
        found = self._of_family(others)
        is_service = self._model.families[found["on"]].user is None
        return {**found, "value": "access" if is_service else value}

    def _of_family(self, families: list[str], past: int = 0) -> dict[str, Any]:
        name = self.one_of(families)
        family = self._model.families[name]
        version = max(0, family.version - past)
        client = family.client
        return {"on": name, "what": client, "version": version, "secret": self._secret(client)}

    def _log_in(self) -> dict[str, Any]:
        return {"on": self._somebody()}

    def _allow(self) -> dict[str, Any]:
        session = self.one_of(self._model.sessions)
        value = self.one_of([ALL, frozenset(NARROW)])
        return {"on": session, "what": self._a_client(), "value": value}

    def _exchange(self) -> dict[str, Any]:
        code = self.one_of(self._model.codes)
        found = self._model.codes.get(code)
        client = found.client if found else self._a_client()
        return {"on": code, "what": client, "secret": self._secret(client)}


chances = st.integers(0, 2**32)


class Rules(RuleBasedStateMachine):
    """A server and the models that it may be like: several, where the order of two did not show."""

    server: ClassVar[Server]
    hands: ClassVar[dict[str, Hand]]

    @initialize()
    def begin(self) -> None:
        """Begin with a few people."""
        self.world = World(self.server)
        self.models = [self.world.begin()]
        self.number = 0

    def _draw(self, chance: int) -> Action:
        self.number += 1
        return Draw(chance, self.models[0], self.world, self.number).action()

    @rule(chance=chances)
    def one(self, chance: int) -> None:
        """Carry out one action."""
        action = self._draw(chance)
        note(str(action))
        answer = self.world.prepare(action)(self.hands["one"])
        self._compare([action], [(action,)], [self.world.learn(action, answer)])

    @rule(chance=chances, also=chances, how=st.sampled_from(TOGETHER))
    def two(self, chance: int, also: int, how: str) -> None:
        """Carry out two actions at the same moment."""
        actions = {"one": self._draw(chance), "other": self._draw(also)}
        note(f"{how}: {actions['one']}, {actions['other']}")
        writers = {
            side: partial(self.world.prepare(action), self.hands[side])
            for side, action in actions.items()
        }
        if how == "all mixed":
            with pauses(self.server.app.engine, f"{actions}"):
                answers = side_by_side(writers)
        else:
            answers = side_by_side(writers, Turns(2, how.partition(" ")[0]))
        one, other = actions.values()
        learnt = [self.world.learn(actions[side], answers[side]) for side in actions]
        self._compare([one, other], [(one, other), (other, one)], learnt)

    def _compare(
        self, actions: list[Action], orders: list[tuple[Action, ...]], answers: list[Any]
    ) -> None:
        visible = self.world.visible
        expected = []
        for model in self.models:
            for order in orders:
                after, said = model.after(*order)
                expected.append((after, said if order[0] == actions[0] else said[::-1]))
            expected += _refusals(model, actions, answers)
        fitting = [m for m, said in expected if said == answers and m.visible == visible]
        assert fitting, "\n".join(
            [
                f"{', '.join(map(str, actions))}: answered {answers}",
                *(_difference(*each, visible) for each in expected),
            ]
        )
        self.models = list({repr(model): model for model in fitting}.values())


def _refusals(
    model: Model, actions: list[Action], answers: list[Any]
) -> Iterator[tuple[Model, list[Any]]]:
    """Go through the tokens and logins that may be refused besides.

    Their client gets other scopes just then, or their user a password, which is the same here. The
    refusal says so, and the next try is answered as it should be.
    """
    for number, (action, answer) in enumerate(zip(actions, answers, strict=True)):
        others = [each for each in actions if each is not action]
        user = action.whom if action.kind == "password" else action.on
        is_changed = action.kind in {"password", "credentials"} and any(
            each.kind == "change_client" and each.on == action.on for each in others
        )
        is_changed |= action.kind in {"password", "log_in"} and any(
            each.what == "password" and each.on == user for each in others
        )
        # The password with which somebody confirms a change of a user is that of before.
        is_changed |= action.kind == "change_user" and any(
            each.what == "password" and each.on == action.by for each in others
        )
        if is_changed and isinstance(answer, int) and answer >= 400:
            after, said = model.after(*others)
            said.insert(number, answer)
            yield after, said


def _difference(model: Model, answers: list[Any], visible: dict[str, Any]) -> str:
    rows = {
        name: {
            "is": _short([row for row in visible[name].items() if row not in expected.items()]),
            "should be": _short([r for r in expected.items() if r not in visible[name].items()]),
        }
        for name, expected in model.visible.items()
        if visible[name] != expected
    }
    return f"    instead of {answers}; {rows}"


def _short(rows: list[Any]) -> str:
    return str(rows).replace(str(ALL), "ALL")


def test_all_ends_as_the_rules_say(server: Server) -> None:
    hands = {side: Hand.of(server, side) for side in ("one", "other")}
    machine = type("Machine", (Rules,), {"server": server, "hands": hands})
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, *([Phase.shrink] if SEED else [])],
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
    )
    number = SEED or random.SystemRandom().randrange(10**9)
    ends = time.monotonic() + MINUTES * 60
    while True:
        print(f"RULES_SEED={number}")  # noqa: T201 (shown where something differs)
        run_state_machine_as_test(seed(number)(machine), settings=chosen)
        if time.monotonic() > ends:
            return
        number += 1
