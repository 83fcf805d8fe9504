"""Validation: parameters and bodies against the definition, never naming a rejected value."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs
import orjson
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send
from werkzeug.http import parse_options_header

from roster.errors import Refusal
from roster.exchange import Exchange, current

_MOST_PARAMETERS = 100
_MOST_ERRORS = 20
# No body of the definition is half as deep; what looks into the parsed value may then recurse.
_DEEPEST = 50
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})", re.ASCII)

Errors = list[tuple[str, str]]


class OperationValidation:
    """The checks of one operation, compiled when the server starts.

    connexion's own validation builds parsers and validators anew for every request, quotes what it
    refuses, and lets duplicate keys, foreign charsets and unknown parameters through; this takes
    its place in the middleware stack.
    """

    def __init__(self, next_app: ASGIApp, operation: AbstractOperation) -> None:
        self.next_app = next_app
        self._parameters = {
            parameter["name"]: (parameter, _compile(parameter["schema"]))
            for parameter in operation.parameters
            if parameter["in"] == "query"
        }
        self._is_strict = "application/problem+json" in operation.responses.get("400", {}).get(
            "content", {}
        )
        self._is_required = operation.request_body.get("required", False)
        self._bodies = {
            media_type: _compile(operation.body_schema(media_type))
            if "json" in media_type
            else None
            for media_type in operation.consumes
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request, leave what it says in the exchange, and pass it on.

        :raises Refusal: 400 or 415.
        """
        exchange = current.get()
        if self._is_strict:
            self._read_parameters(exchange)
        if self._bodies:
            self._read_body(exchange)
        await self.next_app(scope, receive, send)

    def _read_parameters(self, exchange: Exchange) -> None:
        values: dict[str, Any] = {}
        errors: Errors = []
        pairs = _pairs(exchange.query_string) if exchange.query_string else ()
        for name, text in pairs:
            if name not in self._parameters:
                takes = ", ".join(self._parameters) or "none"
                errors.append(("", f"There is an unknown parameter; known here: {takes}."))
            elif name in values:
                errors.append((f"/{name}", "The parameter is given more than once."))
            else:
                parameter, validator = self._parameters[name]
                values[name] = _typed(text, parameter["schema"])
                errors += _errors(validator, values[name], f"/{name}")
        if errors:
            raise Refusal(400, "The query is not as this operation takes it.", errors=errors)
        for name, (parameter, _) in self._parameters.items():
            exchange.query[name] = values.get(name, parameter["schema"].get("default"))

    def _read_body(self, exchange: Exchange) -> None:
        content_type = exchange.header(b"content-type")
        if not exchange.raw_body and content_type is None:
            if self._is_required:
                raise Refusal(400, "A body is required.")
            return
        media_type, options = parse_options_header(content_type)
        media_type = media_type.lower()
        if media_type not in self._bodies:
            takes = " or ".join(self._bodies)
            accept = {"Accept": ", ".join(self._bodies)}
            raise Refusal(415, f"The media type of the body must be {takes}.", headers=accept)
        if options.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
            raise Refusal(415, "The charset of the body must be UTF-8.")
        if (exchange.header(b"content-encoding") or "identity").lower() != "identity":
            raise Refusal(
                415, "The body must not be compressed.", headers={"Accept-Encoding": "identity"}
            )
        validator = self._bodies[media_type]
        if validator is None:
            return
        exchange.body = parse_json(exchange.raw_body)
        errors = _errors(validator, exchange.body, "")
        if errors:
            raise Refusal(400, "The body is not as this operation takes it.", errors=errors)


class ValidationAPI(RoutedAPI[OperationValidation]):
    """The validated operations of one definition."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> OperationValidation:
        """Compile one operation's checks."""
        return OperationValidation(self.next_app, operation)


class ValidationMiddleware(RoutedMiddleware[ValidationAPI]):
    """The place of request validation in connexion's stack."""

    api_cls = ValidationAPI


