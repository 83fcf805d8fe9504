"""Validation: parameters and bodies against the definition, never naming a rejected value."""

import re
from typing import Any
from urllib.parse import parse_qsl

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from roster.contract.schemas import Errors, Schema
from roster.http.context import RequestContext, current
from roster.http.errors import HTTPError
from roster.http.json_bodies import parse_json
from roster.http.media_types import media_type_of

_MAX_PARAMETERS = 100
_MAX_QUERY_LENGTH = 16_384
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})", re.ASCII)


class OperationValidation:
    """The checks of one operation, compiled when the server starts.

    connexion's own validation builds parsers and validators anew for every request, quotes what it
    refuses, and lets duplicate keys, foreign charsets and unknown parameters through; this takes
    its place in the middleware stack.
    """

    def __init__(self, next_app: ASGIApp, operation: AbstractOperation) -> None:
        self.next_app = next_app
        self._parameters = {
            parameter["name"]: (parameter, Schema(parameter["schema"]))
            for parameter in operation.parameters
            if parameter["in"] == "query"
        }
        self._is_strict = "application/problem+json" in operation.responses.get("400", {}).get(
            "content", {}
        )
        self._is_required = operation.request_body.get("required", False)
        self._bodies = {
            media_type: Schema(operation.body_schema(media_type)) if "json" in media_type else None
            for media_type in operation.consumes
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request, leave what it says in the request context, and pass it on.

        :raises HTTPError: 400 or 415.
        """
        context = current.get()
        if self._is_strict:
            self._read_parameters(context)
        if self._bodies:
            self._read_body(context)
        await self.next_app(scope, receive, send)

    def _read_parameters(self, context: RequestContext) -> None:
        values: dict[str, Any] = {}
        errors: Errors = []
        pairs = _pairs(context.query_string) if context.query_string else ()
        for name, text in pairs:
            if name not in self._parameters:
                takes = ", ".join(self._parameters) or "none"
                errors.append(("", f"There is an unknown parameter; known here: {takes}."))
            elif name in values:
                errors.append((f"/{name}", "The parameter is given more than once."))
            else:
                parameter, schema = self._parameters[name]
                values[name] = _typed(text, parameter["schema"])
                errors += schema.errors(values[name], f"/{name}")
        if errors:
            raise HTTPError(400, "The query is not as this operation takes it.", errors=errors)
        for name, (parameter, _) in self._parameters.items():
            context.query[name] = values.get(name, parameter["schema"].get("default"))

    def _read_body(self, context: RequestContext) -> None:
        if not context.raw_body and context.header(b"content-type") is None:
            if self._is_required:
                raise HTTPError(400, "A body is required.")
            return
        media_type, options = media_type_of(context)
        if media_type not in self._bodies:
            takes = " or ".join(self._bodies)
            accept = {"Accept": ", ".join(self._bodies)}
            raise HTTPError(415, f"The media type of the body must be {takes}.", headers=accept)
        if options.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
            raise HTTPError(415, "The charset of the body must be UTF-8.")
        if (context.header(b"content-encoding") or "identity").lower() != "identity":
            raise HTTPError(
                415, "The body must not be compressed.", headers={"Accept-Encoding": "identity"}
            )
        schema = self._bodies[media_type]
        if schema is None:
            return
        context.body = parse_json(context.raw_body, schema.most_values)
        errors = schema.errors(context.body)
        if errors:
            raise HTTPError(400, "The body is not as this operation takes it.", errors=errors)


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


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        if len(query_string) > _MAX_QUERY_LENGTH:
            raise ValueError
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise HTTPError(
            400, "The query cannot be read: it must be percent-encoded UTF-8, and short."
        ) from None
    if any("\0" in text for pair in pairs for text in pair):
        raise HTTPError(400, "The query holds a NUL character.")
    return pairs


def _typed(text: str, schema: dict[str, Any]) -> Any:
    """Read a parameter's text as its type; what is none of that type stays text, and fails."""
    if schema.get("type") == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    return text
