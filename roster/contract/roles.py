"""Roles: declared in the definition's `x-roles`, each with the words for who has it."""

from collections.abc import Iterator, Mapping
from typing import Any

from roster.contract import permissions
from roster.contract.operation import each_operation
from roster.contract.structure import Mistake


def mistakes(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with the roles, and with each operation's `x-permission`."""
    roles = document.get(permissions.ROLES, {})
    if not isinstance(roles, dict):
        yield f"{permissions.ROLES} must be an object", ()
        return
    for role, noun in roles.items():
        if not (isinstance(noun, str) and noun.strip()):
            yield f"{permissions.ROLES}: {role} needs the words for who has it", ()
    known = permissions.declared_roles(document)
    for path, method, operation in each_operation(document):
        if "x-permission" in operation:
            for sentence in permissions.mistakes(operation["x-permission"], known):
                yield sentence, ("paths", path, method)
