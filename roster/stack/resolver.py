"""The handler wrapper: all that happens around a handler, so that a handler need not."""

import inspect
from collections.abc import Callable, Generator, Sequence
from time import monotonic, sleep
from typing import Any

from connexion.operations import AbstractOperation
from connexion.resolver import Resolution, Resolver
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from models import errors as domain
from models.database import failures
from roster.api.responses import Responder
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError, nearest
from roster.contract.operation import Operation
from roster.http.answers import Answer
from roster.http.context import RequestContext, current
from roster.http.errors import HTTPError, answer
from roster.stack.audit import with_events, with_failures
from roster.stack.authorization import Admission, OutdatedError, Rules
from roster.stack.handlers import find_handler
from roster.stack.idempotency import AnsweredError, check_idempotent, keep_answer, release_key
from roster.stack.object_checks import check_handler
from roster.stack.preconditions import Call, find_precondition, is_conditional
from roster.stack.providers import Providers
from roster.stack.security import identify, is_unchanged

# How often a request is begun whose caller changes while it is under way.
_ATTEMPTS = 5

# What an operation asks for between the permission and the handler: makes the function that does
# it, or None for an operation that does not ask for it.
Step = Callable[[Operation], Callable[[RequestContext], None] | None]


class HandlerResolver(Resolver):
    """Resolve each operation to its handler, wrapped in all that is the same for every one.

    Around a handler the wrapper opens the session, loads the object that the path names (absent:
    404), asks whether the caller may (403, or 404 where it must not know), calls the handler with
    what its parameters name, commits, and makes the response. An error rolls back, but one that
    declares a consequence commits it first. It is answered as the definition declares; the error
    handlers of Flask are for pages of Flask's own. Between permission and handler come the steps
    that the operation asks for. A handler that yields has all that it wrote so far committed: so it
    does in batches what would keep others waiting.
    """

    def __init__(
        self,
        definition: Definition,
        rules: Rules,
        providers: Providers,
        steps: Sequence[Step] = (),
    ) -> None:
        super().__init__()
        self._definition = definition
        self._rules = rules
        self._providers = providers
        self._steps = steps
        self._resolved: dict[str, Resolution] = {}
        # What is wrong between the definition and the handlers: all of it, when all are resolved.
        self.mistakes: list[DefinitionError] = []

    def resolve(self, operation: AbstractOperation) -> Resolution:
        """Find and wrap the handler of an operation; connexion asks once for each of its layers."""
        declared = self._definition.operation(operation.path, operation.method)
        if declared.id not in self._resolved:
            self._resolved[declared.id] = Resolution(self._view(declared), declared.handler)
        return self._resolved[declared.id]

    @property
    def views(self) -> dict[str, Callable[..., Answer]]:
        """The wrapped handlers, by the handlers' names."""
        return {found.operation_id: found.function for found in self._resolved.values()}

    def _view(self, operation: Operation) -> Callable[..., Answer]:
        try:
            return self._wrap(find_handler(operation), operation)
        except DefinitionError as error:
            self.mistakes.append(error)
            return _absent

    def _wrap(self, handler: Callable[..., Any], operation: Operation) -> Callable[..., Answer]:
        check_handler(handler, operation)
        check_idempotent(handler, operation)
        handle = self._caller(handler, operation)
        precondition = find_precondition(
            operation,
            self._definition,
            self._rules,
            lambda reading: self._caller(find_handler(reading), reading),
        )
        respond = Responder(operation, self._definition, self._rules.settings)
        steps = [step for make in self._steps if (step := make(operation))]

        def carry_on(context: RequestContext, found: Any) -> Any:
            result = handle(context, found)
            return _finish(result, context) if isinstance(result, Generator) else result

        handle_and_tell = with_events(operation, carry_on)

        def call(context: RequestContext) -> Any:
            condition = precondition if is_conditional(context) else None
            admission = Admission(self._rules, context, operation, condition)
            result = handle_and_tell(context, admission.admit(steps))
            admission.finish()
            return result

        tell = with_failures(operation, _committing(call, respond))

        def view(**_: Any) -> Answer:
            context = current.get()
            try:
                return respond(tell(context), context)
            except Exception as error:
                release_key(context, error)
                if isinstance(error, HTTPException):  # of werkzeug: `abort` belongs to Flask
                    raise
                # It is answered as the definition declares.
                return respond(answer(error, operation.error_media_type), context)

        return view

    def _caller(self, handler: Callable[..., Any], operation: Operation) -> Call:
        """Return the function that calls a handler with what its parameters name."""
        parameters = inspect.signature(handler).parameters
        for name, parameter in parameters.items():
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                raise DefinitionError(
                    f"{operation.handler} is called by names, and takes {name} by its place alone",
                    path=operation.path,
                    method=operation.method,
                )
        arguments = [self._argument(name, operation) for name in parameters]

        def call(context: RequestContext, found: Any) -> Any:
            return handler(**{name: provide(context, found) for name, provide in arguments})

        return call

    def _argument(
        self, name: str, operation: Operation
    ) -> tuple[str, Callable[[RequestContext, Any], Any]]:
        """Find where a handler's parameter comes from.

        A parameter of the definition that is called as the object, the body or a provider is, or as
        a word of Python, is given where the handler asks for it with an underscore behind it.

        :raises DefinitionError: where it comes from nowhere.
        """
        if name == operation.permission.object:
            return name, lambda _, found: found
        if name == "body":
            return name, lambda context, _: context.body
        if name in self._providers:
            provide = self._providers[name]
            return name, lambda context, _: provide(context)
        arguments = self._definition.parameters[operation.id].arguments
        argument = name if name in arguments else name.removesuffix("_")
        place, declared = arguments.get(argument, ("", ""))
        if place == "path":
            return name, lambda context, _: context.path_parameters[declared]
        if place == "query":
            return name, lambda context, _: context.query[declared]
        if place:
            return name, lambda context, _: context.arguments[argument]
        known = [*self._providers, "body", *arguments]
        known += [operation.permission.object] if operation.permission.object else []
        raise DefinitionError(
            f"{operation.handler} asks for {name}, which neither the definition nor a provider"
            f" gives{nearest(name, known)}",
            path=operation.path,
            method=operation.method,
        )


