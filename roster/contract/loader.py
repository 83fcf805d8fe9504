"""The loader: reads the definition's files, and makes one document of them for an environment."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from roster.contract import (
    audit,
    checks,
    compositions,
    derived,
    extensions,
    roles,
    scopes,
    structure,
)
from roster.contract.bundle import Bundle
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError, DefinitionErrors
from roster.contract.kinds import error_at
from roster.contract.links import location
from roster.contract.operation import each_operation
from roster.contract.permissions import Permission, declared_roles
from roster.contract.structure import Mistake

FOLDER = Path(__file__).resolve().parents[2] / "openapi"


def load(environment: str, folder: Path | None = None) -> Definition:
    """Read and resolve the definition for one environment (`development` or `production`).

    :raises DefinitionError: where the definition is wrong, or this server does not support it.
    """
    bundle = Bundle(folder or FOLDER)
    _refuse(bundle.mistakes)
    _refuse(_located(structure.mistakes(bundle.document), bundle))
    document = _without_other_environments(bundle.document, environment)
    _refuse(
        [
            *_located(extensions.mistakes(bundle.document), bundle),
            *_located(checks.mistakes(document), bundle),
            *_located(compositions.mistakes(document), bundle),
            *_located(audit.mistakes(document), bundle),
            *_located(roles.mistakes(document), bundle),
            *_located(scopes.mistakes(document), bundle),
            *_located(derived.mistakes(document), bundle),
            *_unreferenced(bundle),
        ]
    )
    document = derived.with_rate_limits(scopes.filled_in(document))
    for _, _, operation in each_operation(document):
        permission = Permission.of(operation["x-permission"], declared_roles(document))
        operation["description"] = (
            f"{operation.get('description', '').rstrip()}\n\n{permission.sentence}".lstrip()
        )
    try:
        definition = Definition(document)
    except DefinitionError as error:
        _refuse(error.all, bundle)
        raise
    errors = []
    for each in definition.operations:
        try:
            location(each, definition)
        except DefinitionError as error:
            errors.append(error)
    _refuse(errors, bundle)
    definition.files = bundle.files_of
    return definition


def _refuse(errors: Sequence[DefinitionError], bundle: Bundle | None = None) -> None:
    """Raise what is wrong, if anything is, with the files that hold it."""
    for error in errors:
        if bundle is not None and error.file is None and error.path is not None:
            error.file = bundle.files_of.get(error.path)
    if errors:
        raise DefinitionErrors(errors)


def _located(mistakes: Iterable[Mistake], bundle: Bundle) -> list[DefinitionError]:
    return [error_at(steps, sentence, bundle.file_of(steps)) for sentence, steps in mistakes]


def _unreferenced(bundle: Bundle) -> list[DefinitionError]:
    sentence = "nothing refers to this file"
    files = bundle.files
    return [DefinitionError(sentence, file=files.name(each)) for each in files.unread()]


def _without_other_environments(node: Any, environment: str) -> Any:
    """Drop every object that is marked as another environment's."""

    def is_here(value: Any) -> bool:
        return not isinstance(value, dict) or value.get("x-environment", environment) == environment

    if isinstance(node, dict):
        return {
            key: _without_other_environments(value, environment)
            for key, value in node.items()
            if is_here(value)
        }
    if isinstance(node, list):
        return [_without_other_environments(value, environment) for value in node if is_here(value)]
    return node
