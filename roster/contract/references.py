"""References: the parts of a `$ref`, and what each refers to within one document."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote


def is_reference(node: Any) -> bool:
    """Tell whether a node is a Reference Object; a member of that name may hold other things."""
    return isinstance(node, dict) and isinstance(node.get("$ref"), str)


def split(reference: str) -> tuple[str, tuple[str, ...]]:
    """Split a reference into a file's name, empty for its own, and the steps of its pointer.

    Both are percent-decoded (RFC 3986), the steps also as RFC 6901 writes them.
    """
    file, _, fragment = reference.partition("#")
    return unquote(file), tuple(steps(unquote(fragment)))


def steps(pointer: str) -> Iterator[str]:
    """Yield the steps of a JSON Pointer (RFC 6901)."""
    for step in pointer.removeprefix("/").split("/") if pointer else ():
        yield step.replace("~1", "/").replace("~0", "~")


def pointer_to(*steps: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) of what these steps lead to; "" is the whole."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def look_up(node: Any, step: str) -> Any:
    """Return the member or item at one step of a pointer.

    :raises LookupError: where there is none.
    """
    if isinstance(node, list) and step.isdecimal():
        return node[int(step)]
    if isinstance(node, dict):
        return node[step]
    raise LookupError(step)


def dereference(document: dict[str, Any]) -> dict[str, Any]:
    """Replace every reference into a document by what it refers to.

    What is referred to in many places is one object there, which nobody may change. A schema that
    refers to itself holds itself: then the result is cyclic, and whatever walks through it must
    know by their `id` the objects that it has already seen. What no reference leads to is copied,
    so that every cycle leads through a target.

    :raises LookupError: for a reference to nothing; a document that was loaded has none.
    """
    return _Resolver(document).resolved


class _Resolver:
    """Makes the copy of a document in which nothing is a reference."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._targets: dict[str, Any] = {}
        # Filled one after the other: a chain of references may be longer than Python's stack.
        self._unfilled: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.resolved: dict[str, Any] = self._resolve(document)
        while self._unfilled:
            made, found = self._unfilled.pop()
            made.update({key: self._resolve(value) for key, value in found.items()})

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._resolve(value) for value in node]
        if not isinstance(node, dict):
            return node
        if is_reference(node):
            return self._target(node["$ref"])
        return {key: self._resolve(value) for key, value in node.items()}

    def _target(self, reference: str) -> Any:
        passed = []
        while reference not in self._targets:
            passed.append(reference)
            found: Any = self._document
            for step in split(reference)[1]:
                found = look_up(found, step)
            if is_reference(found):
                reference = found["$ref"]
            elif isinstance(found, dict):
                self._targets[reference] = {}
                self._unfilled.append((self._targets[reference], found))
            else:
                self._targets[reference] = self._resolve(found)
        for each in passed:
            self._targets[each] = self._targets[reference]
        return self._targets[reference]
