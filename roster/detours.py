"""Detours: requests that leave their thread before the handler, and run once more after that."""

from collections.abc import Awaitable, Callable
from functools import partial

from roster.definition import Operation
from roster.exchange import Exchange
from roster.oauth.forms import read_form
from roster.settings import Settings


class Detour(Exception):
    """A request has to go on elsewhere: nothing was written, and it is run again from its start.

    With a `question`, after that was awaited on the event loop; without one, in the threads that
    hash passwords.
    """

    def __init__(self, question: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.question = question


def hash_elsewhere(settings: Settings, operation: Operation) -> Callable[[Exchange], None] | None:
    """Make the step that sends what will hash a password to the threads for that, and only that.

    Everything before the handler is done in an ordinary thread, so that what is refused there takes
    nobody's place in the queue of those who log in.

    :raises ValueError: for an `x-computes-hash` with a field that the form does not have.
    """
    if operation.hashes_where is None:
        return None
    if operation.form_fields and operation.hashes_where.keys() - operation.form_fields.keys():
        raise ValueError(f"x-computes-hash: {operation.id} has no such field")
    return partial(_send_on, settings, operation)


def _send_on(settings: Settings, operation: Operation, exchange: Exchange) -> None:
    if not exchange.may_hash and _will_hash(settings, operation, exchange):
        raise Detour


def _will_hash(settings: Settings, operation: Operation, exchange: Exchange) -> bool:
    if not operation.hashes_where:
        return True
    form = read_form(exchange, from_url=settings.is_development)
    return all(form.get(name) in values for name, values in operation.hashes_where.items())
