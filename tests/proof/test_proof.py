"""The proof itself: what it finds in answers that are not as the definition has them."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roster.contract import loader
from tests.proof.plugin import PYTHON, Outcome, excused, judge, unseen
from tests.proof.recording import Recorder, identity
from tests.proof.shapes import shape, shape_of_body
from tests.roster.raw import http_scope

pytestmark = pytest.mark.live

needs_validator = pytest.mark.skipif(not PYTHON.exists(), reason=f"there is no {PYTHON}")

TEAM = {"id": 1, "title": "Engines"}
REQUEST_ID = "0f9a3c1e5b7d4e2a8c6f1d3b5a7e9c0d"
JSON = "application/json"

Judge = Callable[..., Outcome]


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    """Return a function that records one answer, and judges it."""

    def record(
        body: Any,
        *more: tuple[str, str],
        asked: tuple[str, str, bytes] = ("GET", "/api/v1/teams", b"limit=20"),
        sent: Any = None,
        status: int = 200,
        media_type: str = JSON,
        headers: tuple[tuple[str, str], ...] = (("X-Request-ID", REQUEST_ID),),
    ) -> Outcome:
        method, path, query = asked
        given = [("Content-Type", media_type), *headers, *more]
        raw = [(name.encode(), value.encode()) for name, value in given]
        about = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
        scope = http_scope(method, path, query=query, headers=about)
        text = b"" if body is None else json.dumps(body).encode()
        request = (scope, b"" if sent is None else json.dumps(sent).encode())
        Recorder(tmp_path).add(loader.load("development"), request, status, raw, text)
        return judge(tmp_path)

    return record


def sentences(outcome: Outcome) -> str:
    return "\n".join(fault[2] for fault in outcome.faults)


@needs_validator
def test_a_right_answer_is_counted(judged: Judge) -> None:
    outcome = judged([TEAM], ("Link", "<http://127.0.0.1>; rel=next"), ("Date", "today"))

    assert sentences(outcome) == ""
    [line] = outcome.seen
    assert line == f"{identity(loader.load('development'))} list_teams 200"


@needs_validator
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"body": [{"id": "1", "title": "Engines"}]}, "is not of type 'integer'"),
        ({"body": [{"id": 1}]}, "'title' is a required property"),
        ({"body": None}, "MissingData"),
        ({"body": [TEAM], "status": 202}, "the status is not declared"),
        ({"body": [TEAM], "media_type": "text/plain"}, "text/plain"),
        ({"body": {}, "asked": ("POST", "/auth/oauth2/token", b"")}, "header: Pragma"),
        ({"body": [TEAM], "headers": (("X-Other", "x"),)}, "the header x-other is not declared"),
        ({"body": [TEAM], "asked": ("GET", "/api/v1/teams", b"limit=500")}, "was accepted"),
        ({"body": [TEAM], "asked": ("GET", "/nothing", b"")}, "no operation is declared"),
        ({"body": [TEAM], "asked": ("HEAD", "/api/v1/teams", b"")}, "to HEAD has a body"),
        (
            {"body": TEAM, "status": 204, "asked": ("DELETE", "/api/v1/teams/1", b"")},
            "a body is not declared",
        ),
        (
            {
                "body": {**TEAM, "members": [], "created": "2026-11-29T00:00:00Z"},
                "status": 201,
                "asked": ("POST", "/api/v1/teams", b""),
                "sent": {"titel": "Engines"},
            },
            "was accepted",
        ),
    ],
)
def test_a_wrong_answer_is_found(judged: Judge, options: dict[str, Any], fault: str) -> None:
    outcome = judged(options.pop("body"), **options)

    assert fault in sentences(outcome)


@needs_validator
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/api/v1/teams", 204),
        ("GET", "/nothing", 404),
        ("PUT", "/api/v1/teams", 405),
        ("GET", "/api/v1/swagger-ui.css", 200),
    ],
)
def test_what_no_operation_declares_is_beside_for_a_reason(
    judged: Judge, method: str, path: str, status: int
) -> None:
    outcome = judged(None, asked=(method, path, b""), status=status)

    assert not outcome.faults
    assert sum(outcome.beside.values()) == 1


@needs_validator
def test_an_answer_in_a_hundred_places_is_judged_once_and_counted_each_time(
    tmp_path: Path,
) -> None:
    definition = loader.load("development")
    for _ in range(2):
        recorder = Recorder(tmp_path)
        for _ in range(50):
            headers = [(b"content-type", b"application/json"), (b"x-request-id", new_id())]
            scope = http_scope("GET", "/api/v1/teams")
            recorder.add(definition, (scope, b""), 200, headers, b"[]")

    outcome = judge(tmp_path)

    assert (outcome.answers, outcome.shapes) == (100, 1)
    assert list(outcome.seen.values()) == [100]


def new_id() -> bytes:
    return uuid.uuid4().hex.encode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"id": 1}, {"id": "1"}),
        ({"id": 1}, {"id": None}),
        ({"id": True}, {"id": 1}),
        ({"a": 1}, {"b": 1}),
        (["a"], ["a", "a"]),
        ("public", "privat"),
        ("a@b.example", "a.b.example"),
        ("2026-11-29T00:00:00Z", "2026-11-29 00:00:00Z"),
        (409, 422),
        (10**3, 10**20),
        ("a" * 30, "a" * 31),
    ],
)
def test_what_a_validator_tells_apart_has_two_shapes(one: Any, other: Any) -> None:
    assert shape(one) != shape(other)


def test_random_texts_and_times_have_one_shape() -> None:
    bodies = [
        {"request_id": uuid.uuid4().hex, "created": f"2026-11-29T00:00:0{second}Z"}
        for second in range(3)
    ]

    assert len({shape_of_body(JSON, json.dumps(each).encode()) for each in bodies}) == 1


def test_a_status_that_was_not_seen_is_told_unless_the_definition_has_a_reason() -> None:
    missing = unseen(Counter())

    assert ("list_teams", "200") in missing
    assert not set(excused(Counter())) & set(missing)
