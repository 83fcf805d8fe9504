"""Operations: what the definition states of each, read once when the server starts."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from roster.contract.audit import Audited
from roster.contract.draft4 import followed
from roster.contract.errors import DefinitionError
from roster.contract.permissions import Permission, declared_roles
from roster.contract.references import dereference
from roster.http.errors import OAUTH_ERROR, PAGE, PROBLEM

# Marks what monitoring calls, which is never refused for its number of requests.
UNLIMITED = "x-unlimited"
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
    declared: dict[str, Any]
    declared_parameters: list[dict[str, Any]]
    permission: Permission
    scopes: frozenset[str]
    is_protected: bool
    is_open: bool

    @cached_property
    def handler(self) -> str:
        """The dotted name of the function that carries the operation out."""
        return f"{self.spec['x-openapi-router-controller']}.{function_name(self.id)}"

    @cached_property
    def hashes_where(self) -> Mapping[str, Sequence[str]] | None:
        """The form fields, and their values, with which the operation computes a password hash.

        Empty where it may always do so, which takes a core for a while; None where it never does.
        """
        declared = self.spec.get("x-computes-hash", False)
        return {} if declared is True else declared or None

    @cached_property
    def is_immediate(self) -> bool:
        """Whether the operation waits for nothing, and needs no thread."""
        return bool(self.spec.get("x-immediate", False))

    @property
    def limit(self) -> str | None:
        """The name of the limit on how often a caller may call the operation."""
        return cast("str | None", self.spec.get("x-limit"))

    @cached_property
    def is_rate_limited(self) -> bool:
        """Whether requests are counted by address and token, as `x-rate-limits` declares it."""
        return not self.spec.get(UNLIMITED, False)

    @cached_property
    def needs_token(self) -> bool:
        """Whether nobody calls the operation without an access token."""
        return self.is_protected and not self.is_open

    @property
    def captcha(self) -> Mapping[str, Any] | None:
        """Where the body holds a captcha's key (`member`), and which roles need none (`unless`)."""
        return cast("Mapping[str, Any] | None", self.spec.get("x-captcha"))

    @property
    def acts(self) -> bool:
        """Whether a GET changes something, so that no HEAD may stand for it."""
        return bool(self.spec.get("x-acts", False))

    @property
    def writes(self) -> bool:
        """Whether the operation may change something."""
        return self.method != "GET" or self.acts

    @cached_property
    def audited(self) -> Audited | None:
        """The audit event that the operation leaves; None where it leaves none by itself."""
        return Audited.of(self.spec, self.parameters, self.success[1])

    @property
    def is_lenient(self) -> bool:
        """Whether query and form are not judged before the handler, which reads what it needs.

        So RFC 6749 has it for its endpoints, and so it is where any query is ignored.
        """
        return bool(self.spec.get("x-lenient", False))

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
        """The status and the description of the answer to a request that went well.

        `2XX`, and `default` where there is no other, stand for 200.

        :raises DefinitionError: where only errors are declared.
        """
        responses = self.spec["responses"]
        good = [status for status in responses if "2" <= status < "4"]
        if not good and "default" not in responses:
            raise DefinitionError(
                "no answer to a request that goes well is declared",
                path=self.path,
                method=self.method,
            )
        status = min(good, default="default")
        number = status.replace("XX", "00")
        return int(number) if number.isdigit() else 200, responses[status]

    @cached_property
    def request_content(self) -> dict[str, Any]:
        """The media types that a request body may have, each with its schema."""
        return cast(dict[str, Any], self.spec.get("requestBody", {}).get("content", {}))

    @cached_property
    def form_fields(self) -> dict[str, dict[str, Any]]:
        """The fields of a form body and their schemas; empty where the body is no form."""
        for content in self.request_content.values():
            schema = content.get("schema", {})
            return cast(dict[str, dict[str, Any]], schema.get("properties", {}))
        return {}

    @cached_property
    def error_media_type(self) -> str:
        """The media type of this operation's errors.

        It is `application/problem+json`, but for pages, and for the endpoints whose errors are as
        RFC 6749 has them.
        """
        declared = (each for status, each in self.spec["responses"].items() if status >= "4")
        return form_of_errors(self.spec, declared)


def function_name(operation_id: str) -> str:
    """Return the name of an operation's function.

    It is called as the operation is, with an underscore for each sign that no name may have.
    """
    return re.sub(r"\W", "_", operation_id)


def form_of_errors(operation: Mapping[str, Any], errors: Iterable[Mapping[str, Any]]) -> str:
    """Return the media type of an operation's errors, of which some are declared."""
    if operation.get("x-errors") == "oauth":
        return OAUTH_ERROR
    media_types = (media_type for each in errors for media_type in each.get("content", ()))
    return PAGE if next(media_types, None) == PAGE else PROBLEM


def each_operation(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method in lower case and the Operation Object of each operation."""
    for path, item in document["paths"].items():
        for method in METHODS if path.startswith("/") else ():  # not in an extension
            if method in item:
                yield path, method, item[method]


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Yield the operations of a document, with all references replaced."""
    resolved = dereference(document)
    schemes = resolved.get("components", {}).get("securitySchemes", {})
    of_tokens = {name for name, each in schemes.items() if each.get("type") == "oauth2"}
    for path, method, spec in each_operation(resolved):
        item = document["paths"][path]
        security = spec.get("security", resolved.get("security", []))
        named = [(name, scopes) for each in security for name, scopes in each.items()]
        permission = Permission.of(spec["x-permission"], declared_roles(document))
        if spec.get("x-immediate") and (security or permission.object):
            raise ValueError(f"x-immediate: {spec['operationId']} would wait for the database")
        yield Operation(
            id=spec["operationId"],
            method=method.upper(),
            path=path,
            spec=spec,
            parameters=_parameters(resolved, resolved["paths"][path], spec),
            declared=item[method],
            declared_parameters=_parameters(document, item, item[method]),
            permission=permission,
            scopes=frozenset(
                scope for name, scopes in named if name in of_tokens for scope in scopes
            ),
            is_protected=any(name in of_tokens for name, _ in named),
            is_open=not security or {} in security,
        )


def _parameters(
    document: dict[str, Any], item: dict[str, Any], operation: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return an operation's parameters; one of its own takes the place of the path's."""
    given = [*item.get("parameters", ()), *operation.get("parameters", ())]
    found = [followed(document, each) for each in given]
    return [*{(each["in"], each["name"]): each for each in found}.values()]
