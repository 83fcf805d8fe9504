"""Operations: what the definition states of each, read once when the server starts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from roster.contract.permissions import Permission, declared_roles
from roster.contract.references import dereference
from roster.http.errors import PROBLEM

METHODS = ("get", "post", "put", "patch", "delete")
# The opener policy of whatever names no other.
ISOLATED = "same-origin"


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of the definition, with what the machinery asks of it again and again."""

    id: str
    method: str
    path: str
    spec: dict[str, Any]
    parameters: list[dict[str, Any]]
    permission: Permission
    scopes: frozenset[str]
    is_protected: bool
    is_open: bool

    @property
    def handler(self) -> str:
        """The dotted name of the function that carries the operation out."""
        return f"{self.spec['x-openapi-router-controller']}.{self.id}"

    @property
    def hashes_where(self) -> Mapping[str, Sequence[str]] | None:
        """The form fields, and their values, with which the operation computes a password hash.

        Empty where it may always do so, which takes a core for a while; None where it never does.
        """
        declared = self.spec.get("x-computes-hash", False)
        return {} if declared is True else declared or None

    @property
    def is_immediate(self) -> bool:
        """Whether the operation waits for nothing, and needs no thread."""
        return bool(self.spec.get("x-immediate", False))

    @property
    def limit(self) -> str | None:
        """The name of the limit on how often a caller may call the operation."""
        return cast("str | None", self.spec.get("x-limit"))

    @property
    def captcha(self) -> Mapping[str, Any] | None:
        """Where the body holds a captcha's key (`member`), and which roles need none (`unless`)."""
        return cast("Mapping[str, Any] | None", self.spec.get("x-captcha"))

    @property
    def acts(self) -> bool:
        """Whether a GET changes something, so that no HEAD may stand for it."""
        return bool(self.spec.get("x-acts", False))

    @property
    def opener_policy(self) -> str:
        """What a page that opens this one, or is opened by it, still sees of it (HTML's COOP).

        A sign-in runs in a popup too, whose opener waits for it: there nothing is cut off.
        """
        return str(self.spec.get("x-opener-policy", ISOLATED))

    @property
    def is_for_any_origin(self) -> bool:
        """Whether the scripts of every page may read the answers."""
        return bool(self.spec.get("x-origins") == "any")

    @cached_property
    def success(self) -> tuple[int, dict[str, Any]]:
        """The status and the description of the answer to a request that went well."""
        status = min(status for status in self.spec["responses"] if status < "4")
        return int(status), self.spec["responses"][status]

    @cached_property
    def request_content(self) -> dict[str, Any]:
        """The media types that a request body may have, each with its schema."""
        return cast(dict[str, Any], self.spec.get("requestBody", {}).get("content", {}))

    @cached_property
    def form_fields(self) -> dict[str, dict[str, Any]]:
        """The fields of a form body and their schemas; empty where the body is no form."""
        for content in self.request_content.values():
            return cast(dict[str, dict[str, Any]], content["schema"].get("properties", {}))
        return {}

    @cached_property
    def error_media_type(self) -> str:
        """The media type of the errors that this operation declares."""
        for status, response in self.spec["responses"].items():
            if status >= "4":
                return cast(str, next(iter(response["content"])))
        return PROBLEM


def each_operation(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method in lower case and the Operation Object of each operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Yield the operations of a document, with all references replaced."""
    document = dereference(document)
    for path, method, spec in each_operation(document):
        common = document["paths"][path].get("parameters", [])
        security = spec.get("security", document.get("security", []))
        permission = Permission.of(spec["x-permission"], declared_roles(document))
        if spec.get("x-immediate") and (security or permission.object):
            raise ValueError(f"x-immediate: {spec['operationId']} would wait for the database")
        yield Operation(
            id=spec["operationId"],
            method=method.upper(),
            path=path,
            spec=spec,
            parameters=[*common, *spec.get("parameters", [])],
            permission=permission,
            scopes=frozenset(scope for scheme in security for scope in scheme.get("oauth2", [])),
            is_protected=any("oauth2" in scheme for scheme in security),
            is_open=not security or {} in security,
        )
