"""Bad input over HTTP: what every operation of the API refuses before it looks at anything."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from roster.contract import loader
from roster.contract.operation import Operation
from roster.http.errors import PROBLEM
from tests import examples
from tests.serving import API, PASSWORD, PROOF, Person, Server, pointers, replace

OPERATIONS = [
    operation
    for operation in loader.load("development").operations
    if operation.path.startswith(f"{API}/") and PROBLEM in str(operation.spec["responses"])
]
MIB = 1024 * 1024
PATCH = "application/json-patch+json"

# Bodies that are right, each with a text in it, where the first example of the definition is not.
BODIES: dict[str, tuple[Any, str]] = {
    "sign_up": (
        {"username": "grace", "email": "g@x.example", "password": PASSWORD, "first_name": "Grace"},
        "Grace",
    ),
    "change_user": ([PROOF, replace("/first_name", "Grace")], "Grace"),
    "create_team": ({"title": "Engines"}, "Engines"),
    "change_team": ([replace("/title", "Poetry")], "Poetry"),
    "add_member": ({"user_id": 4}, "user_id"),
    "change_member": ([replace("/is_leader", True)], "/is_leader"),
    "create_client": ({"name": "Loom", "redirect_uris": ["https://l.example/"]}, "Loom"),
    "change_client": ([replace("/name", "Loom")], "Loom"),
}

with_a_body = [
    operation
    for operation in OPERATIONS
    if any("json" in media_type for media_type in operation.request_content)
]
every_operation_with_a_body = pytest.mark.parametrize(
    "operation", with_a_body, ids=[operation.id for operation in with_a_body]
)
strict = [operation for operation in OPERATIONS if "400" in operation.spec["responses"]]
every_operation = pytest.mark.parametrize(
    "operation", strict, ids=[operation.id for operation in strict]
)


@pytest.fixture
def boss(server: Server) -> Person:
    """An admin who leads team 1, which has the development user as its other member."""
    boss = server.person("boss", is_admin=True)
    assert server.team("Cables", boss, server.caller(3)) == 1
    return boss


def path_of(operation: Operation, who: Person) -> str:
    """Return the operation's path; the objects that it names, and nobody made, are made."""
    known = {"team_id": 1, "user_id": 3, "client_id": "documentation"}
    ids = {"teams": 1, "users": 3, "clients": 1}
    with who.client.app.sessions() as session:
        path = examples.path_of(operation, known, ids, examples.made(session))
        session.commit()
    return path.removeprefix(API)


def body_of(operation: Operation) -> tuple[Any, str]:
    """Return a body that is right, and a text in it."""
    if operation.id in BODIES:
        return BODIES[operation.id]
    body = examples.body_of(operation)
    return body, texts(body)[-1]


def texts(value: Any) -> list[str]:
    """Return the names of all members, and behind them the texts that are their values."""
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def send(
    who: Person, operation: Operation, content: Any, media_type: str | None = None, **headers: str
) -> Any:
    """Send a raw body, by default as the first media type that the operation takes."""
    media_type = media_type or next(iter(operation.request_content))
    headers = {"Content-Type": media_type, **headers}
    return who.request(operation.method, path_of(operation, who), content=content, headers=headers)


def right(operation: Operation) -> bytes:
    return json.dumps(body_of(operation)[0]).encode()


def spoilt(operation: Operation, text: bytes) -> bytes:
    """Return the right body with something put behind its text, inside the quotes."""
    before = body_of(operation)[1].encode()
    return right(operation).replace(before, before + text, 1)


@every_operation_with_a_body
def test_the_bodies_that_the_tests_of_this_file_spoil_are_right(
    boss: Person, operation: Operation
) -> None:
    answer = send(boss, operation, right(operation))

    assert answer.is_success, (
        f"Neither the first example of {operation.id} nor what BODIES in"
        f" tests/handlers/test_bad_input.py has for it is right: {answer.text}"
    )


# JSON


