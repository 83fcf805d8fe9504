"""OPTIONS: the methods that the caller may use on a path, decided as for the operations."""

from models import Caller, Consent
from models import errors as domain
from roster.contract.operation import Operation
from roster.contract.permissions import Verdict
from roster.http.answers import Answer
from roster.http.context import RequestContext
from roster.http.errors import HTTPError, answer, unauthorized
from roster.stack.authorization import Rules
from roster.stack.security import identify


def answer_options(context: RequestContext, rules: Rules) -> Answer:
    """Answer OPTIONS: 204 with `Allow`, 401 without a token, 404 for an object that is hidden.

    It is assumed that body, captcha and password are right, and that nothing conflicts.
    """
    try:
        context.usage.begin()
        methods = {"OPTIONS", *_allowed_methods(context, rules)}
    except (HTTPError, domain.DomainError) as error:
        return answer(error, context.route.error_media_type)
    finally:
        context.close()
    if "GET" in methods and context.route.has_head:
        methods.add("HEAD")
    return Answer(204, headers=(("Allow", ", ".join(sorted(methods))),))


def _allowed_methods(context: RequestContext, rules: Rules) -> list[str]:
    operations = context.route.operations.values()
    known = None
    if any(operation.is_protected for operation in operations):
        known = identify(context)
    if known is None and not any(operation.is_open for operation in operations):
        raise unauthorized()
    verdicts = {}
    for operation in operations:
        has_scope = known is not None and operation.scopes <= known.scopes
        if has_scope or operation.is_open:
            context.caller = known if known is not None and has_scope else Caller.anonymous()
            verdict, _ = rules.judge(context, operation)
            if verdict is Verdict.GRANTED and not _has_own(context, operation):
                verdict = Verdict.ABSENT
            verdicts[operation.method] = verdict
    # A token without any scope for this path must not learn whether the object exists.
    if verdicts and all(verdict is Verdict.ABSENT for verdict in verdicts.values()):
        raise domain.NotFound("There is nothing here.")
    return [method for method, verdict in verdicts.items() if verdict is Verdict.GRANTED]


def _has_own(context: RequestContext, operation: Operation) -> bool:
    """Tell whether the caller has the object of the path, where only the handler looks for it."""
    find = _OWN.get(operation.spec.get("x-own", ""))
    user = context.caller.user
    if find is None or user is None:
        return True
    return find(context.session, user.id, **context.path_parameters)


_OWN = {"authorization": Consent.is_authorised}
