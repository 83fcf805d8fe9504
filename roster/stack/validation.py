"""Validation: parameters and bodies against the definition, never naming a rejected value."""

from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from connexion.middleware.abstract import SpecMiddleware
from connexion.spec import Specification
from starlette.types import ASGIApp, Receive, Scope, Send

from roster.contract.definition import Definition
from roster.contract.fields import UNREADABLE, Fields
from roster.contract.operation import Operation
from roster.contract.parameters import Parameter
from roster.contract.references import pointer_to
from roster.contract.schemas import Errors
from roster.contract.styles import UnreadableError, decode_form
from roster.contract.support import placed
from roster.http.bodies import body_readers, find_reader
from roster.http.context import RequestContext, current
from roster.http.errors import HTTPError
from roster.http.media_types import media_type_of

_MAX_PARAMETERS = 100
_MAX_QUERY_LENGTH = 16_384
_MAX_COOKIES = 100
_UTF_8 = {"utf-8", "utf8"}


class OperationValidation:
    """The checks of one operation, compiled when the server starts.

    connexion's own validation builds parsers and validators anew for every request, quotes what it
    refuses, and lets duplicate keys, foreign charsets and unknown parameters through; this takes
    its place in the middleware stack.
    """

    def __init__(self, definition: Definition, operation: Operation) -> None:
        """Compile the checks.

        :raises DefinitionError: for what is not supported.
        """
        compiled = definition.parameters[operation.id]
        self._is_lenient = operation.is_lenient
        self._query = compiled.query
        self._headers = [(each, each.name.lower().encode()) for each in compiled.header]
        self._cookies = compiled.cookie
        # Where the handler reads the form, it says what is missing, in the words of RFC 6749.
        body = {} if operation.is_lenient else operation.spec.get("requestBody", {})
        self._is_required = body.get("required", False)
        # OpenAPI 3.0.3, Operation Object: where HTTP has no body, the definition's is ignored.
        declared = {} if operation.method == "GET" else operation.declared
        with placed(operation.path, operation.method):
            self._bodies = body_readers(definition.document, declared, definition.requests)

    def check(self, context: RequestContext) -> None:
        """Check one request, and leave what it says in the request context.

        :raises HTTPError: 400 or 415.
        """
        if not self._is_lenient:
            context.query = _read_query(self._query, context.query_string)
        if self._headers or self._cookies:
            context.arguments = self._read_headers(context)
        if self._bodies:
            self._read_body(context)

    def _read_headers(self, context: RequestContext) -> dict[str, Any]:
        """Read the parameters in headers and cookies."""
        errors: Errors = []
        given = [(each, context.header(name)) for each, name in self._headers]
        if self._cookies:
            sent = _cookies(context.header(b"cookie") or "")
            given += [(each, sent.get(each.name)) for each in self._cookies]
        values = {each.argument: _read_one(each, text, errors) for each, text in given}
        if errors:
            raise HTTPError(400, "The headers are not as this operation takes them.", errors=errors)
        return values

    def _read_body(self, context: RequestContext) -> None:
        if not context.raw_body and context.header(b"content-type") is None:
            if self._is_required:
                raise HTTPError(400, "A body is required.")
            return
        media_type, options = media_type_of(context)
        read = find_reader(self._bodies, media_type)
        if read is None:
            takes = " or ".join(self._bodies)
            accept = {"Accept": ", ".join(self._bodies)}
            raise HTTPError(415, f"The media type of the body must be {takes}.", headers=accept)
        if options.get("charset", "utf-8").lower() not in _UTF_8:
            raise HTTPError(415, "The charset of the body must be UTF-8.")
        if (context.header(b"content-encoding") or "identity").lower() != "identity":
            raise HTTPError(
                415, "The body must not be compressed.", headers={"Accept-Encoding": "identity"}
            )
        if self._is_lenient:
            return
        context.read_body = partial(read, context.raw_body, media_type, options)
        context.body = context.read_body()


class ValidationMiddleware(SpecMiddleware):
    """The place of request validation in connexion's stack."""

    def __init__(self, app: ASGIApp, definition: Definition) -> None:
        self.app = app
        self._checks = {
            each: OperationValidation(definition, each) for each in definition.operations
        }

    def add_api(self, specification: Specification, **_: Any) -> None:
        """Learn nothing from connexion: the definition is known."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and pass it on.

        :raises HTTPError: 400 or 415.
        """
        if scope["type"] == "http":
            context = current.get()
            if context.operation is not None:
                self._checks[context.operation].check(context)
        await self.app(scope, receive, send)


def _read_query(fields: Fields, query_string: bytes) -> dict[str, Any]:
    if not query_string and fields.may_be_absent:
        return fields.defaults()
    try:
        pairs = _pairs(query_string, is_raw=fields.is_raw) if query_string else ()
        values, errors = fields.read(pairs)
    except ValueError:
        raise HTTPError(
            400, "The query cannot be read: it must be percent-encoded UTF-8, and short."
        ) from None
    if errors:
        raise HTTPError(400, "The query is not as this operation takes it.", errors=errors)
    return {**fields.defaults(), **values}


def _pairs(query_string: bytes, *, is_raw: bool) -> list[tuple[str, str]]:
    """Split a query into names and texts, which stay encoded where they are `is_raw`.

    :raises ValueError: for what cannot be read.
    """
    if len(query_string) > _MAX_QUERY_LENGTH:
        raise ValueError
    text = query_string.decode("ascii")
    if is_raw:
        pieces = [piece.partition("=") for piece in text.split("&") if piece]
        if len(pieces) > _MAX_PARAMETERS:
            raise ValueError
        pairs = [(decode_form(name), value) for name, _, value in pieces]
    else:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    if any("\0" in part for pair in pairs for part in pair) or (is_raw and "%00" in text):
        raise HTTPError(400, "The query holds a NUL character.")
    return pairs


def _cookies(header: str) -> dict[str, str]:
    """Split a Cookie header; of two cookies with a name the first is taken (RFC 6265 §5.4)."""
    found: dict[str, str] = {}
    for pair in header.split(";", _MAX_COOKIES)[:_MAX_COOKIES]:
        name, _, text = pair.partition("=")
        found.setdefault(name.strip(), text.strip())
    return found


def _read_one(parameter: Parameter, text: str | None, errors: Errors) -> Any:
    place = pointer_to(parameter.name)
    if text is None:
        if parameter.is_required:
            errors.append((place, "The parameter is missing."))
        return parameter.default
    try:
        value = parameter.read(text)
    except UnreadableError:
        errors.append((place, UNREADABLE))
        return None
    errors += parameter.schema.errors(value, place)
    return value
