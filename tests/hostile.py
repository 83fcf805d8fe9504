"""Hostile requests: as costly as one can make them for a schema, within the size that is read."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from roster.contract.operation import Operation
from roster.http.json_bodies import MAX_VALUES
from roster.server.body import MAX_BODY_BYTES

Headers = list[tuple[bytes, bytes]]

MULTIPART = "multipart/form-data"
_HOLE = "\ue000"
_HOLE_IN_JSON = json.dumps(_HOLE).encode()
_TELLING = {"type", "format", "pattern", "maxItems"}
# What a string may be filled with: each is JSON's text of it.
_TEXTS = (
    b"a",
    rb"\u0000",
    rb"\"",
    rb"\ud83d\ude00",
    "\u0301".encode(),
    "\u2800".encode(),
    b"a@",
    b"https://a:%",
    b"a.",
    b" ",
)


@dataclass(frozen=True)
class Attack:
    """One request: what it does, in words, and what it sends."""

    name: str
    path: str
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


def attacks_on(operation: Operation) -> Iterator[Attack]:
    """Make the requests that attack one operation: by its body, its query, its path, by headers."""
    path = operation.path.format_map(_Ones())
    schemas = []
    for media_type, content in operation.request_content.items():
        if "json" in media_type and content["schema"] in schemas:
            continue
        schemas.append(content["schema"])
        for name, parameters, body in _bodies(media_type, content["schema"]):
            header = (b"content-type", media_type.encode() + parameters)
            yield Attack(f"{media_type}: {name}", path, headers=(header,), body=body)
    names = {each["name"]: each["schema"] for each in operation.parameters if each["in"] == "query"}
    for name, query in _forms(names):
        yield Attack(f"query: {name}", path, query=query)
    for name, value in _headers():
        yield Attack(f"header: {name} of {value[:12]!r}", path, headers=((name.encode(), value),))
    if "{client_id}" in operation.path:
        yield Attack("path", operation.path.replace("{client_id}", "a" * MAX_BODY_BYTES))


def _bodies(media_type: str, schema: dict[str, Any]) -> Iterator[tuple[str, bytes, bytes]]:
    if media_type == MULTIPART:
        yield from _multipart_bodies(schema)
    else:
        found = json_bodies(schema) if "json" in media_type else _forms(schema["properties"])
        yield from ((name, b"", body) for name, body in found)


class _Ones(dict[str, str]):
    def __missing__(self, _name: str) -> str:
        return "1"


# JSON


def json_bodies(schema: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Make bodies for a schema, each with one place in it blown up."""
    seen = set()
    for where, frame, inner in _holes(schema, _HOLE, ""):
        # Places with the same rules cost the same.
        rules = str(sorted((key, inner[key]) for key in inner.keys() & _TELLING)), *inner
        if rules in seen:
            continue
        seen.add(rules)
        before, _, after = json.dumps(frame).encode().partition(_HOLE_IN_JSON)
        room = MAX_BODY_BYTES - len(before) - len(after)
        for what, fill in _fills(inner, room):
            yield f"{where or '/'} {what}", before + fill + after


