"""Breaking changes: what clients of one definition cannot do any more with the next one."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from roster.contract.draft4 import followed
from roster.contract.operation import each_operation
from roster.contract.permissions import Permission, Verdict
from roster.contract.schema_changes import Sides, schema_changes

SEND, READ = "send", "read"


@dataclass(frozen=True)
class Change:
    """A breaking change: its place, what changed there, and for which clients."""

    place: str
    what: str
    whom: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}: this breaks {self.whom}"


def breaking(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the breaking changes from one published document to the next.

    Names of components do not count, only what they stand for.
    """
    sides = Sides(old, new)
    found = [*_of_schemes(old, new)]
    before, after = _operations(old), _operations(new)
    for key, (path, operation) in before.items():
        place = f"{key[0].upper()} {path}"
        if key not in after:
            found.append(Change(place, "the operation is gone", "clients that call it"))
            continue
        comparison = _Operations(place, sides, (path, operation), after[key])
        found += comparison.changes()
    return list(dict.fromkeys(found))


def _operations(document: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """Return the operations by method and path, whatever names the path's parameters have."""
    found = {}
    for path, method, operation in each_operation(document):
        given = [*document["paths"][path].get("parameters", ()), *operation.get("parameters", ())]
        security = operation.get("security", document.get("security", []))
        complete = {**operation, "parameters": given, "security": security}
        found[method, re.sub(r"\{[^}]*\}", "{}", path)] = path, complete
    return found


@dataclass(frozen=True)
class _Operations:
    """An operation before and after, each with its path."""

    place: str
    sides: Sides
    before: tuple[str, dict[str, Any]]
    after: tuple[str, dict[str, Any]]

    def changes(self) -> Iterator[Change]:
        """Yield what breaks."""
        old, new = self.before[1], self.after[1]
        if old.get("operationId") != new.get("operationId"):
            yield self._change("the operationId is another one", "clients that are generated")
        yield from self._of_parameters()
        yield from self._of_bodies(old.get("requestBody"), new.get("requestBody"))
        yield from self._of_answers(old["responses"], new["responses"])
        yield from self._of_security(old["security"], new["security"])
        yield from self._of_permission(old.get("x-permission"), new.get("x-permission"))

    def _change(self, what: str, whom: str) -> Change:
        return Change(self.place, what, whom)

    def _of_parameters(self) -> Iterator[Change]:
        old = _parameters(self.sides.old, *self.before)
        new = _parameters(self.sides.new, *self.after)
        for (where, name), parameter in old.items():
            whom = f"clients that send the {where} parameter {parameter['name']}"
            changed = new.get((where, name))
            if changed is None:
                yield self._change(f"the {where} parameter {name} is gone", whom)
                continue
            if changed.get("required") and not parameter.get("required"):
                without = f"clients that do not send the {where} parameter {name}"
                yield self._change(f"the {where} parameter {name} is required", without)
            for key in ("style", "explode", "allowReserved"):
                if parameter.get(key) != changed.get(key):
                    yield self._change(f"{key} of the {where} parameter {name} changed", whom)
            for what in self._sent(parameter, changed):
                yield self._change(f"the {where} parameter {name}: {what}", whom)
        for (where, name), parameter in new.items():
            if (where, name) not in old and parameter.get("required"):
                whom = f"clients that do not send the {where} parameter {name}"
                yield self._change(f"the {where} parameter {name} is new and required", whom)

    def _of_bodies(self, before: Any, after: Any) -> Iterator[Change]:
        old = followed(self.sides.old, before or {})
        new = followed(self.sides.new, after or {})
        if new.get("required") and not old.get("required"):
            yield self._change("a body is required", "clients that send none")
        for media_type, content in old.get("content", {}).items():
            whom = f"clients that send {media_type}"
            if media_type not in new.get("content", {}):
                yield self._change(f"a body of {media_type} is taken no longer", whom)
                continue
            for what in self._sent(content, new["content"][media_type]):
                yield self._change(f"the body of {media_type}: {what}", whom)

    def _of_answers(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
        for status, declared in old.items():
            if status not in new:
                whom = f"clients that read the status {status}"
                yield self._change(f"the answer {status} is gone", whom)
                continue
            before = followed(self.sides.old, declared)
            after = followed(self.sides.new, new[status])
            yield from self._of_headers(status, before.get("headers", {}), after.get("headers", {}))
            for media_type, content in before.get("content", {}).items():
                whom = f"clients that read {media_type} of the answer {status}"
                if media_type not in after.get("content", {}):
                    yield self._change(f"the answer {status} is not {media_type} any longer", whom)
                    continue
                for what in self._read(content, after["content"][media_type]):
                    yield self._change(f"the answer {status}: {what}", whom)

    def _of_headers(
        self, status: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Iterator[Change]:
        after = {name.lower(): followed(self.sides.new, header) for name, header in new.items()}
        for name, declared in old.items():
            before = followed(self.sides.old, declared)
            whom = f"clients that read the header {name} of the answer {status}"
            header = after.get(name.lower())
            if header is None:
                yield self._change(f"the answer {status} has no header {name}", whom)
                continue
            if before.get("required") and not header.get("required"):
                yield self._change(f"the answer {status} may have no header {name}", whom)
            for what in self._read(before, header):
                yield self._change(f"the header {name} of the answer {status}: {what}", whom)

    def _of_security(self, old: list[Any], new: list[Any]) -> Iterator[Change]:
        for requirement in old or [{}]:
            if not any(_suffices(requirement, each) for each in new or [{}]):
                scopes = sorted({scope for each in requirement.values() for scope in each})
                schemes = " and ".join(requirement) or "no credentials"
                whom = f"clients that send {schemes}"
                if scopes:
                    whom += f" with no scope but {' '.join(scopes)}"
                yield self._change("more is needed to call it", whom)

    def _of_permission(self, old: Any, new: Any) -> Iterator[Change]:
        if not old or not new or old == new:
            return
        names = {*_roles(old), *_roles(new)} - {"anyone"}
        nouns = {role: role for role in ("anyone", *sorted(names))}
        before, after = Permission.of(old, nouns), Permission.of(new, nouns)
        callers = [
            frozenset(each) for size in range(4) for each in combinations(sorted(names), size)
        ]
        # Only an object whose own roles matter to a permission tells callers apart.
        objects = [frozenset[str](), *(frozenset({role}) for role in sorted(names))]
        told: list[frozenset[str]] = []
        for roles in callers:
            lost = any(
                before.judge(roles, own) is Verdict.GRANTED
                and after.judge(roles, own) is not Verdict.GRANTED
                for own in objects
            )
            if lost and not any(each <= roles for each in told):
                told.append(roles)
                who = " and ".join(sorted(roles)) or "nobody in particular"
                yield self._change("fewer may call it", f"callers with the role {who}")

    def _sent(self, old: Any, new: Any) -> Iterator[str]:
        return schema_changes(self.sides, old.get("schema", {}), new.get("schema", {}), SEND)

    def _read(self, old: Any, new: Any) -> Iterator[str]:
        return schema_changes(self.sides, old.get("schema", {}), new.get("schema", {}), READ)


def _parameters(
    document: Mapping[str, Any], path: str, operation: Mapping[str, Any]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the parameters by place and name; those of the path by their order in it."""
    names = re.findall(r"\{([^}]*)\}", path)
    found = {}
    for each in operation["parameters"]:
        parameter = followed(document, each)
        where, name = parameter["in"], parameter["name"]
        if where == "path" and name in names:
            name = f"number {names.index(name) + 1}"
        found[where, name.lower() if where == "header" else name] = parameter
    return found


def _suffices(given: Mapping[str, Any], needed: Mapping[str, Any]) -> bool:
    """Tell whether credentials that were enough for one requirement are for another one."""
    return all(
        scheme in given and set(scopes).issubset(given[scheme]) for scheme, scopes in needed.items()
    )


def _roles(declared: Mapping[str, Any]) -> Iterator[str]:
    yield from declared.get("sees", ())
    yield from declared.get("may", ())
    yield from (declared[key] for key in ("and", "or") if key in declared)
    for role, over in declared.get("not_over", {}).items():
        yield from (role, *over)


def _of_schemes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    after = new.get("components", {}).get("securitySchemes", {})
    for name, scheme in old.get("components", {}).get("securitySchemes", {}).items():
        place = f"the security scheme {name}"
        if name not in after:
            yield Change(place, "it is gone", "clients that use it")
            continue
        for flow, before in scheme.get("flows", {}).items():
            whom = f"clients that use the flow {flow}"
            changed = after[name].get("flows", {}).get(flow)
            if changed is None:
                yield Change(place, f"the flow {flow} is gone", whom)
                continue
            for key, url in before.items():
                if key.endswith("Url") and changed.get(key) != url:
                    yield Change(place, f"{key} of the flow {flow} is another one", whom)
            for scope in before.get("scopes", {}).keys() - changed.get("scopes", {}).keys():
                what = f"the scope {scope} of the flow {flow} is gone"
                yield Change(place, what, f"clients that ask for {scope}")