NO_BODIES = (
    b"",
    b" ",
    b"{",
    b"[1,]",
    b"nonsense",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b"'single'",
    b'{"a": 1} {"b": 2}',
    b"\xff\xfe{\x00}\x00",
    b"null",
    b"1",
    b'""',
    b"{}",
    b"[]",
    b"[[]]",
    b"[" * 100_000,
    b"[" * 500 + b"]" * 500,
    b'{"a":' * 100_000,
    b"1" * 5000,
)


@every_operation_with_a_body
def test_what_is_no_json_of_the_kind_is_bad(boss: Person, operation: Operation) -> None:
    answered = [send(boss, operation, body).status_code for body in NO_BODIES]

    assert answered == [400] * len(NO_BODIES)


NO_TEXTS = (
    b"\\u0000",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\n",
)


@every_operation_with_a_body
def test_what_is_no_clean_text_is_bad(boss: Person, operation: Operation) -> None:
    answered = {
        text: send(boss, operation, spoilt(operation, text)).status_code for text in NO_TEXTS
    }

    assert answered == dict.fromkeys(NO_TEXTS, 400)


every_patch = pytest.mark.parametrize(
    "operation",
    [each for each in with_a_body if PATCH in each.request_content],
    ids=lambda each: each.id,
)


@every_patch
@pytest.mark.parametrize("media_type", [PATCH, "application/json"])
def test_a_patch_may_have_members_that_its_operations_do_not_have(
    boss: Person, operation: Operation, media_type: str
) -> None:
    more = {"from": "/nothing", "xyz": 123, "comment": {"a": [None]}, "Value": "x", "": True}
    body = [{**more, **each} for each in body_of(operation)[0]]

    answer = send(boss, operation, json.dumps(body).encode(), media_type)

    assert answer.status_code == 200, answer.text


@every_patch
def test_a_member_that_a_patch_does_not_have_may_not_come_twice(
    boss: Person, operation: Operation
) -> None:
    body = right(operation).replace(b"{", b'{"xyz": 1, "xyz": 1, ', 1)

    assert send(boss, operation, body).status_code == 400


@every_operation_with_a_body
def test_a_name_given_twice_is_bad(boss: Person, operation: Operation) -> None:
    body = right(operation).replace(b"{", b'{"op": "test", "op": "test", ', 1)

    answer = send(boss, operation, body)

    assert answer.status_code == 400
    assert "twice" in answer.text


@pytest.mark.parametrize(
    "operation",
    [each for each in with_a_body if PATCH not in each.request_content],
    ids=lambda each: each.id,
)
def test_an_unknown_key_is_bad_and_not_repeated(boss: Person, operation: Operation) -> None:
    body = right(operation).replace(b"{", b'{"s3cr3t": 1, ', 1)

    answer = send(boss, operation, body)

    assert answer.status_code == 400
    assert pointers(answer)
    assert "s3cr3t" not in answer.text


@every_operation_with_a_body
def test_a_huge_number_is_bad(boss: Person, operation: Operation) -> None:
    text = json.dumps(body_of(operation)[1]).encode()
    body = right(operation).replace(text, b"9" * 5000, 1)

    assert body != right(operation)
    assert send(boss, operation, body).status_code == 400


@pytest.mark.parametrize(
    "operation",
    [each for each in with_a_body if each.spec["requestBody"].get("required")],
    ids=lambda each: each.id,
)
def test_a_body_is_needed(boss: Person, operation: Operation) -> None:
    assert boss.request(operation.method, path_of(operation, boss)).status_code == 400


# Media types


@pytest.mark.parametrize("suffix", ["", "; charset=utf-8", ";charset=UTF-8", '; charset="utf-8"'])
def test_letter_case_and_utf_8_do_not_matter(boss: Person, suffix: str) -> None:
    for operation in with_a_body:
        for media_type in operation.request_content:
            answer = send(boss, operation, right(operation), media_type.title() + suffix)
            assert answer.status_code in {operation.success[0], 409}


OTHER_TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/merge-patch+json",
    "application/jsonx",
    "json",
    "*/*",
    "/",
    ";",
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "application/json; charset=nonsense",
)


