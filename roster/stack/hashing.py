"""Hashing: sends requests that compute a password hash to the threads for that."""

from collections.abc import Callable
from functools import partial

from roster.contract.errors import DefinitionError, nearest
from roster.contract.operation import Operation
from roster.http.context import RequestContext
from roster.http.detour import Detour
from roster.oauth.forms import read_form
from roster.settings import Settings


def hash_elsewhere(
    settings: Settings, operation: Operation
) -> Callable[[RequestContext], None] | None:
    """Make the step that moves requests that will compute a hash to the threads for hashing.

    Everything before the handler runs in an ordinary thread, so that a request that is refused
    there takes no place in the queue of those who log in.

    :raises DefinitionError: for an `x-computes-hash` with a field that the form does not have.
    """
    if operation.hashes_where is None:
        return None
    for name in operation.hashes_where if operation.form_fields else ():
        if name not in operation.form_fields:
            hint = nearest(name, operation.form_fields)
            raise DefinitionError(
                f"x-computes-hash: the form has no field {name}{hint}",
                path=operation.path,
                method=operation.method,
            )
    return partial(_send_on, settings, operation)


def _send_on(settings: Settings, operation: Operation, context: RequestContext) -> None:
    if not context.may_hash and _will_hash(settings, operation, context):
        raise Detour


def _will_hash(settings: Settings, operation: Operation, context: RequestContext) -> bool:
    if not operation.hashes_where:
        return True
    form = read_form(context, from_url=settings.is_development)
    return all(form.get(name) in values for name, values in operation.hashes_where.items())
