"""Audit events of a request: what is known of every one, from the request itself."""

from typing import Any

from asgi_correlation_id import correlation_id

from models.audit.event import Act
from roster.http.context import RequestContext


def begin_act(context: RequestContext, action: str, **known: Any) -> Act:
    """Return what a request tells of an act: the caller, its client, and from where it came."""
    act = Act(action, address=context.client_address, request_id=correlation_id.get(), **known)
    caller = context.caller
    act.client = caller.client
    if caller.user is not None:
        act.actor_id, act.actor_name = caller.user.id, caller.user.username
    return act


def record(context: RequestContext, action: str, **known: Any) -> None:
    """Write an audit event in the transaction of the request, with the fields of `Act` given."""
    begin_act(context, action, **known).write(context.connection)
