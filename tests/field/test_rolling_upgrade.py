"""A rolling upgrade: the next release migrates and starts beside a server of the one before."""

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.copies import ROSTER, copy_of_the_project, passes
from tests.field.traffic import UNEXPECTED, MakePeople, lost, make_requests
from tests.live import serving

pytestmark = pytest.mark.field


def test_requests_go_on_while_the_next_release_takes_over(
    tmp_path: Path, uri: str, people: MakePeople
) -> None:
    pytest.importorskip("ruff")
    following, before, after = (tmp_path / name for name in ("following", "before", "after"))
    for folder in (before, after):
        folder.mkdir()
    copy_of_the_project(following)
    passes(following, (*ROSTER, "new", "garden_gates", "--in", "team"))
    settings = {"DATABASE_URL": uri, "ROSTER_LIMIT_MEMBERS_ADDED": "100000"}

    with serving(before, fault=UNEXPECTED, **settings) as old, ExitStack() as stack:
        crowd = people(old, uri, 6)
        pool = stack.enter_context(ThreadPoolExecutor(1))

        def requests_go_on_during(step: "Future[Any]") -> Any:
            while not step.done():
                make_requests(crowd, 60)
            return step.result()

        upgrade = (*ROSTER, "db", "upgrade")
        requests_go_on_during(pool.submit(passes, following, upgrade, DATABASE_URL=uri))
        settings["PYTHONPATH"] = str(following)
        command = (sys.executable, *ROSTER, "serve")
        starting = serving(after, command, fault=UNEXPECTED, **settings)
        new = requests_go_on_during(pool.submit(stack.enter_context, starting))
        assert old.client.get("/readyz").status_code == 200
        for each in crowd[::2]:
            each.move_to(new.url)
        answers = make_requests(crowd, 1_000)
        gates = new.client.get("/api/v1/teams/1/garden_gates").status_code

    assert gates == 401  # it is there: the server before knows no such path
    assert {*answers} == {200, 201, 204, 404, 409}
    assert [each.wrong for each in crowd if each.wrong] == []
    assert lost(crowd, uri) == {}
    with psycopg.connect(uri) as connection:
        assert connection.execute("SELECT count(*) FROM garden_gates").fetchone() == (0,)
