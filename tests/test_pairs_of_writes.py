"""Any two that write, at the same moment: no more comes of it than of one after the other.

Each pair is carried out with either of the two writing first, though both were let in before, and
with their statements mixed. The answers and the rows must be those of one of the two orders.
"""

import itertools
import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest

from roster.contract import loader
from tests.interleaving import Turns, Writer, pauses, side_by_side
from tests.serving import Server
from tests.writers import ACTS, WRITES, Hand, Write, make_world, operator, purge_all, snapshot

pytestmark = pytest.mark.slow

# In how many ways, by whom and on what, two operations meet: so many, chosen by chance but always
# the same ones; or `all`, which takes some minutes.
WAYS = os.environ.get("PAIRS_OF_WRITES", "1")
# So many times as many where one operation meets itself, as most rules are about that.
SAME = 6
# What writes nothing, though its method may.
READING = {"introspect_token"}
# What writes by GET: it leads on with a code where a consent is remembered.
WRITING = {"show_authorization"}
# What may be answered, and nothing written, where the other one changes the client just then: a
# page that asks the user, whose answer is judged again, and a refusal of scopes that are gone.
HARMLESS = {("asks",), (400, "invalid_scope")}


class Outcome(NamedTuple):
    """What comes of two writers: their answers, and all that is in the database then."""

    answers: list[Any]
    rows: dict[str, Any]


class Meeting:
    """A server where two writers meet, each time in the same world."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._hands = {side: Hand.of(server, side) for side in ("one", "other")}

    def differences(self, one: Write, other: Write) -> list[str]:
        """Tell what comes of two at the same moment that comes of neither order."""
        writers: dict[str, Writer] = {
            "one": partial(one.act, self._hands["one"]),
            "other": partial(other.act, self._hands["other"]),
        }
        orders = [
            self._outcome(partial(_in_turn, writers, *order))
            for order in (("one", "other"), ("other", "one"))
        ]
        together: dict[str, Callable[[], Any]] = {
            "one writes first": lambda: side_by_side(writers, Turns(2, "one")),
            "other writes first": lambda: side_by_side(writers, Turns(2, "other")),
        }
        if self._server.app.engine.dialect.name != "sqlite":  # which has one writer at a time
            seed = f"{one.operation}, {one.how}; {other.operation}, {other.how}"
            together["all mixed"] = lambda: self._mixed(writers, seed)
        found = {how: self._outcome(act) for how, act in together.items()}
        answered = [answer for outcome in found.values() for answer in outcome.answers]
        for harmless in HARMLESS.intersection(answered):
            for side in writers:
                alone: dict[str, Writer] = {**writers, side: partial(tuple, harmless)}
                orders.append(self._outcome(partial(_in_turn, alone, *alone)))
        return [
            f"{one.operation}, {one.how}; {other.operation}, {other.how}; {how}:\n"
            + "\n".join(f"    {_compare(outcome, order)}" for order in orders)
            for how, outcome in found.items()
            if outcome not in orders
        ]

    def _mixed(self, writers: Any, seed: str) -> Any:
        with pauses(self._server.app.engine, seed):
            return side_by_side(writers)

    def _outcome(self, act: Callable[[], dict[str, Any]]) -> Outcome:
        make_world(self._server)
        answers = act()
        # A purge leaves what another one has locked to the next purge.
        operator(purge_all)(self._hands["one"])
        return Outcome([answers["one"], answers["other"]], snapshot(self._server))


def _in_turn(writers: dict[str, Writer], *order: str) -> dict[str, Any]:
    return {side: writers[side]() for side in order}


def _compare(outcome: Outcome, order: Outcome) -> str:
    rows = {
        name: {
            "more": [row for row in found if row not in order.rows[name]],
            "less": [row for row in order.rows[name] if row not in found],
        }
        for name, found in outcome.rows.items()
        if found != order.rows[name]
    }
    return f"answered {outcome.answers}, in turn {order.answers}; {rows}"


def ways(one: str, other: str) -> list[tuple[Write, Write]]:
    """Return who carries out two operations, and how."""
    of = {each: [write for write in WRITES if write.operation == each] for each in (one, other)}
    if one == other:
        found = list(itertools.combinations_with_replacement(of[one], 2))
    else:
        found = list(itertools.product(of[one], of[other]))
    if WAYS == "all":
        return found
    number = int(WAYS) * (SAME if one == other else 1)
    return random.Random(f"{one} {other}").sample(found, min(len(found), number))


@pytest.mark.parametrize("operation", ACTS)
def test_two_at_the_same_moment_end_as_one_after_the_other(server: Server, operation: str) -> None:
    meeting = Meeting(server)
    others = list(ACTS)[list(ACTS).index(operation) :]

    found = [
        difference
        for other in others
        for pair in ways(operation, other)
        for difference in meeting.differences(*pair)
    ]

    assert not found, "\n".join(found)


def test_every_operation_that_writes_takes_part() -> None:
    writing = {
        operation.id
        for operation in loader.load("development").operations
        if (operation.method != "GET" or operation.id in WRITING) and operation.id not in READING
    }

    missing = sorted(writing - ACTS.keys())
    assert not missing, f"Add to ACTS in tests/writers.py how these write: {', '.join(missing)}"
