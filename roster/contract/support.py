"""Support: what of OpenAPI this server does not do, refused when it starts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from roster.contract.errors import DefinitionError
from roster.contract.operation import Operation

_METHODS = {
    "head": "HEAD is answered as GET is, and cannot be an operation of its own",
    "options": "OPTIONS is answered by the server, and cannot be an operation of its own",
    "trace": "TRACE is not supported",
}


@contextmanager
def placed(path: str, method: str | None = None) -> Iterator[None]:
    """Have an error in the definition name the operation in which it was found."""
    try:
        yield
    except DefinitionError as error:
        error.path = error.path or path
        error.method = error.method or method
        raise


def check_version(document: Mapping[str, Any]) -> None:
    """Refuse other versions than OpenAPI 3.0.

    :raises DefinitionError: for another one.
    """
    version = str(document.get("openapi", ""))
    if not version.startswith("3.0."):
        stated = f"OpenAPI {version}" if version else "a document without `openapi`"
        raise DefinitionError(f"This server reads OpenAPI 3.0, and not {stated}.")


def base_path(document: Mapping[str, Any]) -> str:
    """Return the path of the first server's URL, below which all paths are served.

    Its variables have their defaults. Other servers are other people's. It is decoded, as the paths
    of requests are.
    """
    servers = document.get("servers") or [{"url": "/"}]
    url = str(servers[0]["url"])
    for name, variable in servers[0].get("variables", {}).items():
        url = url.replace(f"{{{name}}}", str(variable["default"]))
    path = unquote(urlsplit(url).path).rstrip("/")
    return path if path.startswith("/") or not path else f"/{path}"


def check_operation(document: Mapping[str, Any], operation: Operation) -> None:
    """Refuse what is not supported at an operation or its path.

    :raises DefinitionError: in a sentence that says what.
    """
    item = document["paths"][operation.path]
    for method, sentence in _METHODS.items():
        if method in item:
            raise DefinitionError(sentence, path=operation.path, method=method)
    if "servers" in item or "servers" in operation.spec:
        raise DefinitionError("servers of a single path or operation are not supported")
    if not operation.spec.get("responses"):
        raise DefinitionError("no answer is declared")