def _absent(**_: Any) -> Answer:
    raise HTTPError(500, "This operation has no handler.")


def _committing(
    call: Callable[[RequestContext], Any], respond: Responder
) -> Callable[[RequestContext], Any]:
    """Return the function that carries a request out, and commits."""

    def call_and_commit(context: RequestContext) -> Any:
        # A write may wait for the commit, and fail with it: both belong to what is repeated.
        try:
            result = call(context)
        except domain.DomainError as error:
            if error.consequence:
                context.commit()
            raise
        if context.idempotent is None:
            context.commit()
        else:
            context.flush()
        return result

    def carry_out(context: RequestContext) -> Any:
        if context.refusal is not None:
            raise context.refusal
        try:
            result = _repeat(call_and_commit, context)
        except AnsweredError as before:
            return before.answer
        if context.idempotent is not None:
            return keep_answer(context, respond(result, context))
        return result

    return carry_out


def _repeat(call: Callable[[RequestContext], Any], context: RequestContext) -> Any:
    """Carry a request out, from the beginning again where its caller changed on the way.

    So too, once, where its database connection had become stale.

    :raises HTTPError: 401, where the token ended meanwhile; 503, where there is no end to changes.
    """
    was_stale = False
    for _ in range(_ATTEMPTS):
        try:
            return call(context)
        except domain.DomainError as error:
            if error.consequence:
                raise
            context.undo()
            # What somebody else has just ended may be the reason; then it has ended the token too.
            if is_unchanged(context):
                raise
        except OutdatedError:
            context.undo()
        except DBAPIError as error:
            # Nothing was committed, and the connection is closed: the next one may be better.
            if was_stale or not failures.is_stale(error):
                raise
            was_stale = True
            context.undo()
        context.caller = identify(context) or context.caller
        if context.read_body is not None:  # for the handler may have changed it
            context.body = context.read_body()
    raise HTTPError(503, "The caller's rights change too often.", headers={"Retry-After": "1"})


def _finish(steps: Generator[Any, None, Any], context: RequestContext) -> Any:
    """Commit after each step of a handler that yields, and return what it returns.

    Between two steps everybody else may write for as long as the last one took.
    """
    while True:
        began = monotonic()
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        context.commit()
        sleep(monotonic() - began)
