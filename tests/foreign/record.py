"""Record what openapi-core makes of the requests; run with a Python that has it (0.23.1).

python -m tests.foreign.record
"""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from openapi_core import OpenAPI  # type: ignore[import-not-found]
from openapi_core.contrib.werkzeug import (  # type: ignore[import-not-found]
    WerkzeugOpenAPIRequest,
)
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as WerkzeugRequest

from tests.foreign.made import FOLDER, Request, base_of, every_request, read

RECORDS = Path(__file__).with_name("recorded")


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (date, UUID)):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def verdict(openapi: Any, request: Request) -> Any:
    """Return what openapi-core makes of a request: its values, or the name of its error."""
    builder = EnvironBuilder(
        method=request.method,
        base_url="http://localhost",
        path=request.path,
        query_string=request.query,
        data=request.body.encode("latin-1"),
        headers=list(request.headers),
    )
    asked = WerkzeugOpenAPIRequest(WerkzeugRequest(builder.get_environ()))
    try:
        found = openapi.unmarshal_request(asked)
    except Exception as error:  # noqa: BLE001 (it raises what its parts raise, too)
        return f"{type(error).__name__}"
    if found.errors:
        return " ".join(dict.fromkeys(type(error).__name__ for error in found.errors))
    names = ("path", "query", "header", "cookie")
    values = {name: plain(getattr(found.parameters, name)) for name in names}
    given = {name: each for name, each in values.items() if each}
    return {**given, **({"body": plain(found.body)} if found.body is not None else {})}


def main() -> None:
    """Write one file of verdicts for each definition."""
    RECORDS.mkdir(exist_ok=True)
    for path in sorted(FOLDER.glob("*.yaml")):
        document = read(path.stem)
        document["servers"] = [{"url": f"http://localhost{base_of(document)}"}]
        openapi = OpenAPI.from_dict(document)
        verdicts = {each.label: verdict(openapi, each) for each in every_request(path.stem)}
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in verdicts.items())
        (RECORDS / f"{path.stem}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
