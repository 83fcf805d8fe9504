"""Other origins: which answers the scripts of which pages may read (the Fetch Standard's CORS)."""

from collections.abc import Iterable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from roster.contract.operation import Operation
from roster.server.entry import EntryPoint
from roster.settings import Settings

# For the origins that the operator named; `x-origins: any` in the definition is for all.
_FOR_NAMED = (
    "/api/v1/",
    "/auth/oauth2/token",
    "/auth/oauth2/revoke",
    "/auth/oauth2/introspect",
)
_ANY = ("*",)


def with_cors(entry_point: EntryPoint, settings: Settings) -> ASGIApp:
    """Let scripts read answers: anybody's the public ones, those of named origins the API's.

    None reads the pages. No answer is given to a cookie, so no credentials are allowed.
    """
    operations = entry_point.definition.operations
    public = [each for each in operations if each.is_for_any_origin]
    named = [each for each in operations if each.path.startswith(_FOR_NAMED)]
    for_any = _shared(entry_point, _ANY, public)
    for_named = _shared(entry_point, settings.cors_origins, named)

    def is_public(scope: Scope) -> bool:
        found = entry_point.definition.match(scope["path"])
        return found is not None and found[0].is_for_any_origin

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        for name, _ in scope["headers"]:
            if name == b"origin":
                break
        else:
            await entry_point(scope, receive, send)
            return
        path = scope["path"]
        is_page = path == "/api/v1/" or path in entry_point.assets
        if is_public(scope):
            await for_any(scope, receive, send)
        elif settings.cors_origins and path.startswith(_FOR_NAMED) and not is_page:
            await for_named(scope, receive, send)
        else:
            await entry_point(scope, receive, send)

    return application


def _shared(app: ASGIApp, origins: Iterable[str], operations: list[Operation]) -> ASGIApp:
    """Share answers, with every header that the definition declares for one of them."""
    answers = (each for operation in operations for each in operation.spec["responses"].values())
    declared = {name for each in answers for name in each.get("headers", {})}
    return CORSMiddleware(
        app,
        allow_origins=tuple(origins),
        allow_methods=sorted({"HEAD", *(operation.method for operation in operations)}),
        allow_headers=_ANY,
        expose_headers=sorted(declared),
        max_age=3600,
    )
