"""Write down what the server is asked and answers, in tests, for a validator to judge later.

Each process has a file of its own in the folder: a line of JSON for the first answer of a shape,
and after that the number of this line for each further answer like it. So nothing is lost where a
server is killed, and tens of thousands of answers are a few megabytes.
"""

import hashlib
import itertools
import json
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from roster.application import Application
from roster.contract.definition import Definition
from tests.proof.shapes import masked, shape_of_body

# Names the folder for the records to a server that a test starts.
VARIABLE = "TESTS_RECORD_ANSWERS"

# What differs in each answer, and is nothing that the definition declares.
_IGNORED = {"content-length", "date"}
# What of a request its operation may declare, or its security.
_KEPT = {"accept", "authorization", "content-type", "cookie", "host", "if-none-match"}

# Tests that mock what is inside the server, or add pages to it, so that answers are not its own.
_MOCKED = ("tests/roster/stack/test_resolver.py", "tests/roster/stack/test_flask_pages.py")


class Recorder:
    """The file of one process."""

    def __init__(self, folder: Path) -> None:
        """Begin a file."""
        self._folder = folder
        self._numbers = itertools.count()
        self._seen: dict[Any, int] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()
        path = folder / f"{self._pid}-{os.urandom(4).hex()}.jsonl"
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def add(self, definition: Definition, asked: Any, status: int, headers: Any, body: Any) -> None:
        """Write an answer down."""
        scope, request_body = asked
        names = [(name.decode("latin-1").lower(), v.decode("latin-1")) for name, v in headers]
        sent = [(name.decode("latin-1"), v.decode("latin-1")) for name, v in scope["headers"]]
        kept = [(name, text) for name, text in sent if name in _KEPT]
        path, query = scope["path"], scope["query_string"].decode("latin-1")
        media_type = dict(names).get("content-type", "")
        which = identity(definition)
        # What was refused is not as the definition has it, mostly.
        is_accepted = status < 400
        request: Any = None
        if is_accepted:
            form = dict(kept).get("content-type", "")
            request = (
                masked(query),
                tuple((name, masked(text)) for name, text in kept),
                shape_of_body(form, request_body),
            )
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        is_mocked = test.startswith(_MOCKED)
        key = (
            is_mocked,
            which,
            scope["method"],
            masked(path),
            request,
            status,
            frozenset((name, masked(text)) for name, text in names if name not in _IGNORED),
            shape_of_body(media_type, body),
        )
        with self._lock:
            number = self._seen.get(key)
            if number is not None:
                os.write(self._file, b"%d\n" % number)
                return
            number = self._seen[key] = next(self._numbers)
        self._write_definition(which, definition)
        record = {
            "number": number,
            "key": hashlib.sha256(repr(_ordered(key)).encode("utf-8", "replace")).hexdigest(),
            "definition": which,
            "method": scope["method"],
            "path": path,
            "query": query,
            "sent": kept,
            "asked": request_body.decode("latin-1") if is_accepted else None,
            "status": status,
            "headers": names,
            "body": body.decode("latin-1"),
            "test": test,
            "is_mocked": is_mocked,
        }
        os.write(self._file, json.dumps(record).encode() + b"\n")

    def _write_definition(self, which: str, definition: Definition) -> None:
        path = self._folder / f"definition-{which}.json"
        if not path.exists():
            made = path.with_suffix(f".{os.getpid()}")
            made.write_text(json.dumps(definition.document, default=str))
            made.rename(path)


def _ordered(key: Any) -> Any:
    """Return a key whose text is the same in each process."""
    if isinstance(key, frozenset):
        return sorted((_ordered(each) for each in key), key=repr)
    return tuple(map(_ordered, key)) if isinstance(key, tuple) else key


@cache
def identity(definition: Definition) -> str:
    """Return what tells definitions apart, also by operations that are served and not published."""
    served = sorted((each.path, each.method) for each in definition.operations)
    return hashlib.sha256(definition.as_json + repr(served).encode()).hexdigest()[:16]


def record_answers(folder: Path) -> None:
    """Record all answers of this process from now on."""
    serve = Application.__call__
    recorder = Recorder(folder)

    async def recorded(self: Application, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await serve(self, scope, receive, send)
            return
        # What is below may change it.
        asked = {**scope, "headers": [*scope["headers"]]}
        pieces: list[bytes] = []
        body: list[bytes] = []
        start: dict[str, Any] = {}

        async def receiving() -> Message:
            message = await receive()
            pieces.append(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                body.append(message.get("body", b""))
                if not message.get("more_body"):
                    headers = start.get("headers", [])
                    whole = b"".join(body)
                    request = (asked, b"".join(pieces))
                    recorder.add(self.definition, request, start["status"], headers, whole)
            await send(message)

        await serve(self, scope, receiving, sending)

    Application.__call__ = recorded  # type: ignore[method-assign]


def record_if_asked() -> None:
    """Record all answers of this process where a test that started it says so."""
    if folder := os.environ.get(VARIABLE):
        record_answers(Path(folder))