def parse_json(raw: bytes) -> Any:
    """Parse JSON as I-JSON (RFC 7493) has it: UTF-8, no duplicate names, NaN or lone surrogates.

    :raises Refusal: 400, in words that show nothing of the body.
    """
    try:
        parsed = orjson.loads(raw)
        if b'"' in raw:
            json.loads(raw, object_pairs_hook=_object)
    except _DuplicateNameError:
        raise Refusal(
            400, "The body is not as JSON should be: a name stands twice in one object."
        ) from None
    except (ValueError, RecursionError):
        raise Refusal(400, "The body cannot be read as JSON in UTF-8.") from None
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST and _is_deep(parsed):
        raise Refusal(400, "The body is nested too deeply.")
    if b"\\u0000" in raw and _holds_nul(parsed):
        raise Refusal(400, "The body holds a NUL character.")
    return parsed


class _DuplicateNameError(ValueError):
    """A name stands twice in one JSON object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateNameError
    return found


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for part in (*value, *value.values()))
    return isinstance(value, list) and any(_holds_nul(part) for part in value)


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        raise Refusal(
            400, "The query cannot be read: it must be percent-encoded UTF-8, and short."
        ) from None
    if any("\0" in text for pair in pairs for text in pair):
        raise Refusal(400, "The query holds a NUL character.")
    return pairs


def _typed(text: str, schema: dict[str, Any]) -> Any:
    """Read a parameter's text as its type; what is none of that type stays text, and fails."""
    if schema.get("type") == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    return text


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft4Validator(_as_draft4(schema), validate_formats=True)


def _as_draft4(schema: Any) -> Any:
    """Turn an OpenAPI 3.0 schema into the JSON Schema draft that it is a dialect of."""
    if isinstance(schema, list):
        return [_as_draft4(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: _as_draft4(value)
        for key, value in schema.items()
        if key not in {"nullable", "example", "components"}
    }
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    return made


_SENTENCES: dict[str, Callable[[Any], str]] = {
    "required": lambda kind: f"The member {kind.property} is missing.",
    "additionalProperties": lambda _: "There is a member that is not known here.",
    "type": lambda kind: f"This must be {' or '.join(_article(name) for name in kind.types)}.",
    "minLength": lambda kind: f"This must have at least {kind.limit} characters.",
    "maxLength": lambda kind: f"This must have at most {kind.limit} characters.",
    "minimum": lambda kind: f"This must be at least {kind.limit}.",
    "maximum": lambda kind: f"This must be at most {kind.limit}.",
    "minItems": lambda kind: f"This must have at least {kind.limit} items.",
    "maxItems": lambda kind: f"This must have at most {kind.limit} items.",
    "enum": lambda kind: (
        f"This must be one of {', '.join(str(option) for option in kind.options)}."
    ),
    "format": lambda kind: f"This is not of the format {kind.format}.",
    "pattern": lambda kind: f"This must match {kind.pattern}.",
}


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aio" else f"a {name}"


def _errors(validator: jsonschema_rs.Validator, value: Any, place: str) -> Errors:
    found = (pair for error in validator.iter_errors(value) for pair in _describe(error, place))
    return list(islice(found, _MOST_ERRORS))


def _describe(error: jsonschema_rs.ValidationError, place: str) -> Errors:
    kind: Any = error.kind
    if kind.name == "anyOf":
        return _describe_nearest(kind.context, place) or [
            (_pointer(error, place), "This is none of the forms that are allowed here.")
        ]
    sentence = _SENTENCES.get(kind.name, lambda _: "This is not allowed here.")
    return [(_pointer(error, place), sentence(kind))]


def _describe_nearest(
    branches: Iterable[list[jsonschema_rs.ValidationError]], place: str
) -> Errors:
    """Describe the alternative that was meant: the one whose fixed words all fit."""
    for errors in branches:
        if all(
            error.kind.name not in {"enum", "type"} or error.instance_path[-1:] == ["value"]
            for error in errors
        ):
            return [pair for error in errors for pair in _describe(error, place)]
    return []


def _pointer(error: jsonschema_rs.ValidationError, place: str) -> str:
    """Make the JSON Pointer (RFC 6901) of the place in question.

    Names along the way are the schema's own, for nothing below an unknown name is ever judged.
    """
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in error.instance_path)
    return "/".join((place, *steps))
