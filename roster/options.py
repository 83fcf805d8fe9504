"""OPTIONS: what this caller may do on a path, decided as for the operations themselves."""

from models import Caller, Consent
from models import errors as domain
from roster.access import Rules
from roster.definition import Operation
from roster.errors import Answer, Refusal, answer, unauthorized
from roster.exchange import Exchange
from roster.permissions import Verdict
from roster.security import identify


def answer_options(exchange: Exchange, rules: Rules) -> Answer:
    """Answer OPTIONS: 204 with `Allow`, 401 to the unknown, 404 for what the caller may not see.

    Body, captcha and password are taken for right, and conflicts for none.
    """
    try:
        methods = {"OPTIONS", *_allowed_methods(exchange, rules)}
    except (Refusal, domain.DomainError) as error:
        return answer(error, exchange.route.error_media_type)
    finally:
        exchange.close()
    if "GET" in methods and exchange.route.has_head:
        methods.add("HEAD")
    return Answer(204, headers=(("Allow", ", ".join(sorted(methods))),))


def _allowed_methods(exchange: Exchange, rules: Rules) -> list[str]:
    operations = exchange.route.operations.values()
    known = None
    if any(operation.is_protected for operation in operations):
        known = identify(exchange)
    if known is None and not any(operation.is_open for operation in operations):
        raise unauthorized()
    verdicts = {}
    for operation in operations:
        has_scope = known is not None and operation.scopes <= known.scopes
        if has_scope or operation.is_open:
            exchange.caller = known if known is not None and has_scope else Caller.anonymous()
            verdict, _ = rules.judge(exchange, operation)
            if verdict is Verdict.GRANTED and not _has_own(exchange, operation):
                verdict = Verdict.ABSENT
            verdicts[operation.method] = verdict
    # A token without any scope for this path learns nothing, not even whether the object is there.
    if verdicts and all(verdict is Verdict.ABSENT for verdict in verdicts.values()):
        raise domain.NotFound("There is nothing here.")
    return [method for method, verdict in verdicts.items() if verdict is Verdict.GRANTED]


def _has_own(exchange: Exchange, operation: Operation) -> bool:
    """Tell whether the caller has what the path names, where only the handler looks for it."""
    find = _OWN.get(operation.spec.get("x-own", ""))
    user = exchange.caller.user
    if find is None or user is None:
        return True
    return find(exchange.session, user.id, **exchange.path_parameters)


_OWN = {"authorization": Consent.is_authorised}
