"""Hold recorded answers against the definition with openapi-core; run with a Python that has it.

python -m tests.proof.check FOLDER PART PARTS

It reads the definitions in the folder and `merged.jsonl`, takes every PARTS-th line of that, and
prints a JSON object: what is wrong, and how often an answer is beside the definition for which
reason.
"""

import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml
from openapi_core import Config, OpenAPI  # type: ignore[import-not-found]
from openapi_core.datatypes import RequestParameters  # type: ignore[import-not-found]
from openapi_core.deserializing.styles.exceptions import (  # type: ignore[import-not-found]
    EmptyQueryParameterValue,
)
from openapi_core.templating.paths.exceptions import (  # type: ignore[import-not-found]
    PathError,
)
from openapi_core.validation.response.validators import (  # type: ignore[import-not-found]
    V30ResponseHeadersValidator,
)
from werkzeug.datastructures import Headers, ImmutableMultiDict

HOST = "http://localhost"

# The headers that no definition declares: those of HTTP itself, which describe the message, ...
OF_HTTP = {"allow", "content-length", "content-type", "date", "vary"}
# ... and those that every answer carries to protect a browser's user, or to let other origins read.
OF_EVERY_ANSWER = {
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "cache-control",
    "content-security-policy",
    "cross-origin-opener-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-request-id",
}

FILES = {"css", "html", "ico", "jpg", "js", "map", "png", "svg"}
OWN_HOSTS = {"127.0.0.1", "localhost"}
# RFC 6749 has these operations tell themselves what is wrong with a parameter, at the redirect URI;
# so a request may be answered well though it is not as declared.
LENIENT = {"show_authorization"}
# In development the parameters of this form may be in the URL instead, which is served and not
# published.
IN_URL = {"issue_token"}
# `name=` gives an empty text here, which minLength may refuse; there it needs allowEmptyValue.
EMPTY = EmptyQueryParameterValue


@dataclass
class Asked:
    """A request in the form that openapi-core reads."""

    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = HOST


@dataclass
class Given:
    """An answer in the form that openapi-core reads."""

    status_code: int
    headers: Headers
    data: bytes | None
    content_type: str


@dataclass
class Outcome:
    """What came of one answer: the operation it belongs to, why none, and what is wrong."""

    operation: str = ""
    beside: str = ""
    faults: list[str] = field(default_factory=list)


class Checker:
    """Judges the answers of a server by one definition."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Prepare a definition, with all that is served."""
        self._document = {**without_internal_names(document), "servers": [{"url": HOST}]}

    @cached_property
    def _openapi(self) -> Any:
        names = ("application/json-patch+json", "application/problem+json")
        readers = {**dict.fromkeys(names, _read_json), "application/yaml": _read_yaml}
        config = Config(extra_media_type_deserializers=readers, spec_validator_cls=None)
        return OpenAPI.from_dict(self._document, config=config)

    @cached_property
    def _headers_only(self) -> Any:
        return V30ResponseHeadersValidator(self._openapi.spec)

    def judge(self, record: dict[str, Any]) -> Outcome:
        """Hold one answer, and its request where that was accepted, against the definition."""
        asked, given = asked_of(record), given_of(record)
        if record["method"] == "OPTIONS":
            return Outcome(beside=beside(record))
        declared = self._declared(asked)
        if declared is None:
            reason = beside(record)
            return Outcome(beside=reason, faults=[] if reason else ["no operation is declared"])
        outcome = Outcome(declared["operationId"])
        answer = declared["responses"].get(str(given.status_code))
        if answer is None:
            outcome.beside = beside(record)
            outcome.faults += [] if outcome.beside else ["the status is not declared"]
            return outcome
        outcome.faults += self._faults_of_answer(asked, given, record, answer)
        if record["asked"] is not None and not is_lenient(declared["operationId"], asked):
            errors = [
                each
                for each in self._openapi.iter_request_errors(asked)
                if not isinstance(each.__cause__, EMPTY)
            ]
            outcome.faults += [f"the request was accepted: {sentence(each)}" for each in errors]
        return outcome

    def _declared(self, asked: Asked) -> Any:
        """Return the operation that a request is for; None where the definition has none."""
        paths = self._document["paths"]
        if asked.path not in paths:
            # A slash too many or too few is let pass, as the predecessor of this server had it.
            bare = asked.path.rstrip("/")
            asked.path = bare + "/" if bare + "/" in paths else bare
        try:
            found = self._openapi.request_validator._find_path(asked)
        except PathError:
            return None
        return paths[found[3].pattern.removeprefix(HOST)][asked.method]

    def _followed(self, node: Any) -> Any:
        """Return an object, or what it refers to."""
        if "$ref" not in node:
            return node
        found: Any = self._document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return found

    def _faults_of_answer(
        self, asked: Asked, given: Given, record: Any, answer: Any
    ) -> Iterator[str]:
        answer = self._followed(answer)
        if record["method"] == "HEAD":
            errors = self._headers_only.iter_errors(asked, given)
            if given.data:
                yield "an answer to HEAD has a body"
        else:
            errors = self._openapi.iter_response_errors(asked, given)
            if given.data and "content" not in answer:
                yield "a body is not declared"
        yield from map(sentence, errors)
        declared = {name.lower() for name in answer.get("headers", {})}
        for name in {name for name, _ in record["headers"]} - declared:
            if name not in OF_HTTP | OF_EVERY_ANSWER:
                yield f"the header {name} is not declared"


