"""Targets: the place in the definition's files that a reference leads to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roster.contract.errors import DefinitionError, nearest
from roster.contract.files import MAX_DEPTH, Files
from roster.contract.references import is_reference, look_up, split


@dataclass(frozen=True)
class Place:
    """A place in the definition's files, by a JSON Pointer's steps."""

    file: Path
    steps: tuple[str, ...] = ()


def locate(files: Files, reference: str, file: Path, passed: int = 0) -> Place:
    """Find what a reference leads to, perhaps through others.

    `#/components/…` means the root document where the file itself has no such component.

    :raises DefinitionError: where that is nothing, or outside the folder.
    """
    if passed > MAX_DEPTH:
        raise DefinitionError(f"$ref: {reference} leads back to itself")
    name, steps = split(reference)
    start = Place(files.find(name, file) if name else file)
    found, hint = _follow(files, start, steps, passed)
    if found is None and not name and steps[:1] == ("components",):
        found, hint = _follow(files, Place(files.root), steps, passed)
    if found is None:
        raise DefinitionError(f"$ref: there is no {reference}{hint}")
    return found


def _follow(
    files: Files, place: Place, steps: tuple[str, ...], passed: int
) -> tuple[Place | None, str]:
    """Go the steps of a pointer; where they end at nothing return None and what is like it."""
    node = files.read(place.file)
    for step in steps:
        if is_reference(node) and step not in node:
            place = locate(files, node["$ref"], place.file, passed + 1)
            node = node_at(files, place)
        try:
            node = look_up(node, step)
        except LookupError:
            return None, nearest(step, node) if isinstance(node, dict) else ""
        place = Place(place.file, (*place.steps, step))
    return place, ""


def node_at(files: Files, place: Place) -> Any:
    """Return what stands at a place.

    :raises LookupError: where there is nothing.
    """
    node = files.read(place.file)
    for step in place.steps:
        node = look_up(node, step)
    return node
