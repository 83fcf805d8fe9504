"""Definitions of other people are served as an independent library, openapi-core, reads them.

`record.py` has written down what openapi-core makes of each request. Where this server makes
something else of it, a row of `REASONS` says why.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from tests.foreign.compare import REFUSED, ours, recorded
from tests.foreign.made import FOLDER, Request, every_request, read
from tests.foreign.mount import Mounted

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@dataclass(frozen=True)
class Reason:
    """Why the two do not agree on requests: on those to a definition whose label matches."""

    sentence: str
    label: str
    is_taken: bool
    definition: str = ""

    def holds(self, name: str, request: Request, given: Any) -> bool:
        """Tell whether this is the reason for a request."""
        return (
            self.definition in {"", name}
            and self.is_taken is (given != REFUSED)
            and re.search(self.label, request.label) is not None
        )


REFUSES, TAKES = False, True
REASONS = [
    Reason("An unknown parameter is refused here, and ignored there.", r"[?&]unknown=1", REFUSES),
    Reason(
        "A parameter that is given twice is refused here; there the first is taken.",
        r"[?&](\w+)=[^&]*&(.*&)?\1=",
        REFUSES,
    ),
    Reason(
        "A boolean is true or false here, as in JSON; there 1 and 0 are too.",
        r"(archived|flags|agrees|filter\[open\]|bicycles|capture|/kinds/red/2\.5)[=/][01]\b",
        REFUSES,
    ),
    Reason(
        "The empty text is a text without characters here, which minLength may refuse; there a"
        " query must not hold one without allowEmptyValue.",
        r"[?&](milestone|labels|additionalMetadata|customer|ending_before|data|text)=( |&)",
        TAKES,
    ),
    Reason(
        "allowEmptyValue lets an empty value pass whatever the schema says; there the schema"
        " refuses it.",
        r"&empty= ",
        TAKES,
    ),
    Reason(
        "Without a text an array in one parameter is empty; there it holds one text, or fails.",
        r"[?&](flags|words|codes)= |scores=$",
        TAKES,
    ),
    Reason(
        "The format byte is checked here, and the text left to the handler; there it is decoded.",
        r"[?&]data=YQ%3D%3D",
        TAKES,
    ),
    Reason(
        "Blanks delimit, however they are encoded; there only a blank that is sent as such does.",
        r"[?&]words=a(%20|\+)",
        TAKES,
    ),
    Reason("Blanks delimit here, so that there are two equal items.", r"[?&]words=a%20a", REFUSES),
    Reason(
        "Pipe-delimited with explode is one pair for each item; there it is refused.",
        r"[?&]spread=a",
        TAKES,
    ),
    Reason(
        "An exploded object is read from the names of its members; there it is not found.",
        r"/query/objects\?.*\bx=",
        TAKES,
    ),
    Reason(
        "An exploded object is read and checked; there it is not found.",
        r"/query/objects\?x=",
        REFUSES,
    ),
    Reason(
        "A deepObject is sent by its members; there a text under its own name is ignored.",
        r"/query/objects\?filter=",
        REFUSES,
    ),
    Reason("A value in a path is not empty here.", r"/simple/3/abcd//", REFUSES),
    Reason("Labels in a path are read; there they are not found.", r" /label/\.", TAKES),
    Reason("Matrices in a path are read; there they are not found.", r" /matrix/;", TAKES),
    Reason(
        "In a header or a cookie too, an array or object without a text is empty; there it fails.",
        r"(X-Ids|X-Named): |parts=\]",
        TAKES,
    ),
    Reason("A text that is no object is refused; there it is an empty one.", r"X-Point: ", REFUSES),
    Reason(
        "A blank in a cookie is a part of its value; there the cookie is dropped.",
        r"Cookie: (session|debug|parts)=(a b|none of these)\]",
        REFUSES,
    ),
    Reason(
        "A handler is given the form that was sent; there a default is added to it.",
        r"criteria=",
        TAKES,
        "uspto",
    ),
    Reason(
        "A name that the schema leaves open is given to the handler; there it is dropped.",
        r"unknown",
        TAKES,
    ),
    Reason(
        "A required member is missing in an empty form; there an empty form is no body.",
        r"/records\?.* $",
        REFUSES,
    ),
    Reason(
        "An empty form is an object without members; there it is no body.",
        r"/charges\S*\? \[Content-Type: application/x-www-form-urlencoded\] $",
        TAKES,
    ),
    Reason(
        "What additionalProperties: false forbids in a form is refused; there it is dropped.",
        r"urlencoded\] .*unknown=",
        REFUSES,
    ),
    Reason(
        "A deepObject in a form is sent by its members; there its own name is ignored.",
        r"\] (metadata|shipping)=",
        REFUSES,
    ),
    Reason(
        "A number or a truth is known beside an object in anyOf; there the operation always fails.",
        r"GET /v1/charges\?",
        TAKES,
    ),
    Reason(
        "A number in a multipart form is read as one; there it stays a text, and fails.",
        r'name="year"',
        TAKES,
    ),
    Reason(
        "An array that is not sent is left out; there it is empty.",
        r"multipart/form-data",
        TAKES,
    ),
    Reason("A text in UTF-8 is asked for; there any bytes are taken.", r"/text\?.*\xff", REFUSES),
    Reason(
        "A body of any type is read as what it says that it is; there it is not read.",
        r"/anything\?",
        TAKES,
    ),
    Reason("What is said to be JSON is read as JSON; there it is not read.", r'\{"a"$', REFUSES),
    Reason(
        "The format uri is checked; there it is not known, and the operation always fails.",
        r"callbackUrl=https",
        TAKES,
    ),
    Reason(
        "nullable beside oneOf allows null; there it needs a type (OpenAPI 3.0.3).",
        r'"milestone": null',
        TAKES,
    ),
    Reason(
        "A member that is readOnly is not required in a request (OpenAPI 3.0.3, Schema Object);"
        " there it is.",
        r"/accounts\?.*owner",
        TAKES,
    ),
    Reason(
        "A body that says that it is JSON must not be empty; there it is no body.",
        r"/(lock|mixed)\? \[Content-Type: application/json\] $",
        REFUSES,
    ),
    Reason("A header's name may have an underscore; there WSGI drops it.", r"\[api_key: ", TAKES),
]


@cache
def differences(name: str) -> list[tuple[Request, Any, Any]]:
    """Return the requests on which the two do not agree, with what each made of them."""
    mounted, records = Mounted(read(name)), recorded(name)
    found = []
    for request in every_request(name):
        given, expected = ours(mounted, request), records[request.label]
        if given != (REFUSED if isinstance(expected, str) else expected):
            found.append((request, given, expected))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_a_handler_is_given_is_what_openapi_core_makes_of_the_request(name: str) -> None:
    unexplained = [
        f"{request.label}\n  here: {given}\n  there: {expected}"
        for request, given, expected in differences(name)
        if not any(reason.holds(name, request, given) for reason in REASONS)
    ]

    assert not unexplained, "\n".join(unexplained)


def test_every_reason_is_needed() -> None:
    """A reason that holds nowhere would excuse what comes later."""
    found = [(name, request, given) for name in NAMES for request, given, _ in differences(name)]

    for reason in REASONS:
        assert any(reason.holds(*each) for each in found), reason.sentence