def is_lenient(operation: str, asked: Asked) -> bool:
    """Tell whether a request may be accepted that is not as declared."""
    return operation in LENIENT or (operation in IN_URL and bool(asked.parameters.query))


def beside(record: dict[str, Any]) -> str:
    """Tell why an answer is none that an operation declares; empty where it ought to be one."""
    method, path, status = record["method"], record["path"], record["status"]
    if method == "OPTIONS":
        return "OPTIONS is served on every path, and declared on none"
    if status in {404, 405}:
        return "any path may answer 404 or 405"
    host = dict(record["sent"]).get("host", "")
    if status == 400 and host.partition(":")[0] not in OWN_HOSTS:
        return "a development server refuses a host that is not its own"
    if path.startswith(("/api/v1/", "/auth/")) and path.rpartition(".")[2] in FILES:
        return "the files of the pages are not declared"
    return ""


def _read_json(body: bytes, **_: str) -> Any:
    return json.loads(body)


def _read_yaml(body: bytes, **_: str) -> Any:
    return yaml.safe_load(body)


def sentence(error: Exception) -> str:
    """Return an error of openapi-core with its causes, in one line."""
    causes = [f"{type(error).__name__}: {error}"]
    cause = error.__cause__
    while cause is not None:
        details = getattr(cause, "schema_errors", ())
        causes += [f"{each.json_path}: {each.message}" for each in details] or [str(cause)]
        cause = cause.__cause__
    return " | ".join(dict.fromkeys(each.replace("\n", " ")[:300] for each in causes))


def asked_of(record: dict[str, Any]) -> Asked:
    """Return the request of a record."""
    method = "GET" if record["method"] == "HEAD" else record["method"]
    headers = Headers(record["sent"])
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        cookies.clear()
    query = parse_qsl(record["query"], keep_blank_values=True)
    parameters = RequestParameters(
        query=ImmutableMultiDict(query),
        header=headers,
        cookie={name: each.value for name, each in cookies.items()},
    )
    body = (record["asked"] or "").encode("latin-1")
    form = headers.get("content-type", "")
    return Asked(method.lower(), record["path"], parameters, body or None, form)


def given_of(record: dict[str, Any]) -> Given:
    """Return the answer of a record."""
    headers = Headers(record["headers"])
    body = record["body"].encode("latin-1")
    return Given(record["status"], headers, body or None, headers.get("content-type", ""))


def without_internal_names(node: Any) -> Any:
    """Return a definition without the names that only the server reads."""
    if isinstance(node, dict):
        return {k: without_internal_names(v) for k, v in node.items() if not k.startswith("x-")}
    return [without_internal_names(each) for each in node] if isinstance(node, list) else node


def main(folder: Path, part: int, parts: int) -> None:
    """Judge a part of the answers, and print what came of it."""
    # It knows no OAuth 2.0: who may do what is for other tests.
    warnings.filterwarnings("ignore", "Unsupported scheme type")
    checkers: dict[str, Checker] = {}
    faults, beside_it, seen = [], Counter[str](), Counter[str]()
    with (folder / "merged.jsonl").open(encoding="utf-8") as lines:
        for index, line in enumerate(lines):
            if index % parts != part:
                continue
            record = json.loads(line)
            if record.get("is_mocked"):
                beside_it["tests that put handlers of their own in the place of the server's"] += (
                    record["times"]
                )
                continue
            which = record["definition"]
            if which not in checkers:
                text = (folder / f"definition-{which}.json").read_text("utf-8")
                checkers[which] = Checker(json.loads(text))
            outcome = checkers[which].judge(record)
            place = f"{outcome.operation or record['method'] + ' ' + record['path'][:80]}"
            if outcome.beside:
                beside_it[outcome.beside] += record["times"]
            elif outcome.operation:
                seen[f"{which} {outcome.operation} {record['status']}"] += record["times"]
            about = (record["test"], record["times"])
            faults += [(place, record["status"], fault, *about) for fault in outcome.faults]
    print(json.dumps({"faults": faults, "beside": beside_it, "seen": seen}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
