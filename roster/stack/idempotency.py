"""`Idempotency-Key`: a request that creates is carried out once, however often it is sent.

As draft-ietf-httpapi-idempotency-key-header has it.
"""

import hmac
import inspect
import json
import logging
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.exc import DBAPIError

from models import idempotency
from models.database import connections, failures
from models.errors import Conflict
from roster.contract.errors import DefinitionError
from roster.contract.operation import Operation
from roster.contract.parameters import argument_name
from roster.http.answers import Answer
from roster.http.context import RequestContext
from roster.settings import Settings

HEADER = "Idempotency-Key"
_HEADER = HEADER.lower().encode()
_ARGUMENT = argument_name(HEADER, "header")
_NONCE_BYTES = 12

_logger = logging.getLogger(__name__)


class AnsweredError(Exception):
    """A request was carried out before; `answer` is what it was answered then."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


@dataclass
class _Request:
    """A request with a key. Nothing of it can be read without the key and the signing key."""

    id: bytes
    fingerprint: bytes
    cipher: AESGCM
    claim: bytes | None = None


class Idempotency:
    """The steps of operations that declare `Idempotency-Key`, and the keeping of their answers.

    A caller's request is looked up before anything is verified or hashed for it, and claimed as
    the last step before the handler, in a transaction of its own, so that a second one is told that
    the first is under way. The answer is written with what the handler writes. A refused request
    has changed nothing, and its key is free again.
    """

    def __init__(self, settings: Settings) -> None:
        self._signing_key = settings.signing_key.encode()

    def find(self, operation: Operation) -> Callable[[RequestContext], None] | None:
        """Make the step that answers a request again; it raises AnsweredError.

        It raises Unprocessable where the key belongs to another request of the caller, and Conflict
        where that is under way.
        """
        if not _is_declared(operation):
            return None
        return lambda context: self._find(operation, context)

    def claim(self, operation: Operation) -> Callable[[RequestContext], None] | None:
        """Make the step that claims the key of a request; it raises what `find` does."""
        return _claim if _is_declared(operation) else None

    def _find(self, operation: Operation, context: RequestContext) -> None:
        key = context.header(_HEADER)
        if key is None:
            return
        if context.idempotent is None:
            context.idempotent = self._request(key.strip('"'), operation, context)
        if context.idempotent.claim is None:
            _answer_again(context)

    def _request(self, key: str, operation: Operation, context: RequestContext) -> _Request:
        """Derive all that is stored of a request: of a password in it nothing can be guessed."""
        caller = context.caller
        party = caller.client or context.client_address
        named = [operation.id, party, *caller.rights, *sorted(caller.scopes), key]
        secret = hmac.digest(self._signing_key, _bytes(["idempotency", named]), "sha256")
        arguments = {name: each for name, each in context.arguments.items() if name != _ARGUMENT}
        asked = [context.path_parameters, context.query, arguments, context.body]
        return _Request(
            id=hmac.digest(secret, b"id", "sha256"),
            fingerprint=hmac.digest(secret, _bytes(asked), "sha256"),
            cipher=AESGCM(hmac.digest(secret, b"answer", "sha256")),
        )


def check_idempotent(handler: Callable[..., Any], operation: Operation) -> None:
    """Check that an operation with a key creates something, and in one transaction.

    :raises DefinitionError: if it does not.
    """
    if not _is_declared(operation):
        return
    if operation.method != "POST" or operation.success[0] != 201:
        sentence = f"{HEADER} is for a POST that answers 201"
    elif inspect.isgeneratorfunction(handler):
        sentence = f"{HEADER} is for a handler with one transaction; {operation.handler} yields"
    else:
        return
    raise DefinitionError(sentence, path=operation.path, method=operation.method)


def keep_answer(context: RequestContext, made: Answer) -> Answer:
    """Commit what a request with a key has written, and its answer with it; return that.

    :raises Conflict: where the request took so long that its key was free again.
    """
    request: _Request = context.idempotent
    headers = [
        (name.decode("latin-1"), text.decode("latin-1")) for name, text in made.all_headers()
    ]
    told = json.dumps([made.status, headers, b64encode(made.body).decode()]).encode()
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + request.cipher.encrypt(nonce, told, None)
    # What the session holds back is written first: its errors come before the answer is kept.
    context.flush()
    if request.claim is not None:
        idempotency.finish(context.connection, request.id, request.claim, sealed)
    context.commit()
    request.claim = None
    return made


def release_key(context: RequestContext, error: Exception) -> None:
    """Free the key of a request that was refused, which has changed nothing: it may come again.

    Where the database is lost it is left alone, and free when the claim expires.
    """
    request: _Request | None = context.idempotent
    if request is None or request.claim is None or failures.ends_connection(error):
        return
    try:
        context.undo()
        connections.check_at_begin(context.connection, None)
        idempotency.release(context.connection, request.id, request.claim)
        context.commit()
    except DBAPIError as failure:
        _logger.warning("A key of a refused request is not free yet: %s", failure.orig)
    request.claim = None


def _is_declared(operation: Operation) -> bool:
    headers = (each["name"] for each in operation.parameters if each["in"] == "header")
    return any(name.lower() == HEADER.lower() for name in headers)


def _answer_again(context: RequestContext) -> None:
    request: _Request = context.idempotent
    sealed = idempotency.find_answer(context.connection, request.id, request.fingerprint)
    if sealed is not None:
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        status, headers, body = json.loads(request.cipher.decrypt(nonce, rest, None))
        pairs = [(name, value) for name, value in headers]
        raise AnsweredError(Answer(status, b64decode(body), pairs))


def _claim(context: RequestContext) -> None:
    request: _Request | None = context.idempotent
    if request is None or request.claim is not None:  # it is carried out from its beginning again
        return
    connections.check_at_begin(context.connection, None)
    claim = idempotency.begin(context.connection, request.id, request.fingerprint)
    context.commit()
    if claim is None:
        _answer_again(context)
        raise Conflict(idempotency.UNDER_WAY)
    request.claim = claim


def _bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=_plain).encode()


def _plain(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else vars(value)
