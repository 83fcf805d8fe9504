"""Hostile requests: none takes long, whatever it holds and however it is put together."""

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from roster.contract import loader
from roster.contract.operation import Operation
from roster.contract.schemas import Schema
from roster.http.errors import HTTPError
from roster.http.json_bodies import parse_json
from tests.hostile import Attack, attacks_on, json_bodies
from tests.roster.raw import ask
from tests.serving import Server

pytestmark = pytest.mark.slow

OPERATIONS = loader.load("development").operations
# The rule is 250 ms of CPU on a machine at rest (`make bench-hostile` tells the figures). This is
# generous, as machines are noisy and coverage slows all down; what is unbounded takes far longer.
MAX_SECONDS = 5.0
# Of the attacks on the inner places of a body, every so many; the benchmark sends all.
STRIDE = 7

TEXT = {"type": "string", "maxLength": 10, "pattern": "^[^x]*$"}
OBJECT = {"type": "object", "required": ["a", "b"], "properties": {"a": TEXT, "b": TEXT}}
# Bodies of other people's definitions.
SCHEMAS: dict[str, dict[str, Any]] = {
    "anything": {},
    "any text": {"type": "string", "format": "uri"},
    "an open object": {"type": "object"},
    "an object of texts": {"type": "object", "additionalProperties": TEXT},
    "an array without an end": {"type": "array", "items": OBJECT},
    "a large array": {"type": "array", "maxItems": 20_000, "items": TEXT, "uniqueItems": True},
    "arrays in arrays": {
        "type": "array",
        "items": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
    },
    "one of many": {
        "type": "array",
        "items": {"oneOf": [{**OBJECT, "required": [f"a{each}"]} for each in range(50)]},
    },
    "any of many": {
        "type": "array",
        "items": {
            "anyOf": [
                {
                    **OBJECT,
                    "additionalProperties": False,
                    "properties": {"a": {"enum": [f"{each}"]}, "b": TEXT},
                }
                for each in range(50)
            ]
        },
    },
    "any of any": {
        "anyOf": [
            {"type": "array", "items": {"anyOf": [{**OBJECT, "required": [f"{a}{b}"]}]}}
            for a in range(10)
            for b in range(10)
        ]
    },
    "all of many": {"allOf": [{"type": "array", "items": OBJECT} for _ in range(20)]},
    "none of them": {"type": "array", "items": {"not": OBJECT}},
}


def thinned(operation: Operation) -> Iterator[Attack]:
    """Return all attacks on an operation but for most of those on the inner places of a body."""
    inner = 0
    for attack in attacks_on(operation):
        if ": /" in attack.name and ": / " not in attack.name:
            inner += 1
            if inner % STRIDE:
                continue
        yield attack


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.id for each in OPERATIONS])
@pytest.mark.parametrize("serve", ["sqlite"], indirect=True)
def test_no_request_takes_long(server: Server, operation: Operation) -> None:
    token = server.admin.headers["Authorization"].encode()
    credentials = [[], [(b"authorization", token)]] if operation.is_protected else [[]]

    for attack in thinned(operation):
        for sent in credentials:
            began = time.process_time()
            answer = ask(
                server.app,
                operation.method,
                attack.path,
                query=attack.query,
                headers=[*attack.headers, *sent],
                body=attack.body,
            )
            took = time.process_time() - began
            assert took < MAX_SECONDS, attack.name
            assert answer.status_code < 500, attack.name


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_no_schema_makes_validation_take_long(schema: dict[str, Any]) -> None:
    compiled = Schema(schema)

    for name, body in json_bodies(schema):
        began = time.process_time()
        try:
            errors = compiled.errors(parse_json(body, compiled.most_values))
        except HTTPError:
            errors = []
        assert time.process_time() - began < MAX_SECONDS, name
        assert len(errors) <= 20


def test_a_body_may_hold_what_its_schema_allows() -> None:
    row = {"type": "object", "additionalProperties": False, "properties": {"a": TEXT, "b": TEXT}}
    compiled = Schema({"type": "array", "maxItems": 20_000, "items": row})
    body = b"[" + b",".join([b'{"a":"a,[{:","b":""}'] * 20_000) + b"]"

    value = parse_json(body, compiled.most_values)

    assert len(value) == 20_000
    assert compiled.errors(value) == []


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 10_000 + b"1]",
        b"[" + b"[]," * 10_000 + b"1]",
        b'{"a":[' + b'{"a":1},' * 10_000 + b"1]}",
        b"[" + rb'"\\",' * 10_000 + b"1]",
    ],
)
def test_a_body_with_too_many_values_is_refused_as_such(server: Server, body: bytes) -> None:
    answer = ask(
        server.app,
        "POST",
        "/api/v1/users",
        headers=[(b"content-type", b"application/json")],
        body=body,
    )

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("The body holds too many names and values")


@pytest.mark.parametrize(
    "text", ["," * 100_000, "[{:" * 50_000, '"' * 50_000, "\\" * 50_001, '\\",' * 50_000]
)
def test_signs_in_a_text_are_no_values(text: str) -> None:
    for value in (text, [text, text], {text: text}):
        assert parse_json(orjson.dumps(value)) == value
