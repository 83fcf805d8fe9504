"""Every operation fails as the definition declares it, whatever fails."""

import asyncio
import re

import pytest

from roster.contract import loader
from roster.contract.operation import Operation
from roster.server.dispatch import Dispatcher
from tests.roster.raw import ask
from tests.serving import Server

pytestmark = pytest.mark.one_database

OPERATIONS = loader.load("development").operations
WITH_BODIES = [each for each in OPERATIONS if each.request_content]
MIB = 1024 * 1024


def path_of(operation: Operation) -> str:
    """Return a path of an operation: its parameters are numbers or texts."""
    return re.sub(r"{\w+}", "1", operation.path)


def every(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=lambda each: each.id)


@every(OPERATIONS)
@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("A fault."), 500), (asyncio.CancelledError(), 503)]
)
def test_a_fault_and_the_end_of_the_server_are_answered(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    operation: Operation,
    error: BaseException,
    status: int,
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Dispatcher, "__call__", fail)

    answer = ask(server.app, operation.method, path_of(operation))

    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == 503)


@every(WITH_BODIES)
def test_a_body_that_is_too_large_is_refused(server: Server, operation: Operation) -> None:
    answer = ask(server.app, operation.method, path_of(operation), body=b" " * (MIB + 1))

    assert answer.status_code == 413


@every(WITH_BODIES)
def test_a_body_of_another_media_type_is_refused(server: Server, operation: Operation) -> None:
    headers = [(b"content-type", b"text/plain")]
    if operation.is_protected:
        token = server.token("root", "q")
        headers.append((b"authorization", f"Bearer {token}".encode()))

    answer = ask(server.app, operation.method, path_of(operation), headers=headers, body=b"x")

    assert answer.status_code == 415
