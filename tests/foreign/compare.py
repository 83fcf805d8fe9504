"""The same requests to this server and, before, to openapi-core: where the two do not agree."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from roster.http.forms import UploadedFile
from tests.foreign.made import Request
from tests.foreign.mount import Mounted

RECORDS = Path(__file__).with_name("recorded")
REFUSED = "refused"


def recorded(name: str) -> dict[str, Any]:
    """Return what openapi-core made of the requests to a definition."""
    found: dict[str, Any] = json.loads((RECORDS / f"{name}.json").read_text("utf-8"))
    return found


def ours(mounted: Mounted, request: Request) -> Any:
    """Return what this server makes of a request: what the handler got, in openapi-core's form."""
    answer = mounted.ask(
        request.method,
        unquote(request.path),
        query=request.query.encode(),
        headers=[(name.lower().encode(), text.encode()) for name, text in request.headers],
        body=request.body.encode("latin-1"),
    )
    if answer.given is None:
        assert 400 <= answer.status < 500, (answer.status, request.label)
        return REFUSED
    assert answer.status < 300, answer
    operation = mounted.definition.operation(request.template, request.method)
    made: dict[str, Any] = {}
    for argument, (place, name) in mounted.definition.parameters[operation.id].arguments.items():
        value = answer.given.get(f"{argument}_" if argument == "body" else argument)
        if value is not None:
            made.setdefault(place, {})[name] = value
    if answer.given.get("body") is not None:
        made["body"] = plain(answer.given["body"])
    return made


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, UploadedFile):
        return plain(value.content)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value
