"""Audit events of the command line: the operator acts, with no user and no client."""

import getpass
from collections.abc import Mapping

from sqlalchemy.orm import Session

from models.audit.event import Act


def record(
    session: Session,
    action: str,
    target: tuple[str, str | int],
    details: Mapping[str, str] | None = None,
) -> None:
    """Write the event of a command in its transaction.

    `target` is the kind and the id of what it changes. The operator is told by the name of the
    account in the operating system.
    """
    kind, id = target
    Act(
        action,
        user_id=int(id) if kind == "user" else None,
        target_kind=kind,
        target_id=str(id),
        details={"operation": "command line", "operator": _operator(), **(details or {})},
    ).write(session.connection())


def changed(values: Mapping[str, object]) -> dict[str, str]:
    """Return the details of a change: the names of what is not None, and the values of flags."""
    given = {name: value for name, value in values.items() if value is not None}
    flags = {name: str(value).lower() for name, value in given.items() if isinstance(value, bool)}
    return {"changed": " ".join(sorted(given)), **flags}


def _operator() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # an account without a name, as in some containers
        return "unknown"