def _holes(
    schema: dict[str, Any], frame: Any, where: str
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Find every place in a schema, with a value that is right but for a hole there."""
    yield where, frame, schema
    for inner in _alternatives(schema):
        yield from _holes(inner, frame, where)
    for name, inner in schema.get("properties", {}).items():
        whole = {**sample(schema), name: _HOLE}
        yield from _holes(inner, _put(frame, whole), f"{where}/{name}")
    if "items" in schema:
        yield from _holes(schema["items"], _put(frame, [_HOLE]), f"{where}/0")


def _put(frame: Any, value: Any) -> Any:
    """Put a value into the hole of another."""
    if isinstance(frame, dict):
        return {name: _put(inner, value) for name, inner in frame.items()}
    if isinstance(frame, list):
        return [_put(inner, value) for inner in frame]
    return value if frame == _HOLE else frame


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [inner for key in ("anyOf", "oneOf", "allOf") for inner in schema.get(key, ())]


def sample(schema: dict[str, Any]) -> Any:
    """Make a value that is right, or nearly so, with every member that it may have."""
    if "enum" in schema:
        return schema["enum"][0]
    if "example" in schema:
        return schema["example"]
    if alternatives := _alternatives(schema):
        return sample(alternatives[-1])
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return {name: sample(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}))]
    return {"integer": 1, "number": 1, "boolean": True}.get(str(kind), "a" * 8)


def _fills(schema: dict[str, Any], room: int) -> Iterator[tuple[str, bytes]]:
    """Make values of so many bytes for a place: of its kind, of others, and of no kind at all."""
    for text in _TEXTS:
        yield f"a string of {text.decode()}", b'"' + text * ((room - 2) // len(text)) + b'"'
    yield "deep arrays", b"[" * (room // 2) + b"]" * (room // 2)
    yield "deep objects", b'{"":' * (room // 6)
    yield "a number", b"1" * room
    yield "a fraction", b"0." + b"1" * (room - 2)
    yield "quotes", b'"' * room
    yield "blanks", b" " * (room - 2) + b"{}"
    yield "many names", _members(room, room)
    yield "some names", _members(room, MAX_VALUES // 2 - 200)
    yield "long names", _members(room, 400)
    yield "one name", b"{" + b'"a":0,' * ((room - 8) // 6) + b'"a":0}'
    for item in _items(schema):
        label = item[:24].decode("utf-8", "replace")
        yield f"as many as fit of {label}", _list(item, room // (len(item) + 1))
        yield f"as many as are let in of {label}", _list(item, _most(item))
    long = b'"' + b"a" * 100 + b'"'
    yield "strings", _list(long, min(room // (len(long) + 1), MAX_VALUES - 500))


def _items(schema: dict[str, Any]) -> list[bytes]:
    """Return what an array may be filled with: nothing, and what is nearly right here or in it."""
    found: list[Any] = [[], {}, 0, "", None, 0.5, [[]], {"": {}}]
    for inner in (schema, schema.get("items", {})):
        for each in (inner, *_alternatives(inner)[:5]):
            right = sample(each)
            found.append(right)
            if isinstance(right, dict):
                found += [{**right, name: []} for name in right]
                found += [{key: right[key] for key in right if key != name} for name in right]
                found.append({**right, "unknown": 1})
    return list(dict.fromkeys(json.dumps(each).encode() for each in found))


def _most(item: bytes) -> int:
    nodes = 1 + sum(map(item.count, (b",", b":", b"[", b"{")))
    return (MAX_VALUES - 200) // nodes


def _list(item: bytes, number: int) -> bytes:
    return b"[" + b",".join([item] * max(number, 1)) + b"]"


def _members(room: int, number: int) -> bytes:
    members, size = [], 2
    for index in range(number):
        member = b'"%d":0' % index if number > 1000 else b'"%d%s":0' % (index, b"a" * 2000)
        size += len(member) + 1
        if size > room:
            break
        members.append(member)
    return b"{" + b",".join(members) + b"}"


# Forms, queries, headers


def _forms(fields: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    room = MAX_BODY_BYTES - 100
    texts = (b"%41", b"%", b"+", b"%zz", "%41\u00e9".encode(), "\u00e9".encode(), b"a", b"%C3%A9")
    for name in (*fields, "unknown"):
        for text in texts if name in {"unknown", next(iter(fields), "")} else texts[:1]:
            value = text * (room // len(text))
            yield f"{name} of {text.decode()}", name.encode() + b"=" + value
    for name in ("unknown%d", "%%75nknown%d", *(list(fields)[:1])):
        each = b"%41" * (room // 49 // 3 - 10)
        pairs = [(name % n if "%" in name else name).encode() + b"=" + each for n in range(49)]
        yield f"49 of {name}", b"&".join(pairs)
    yield "a name", b"%41" * (room // 3)
    for sign in (b"&", b"=", b"a&", b"a=1&", b";"):
        yield f"only {sign.decode()}", sign * (room // len(sign))


def _multipart_bodies(schema: dict[str, Any]) -> Iterator[tuple[str, bytes, bytes]]:
    room = MAX_BODY_BYTES - 500
    begin = b"--XX\r\n"
    field = b'Content-Disposition: form-data; name="%s"'
    end = b"\r\n--XX--\r\n"
    known = next(iter(schema["properties"])).encode()
    parameters = b"; boundary=XX"
    for name in (known, b"unknown"):
        for text in (b"a", b"\n", b"\r", b"\r\n", b"\r\n--X", b"\r\n--XX", b"--XX\r\n", b"\xff"):
            body = begin + field % name + b"\r\n\r\n" + text * (room // len(text)) + end
            yield f"{name.decode()} of {text!r}", parameters, body
    for text in (
        b"; a=1",
        b';a="1"',
        b';a="\\"',
        b";",
        b" ",
        b";a*0=1",
        b"\r\n b",
        b"\r\nA: b",
        b"a",
    ):
        header = begin + field % known + text * (room // len(text))
        yield f"a header of {text!r}", parameters, header + b"\r\n\r\n1" + end
        yield f"a false end, and a header of {text!r}", parameters, b"--XX\r\n\r\n" + header + end
    for text in (b"--XX\r\n", b"\r\n", b"-", b"--XX", b"--XX ", b"--XX\r\n\r\n"):
        yield f"only {text!r}", parameters, text * (room // len(text))
    part = begin + field % b"unknown" + b"; b=c" * 160 + b"\r\n\r\n"
    part += b"\n" * (room // 49 - len(part) - 2) + b"\r\n"
    yield "49 parts", parameters, part * 49 + end
    yield "a boundary of one sign", b"; boundary=-", b"---\r\n" * (room // 5)
    yield "no boundary", b"", b"--\r\n" * (room // 4)


def _headers() -> Iterator[tuple[str, bytes]]:
    room = MAX_BODY_BYTES
    basic = base64.b64encode(b"%41" * (room // 5))
    yield "authorization", b"Basic " + basic
    yield "authorization", b"Basic " + base64.b64encode(b"%" * (room // 2))
    yield "authorization", b"Bearer " + b"a" * room
    yield "authorization", b"Bearer" + b" " * room
    for text in (b"a=1;", b";", b'a="\\"', b" ", b",", b"a"):
        yield "cookie", b"roster_session=" + text * (room // len(text))
        yield "content-type", b"multipart/form-data" + text * (65_536 // len(text))
        yield "content-type", b"application/json;" + text * (room // len(text))
        yield "if-none-match", text * (room // len(text))
        yield "origin", text * (room // len(text))
        yield "x-forwarded-for", text * (room // len(text))
    yield "accept", b"a/b;q=0.1," * (room // 10)
    yield "content-encoding", b"gzip," * (room // 5)