@every_operation_with_a_body
def test_another_media_type_or_charset_is_unsupported(boss: Person, operation: Operation) -> None:
    answered = {
        media_type: send(boss, operation, right(operation), media_type).status_code
        for media_type in OTHER_TYPES
    }

    assert answered == dict.fromkeys(OTHER_TYPES, 415)


@every_operation_with_a_body
def test_a_body_without_a_media_type_is_unsupported(boss: Person, operation: Operation) -> None:
    answer = boss.request(operation.method, path_of(operation, boss), content=right(operation))

    assert answer.status_code == 415


@every_operation_with_a_body
def test_schemas_hold_in_every_letter_case_of_the_media_type(
    boss: Person, operation: Operation
) -> None:
    for media_type in operation.request_content:
        assert send(boss, operation, b'{"s3cr3t": 1}', media_type.title()).status_code == 400


# Size


@every_operation_with_a_body
def test_a_body_has_at_most_one_mebibyte(boss: Person, operation: Operation) -> None:
    body = right(operation)

    assert send(boss, operation, body.ljust(MIB + 1)).status_code == 413
    assert send(boss, operation, body.ljust(MIB)).is_success


@every_operation_with_a_body
def test_chunks_are_put_together(boss: Person, operation: Operation) -> None:
    def chunks(body: bytes) -> Iterator[bytes]:
        yield from (body[start : start + 8] for start in range(0, len(body), 8))

    assert send(boss, operation, chunks(right(operation))).is_success


@every_operation_with_a_body
def test_too_many_chunks_are_too_large(boss: Person, operation: Operation) -> None:
    def chunks() -> Iterator[bytes]:
        yield right(operation)
        for _ in range(17):
            yield b" " * (MIB // 16)

    assert send(boss, operation, chunks()).status_code == 413


# Queries


def ask(who: Person, operation: Operation, query: str) -> Any:
    body = {"json": body_of(operation)[0]} if operation in with_a_body else {}
    return who.request(operation.method, f"{path_of(operation, who)}?{query}", **body)


@every_operation
def test_an_unknown_parameter_is_bad_and_not_repeated(boss: Person, operation: Operation) -> None:
    for query in ("s3cr3t=1", "s3cr3t", "Limit=5", "limit[]=5", "access_token=x"):
        answer = ask(boss, operation, query)
        assert answer.status_code == 400, query
        assert "s3cr3t" not in answer.text


@every_operation
def test_a_query_that_is_no_text_is_bad(boss: Person, operation: Operation) -> None:
    for query in ("limit=%00", "limit=%ff", "limit=%ed%a0%80", "cursor=%00", "%00=1", "%ff"):
        assert ask(boss, operation, query).status_code == 400, query


@pytest.mark.parametrize("path", ["/users", "/teams", "/teams/1/members"])
@pytest.mark.parametrize("query", ["limit=1&limit=1", "offset=1&offset=2", "cursor=&cursor="])
def test_a_parameter_given_twice_is_bad(boss: Person, path: str, query: str) -> None:
    answer = boss.get(f"{path}?{query}")

    assert answer.status_code == 400
    assert pointers(answer) == [f"/{query.partition('=')[0]}"]


# Paths


@pytest.mark.parametrize("path", ["/userss", "/users/me/more", "/users//", "/teams/1/member", "/x"])
def test_there_is_nothing_elsewhere(boss: Person, path: str) -> None:
    answer = boss.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/users", {"GET", "POST"}),
        ("DELETE", "/users", {"GET", "POST"}),
        ("POST", "/users/me", {"GET"}),
        ("PUT", "/teams/1", {"GET", "PATCH", "DELETE"}),
        ("GET", "/teams/1/members/3", {"PATCH", "DELETE"}),
        ("TRACE", "/teams", {"GET", "POST"}),
    ],
)
def test_a_method_that_is_not_there_is_not_allowed(
    boss: Person, method: str, path: str, allow: set[str]
) -> None:
    answer = boss.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["content-type"] == PROBLEM
    assert set(answer.headers["allow"].split(", ")) - {"HEAD", "OPTIONS"} == allow
