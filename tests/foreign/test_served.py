"""What a handler is given, and what is answered, under definitions of other people."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from roster.contract.links import location
from roster.http.forms import UploadedFile
from tests.foreign.made import read
from tests.foreign.mount import Answer, Mounted
from tests.foreign.test_refused import LIST, NUMBER, OBJECT, TEXT, body, document, parameter

JSON = [(b"content-type", b"application/json")]
FORM = [(b"content-type", b"application/x-www-form-urlencoded")]
MULTIPART = [(b"content-type", b"multipart/form-data; boundary=XX")]


def part(name: str, content: bytes, filename: str = "", media_type: str = "") -> bytes:
    """Write a part of a multipart form."""
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"' if filename else ""
    head += f"\r\nContent-Type: {media_type}" if media_type else ""
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def upload(*parts: bytes) -> Answer:
    """Send a multipart form with a title and these parts."""
    content = part("title", b"Hello") + b"".join(parts) + b"--XX--\r\n"
    return Mounted(read("bodies")).ask("POST", "/upload", headers=MULTIPART, body=content)


# Parameters


def test_a_handler_asks_for_headers_and_cookies_in_snake_case() -> None:
    mounted = Mounted(
        document(
            {**parameter("header", NUMBER), "name": "X-Request-Id"},
            {**parameter("cookie", TEXT), "name": "Theme"},
            {**parameter("query", TEXT), "name": "page[size]"},
            {**parameter("query", TEXT), "name": "class"},
            {**parameter("header", TEXT), "name": "Authorization"},
        )
    )

    headers = [(b"x-request-id", b"5"), (b"cookie", b"a=b; Theme=dark"), (b"authorization", b"x")]
    answer = mounted.ask("GET", "/x", query=b"page%5Bsize%5D=1&class=2", headers=headers)

    assert answer.given == {"x_request_id": 5, "theme": "dark", "page_size": "1", "class_": "2"}


def test_a_parameter_that_is_not_sent_is_its_default() -> None:
    mounted = Mounted(
        document(
            {**parameter("query", {**NUMBER, "default": 3}), "name": "a"},
            {**parameter("header", {**LIST, "default": ["x"]}), "name": "b"},
            {**parameter("query", {**LIST, "default": ["y"]}), "name": "c"},
            {**parameter("query", TEXT), "name": "d"},
        )
    )

    for _ in range(2):  # what a handler does to a default does not last
        given = mounted.ask("GET", "/x").given
        assert given == {"a": 3, "b": ["x"], "c": ["y"], "d": None}
        given["c"].append("z")


def test_all_that_is_wrong_with_the_headers_is_told() -> None:
    mounted = Mounted(
        document(
            {**parameter("header", NUMBER), "name": "X-Count"},
            {**parameter("cookie", NUMBER), "name": "n"},
            {**parameter("header", TEXT, required=True), "name": "X-Needed"},
        )
    )

    answer = mounted.ask("GET", "/x", headers=[(b"x-count", b"many"), (b"cookie", b"n=1.5")])

    assert (answer.status, sorted(answer.places)) == (400, ["/X-Count", "/X-Needed", "/n"])
    assert b"many" not in answer.body


def test_a_place_is_a_json_pointer_whatever_a_parameter_is_called() -> None:
    mounted = Mounted(
        document(
            {**parameter("query", NUMBER), "name": "a/b~c"},
            {**parameter("query", NUMBER, required=True), "name": "/"},
            {**parameter("header", NUMBER), "name": "X~"},
        )
    )

    assert mounted.ask("GET", "/x", query=b"a%2Fb~c=x").places == ["/a~1b~0c", "/~1"]
    assert mounted.ask("GET", "/x", query=b"%2F=1", headers=[(b"x~", b"x")]).places == ["/X~0"]


def test_the_query_is_judged_where_no_400_is_declared() -> None:
    mounted = Mounted(document(parameter("query", NUMBER, required=True)))

    assert mounted.ask("GET", "/x").places == ["/p"]
    assert mounted.ask("GET", "/x", query=b"p=x").places == ["/p"]
    assert mounted.ask("GET", "/x", query=b"p=1&q=1").status == 400
    assert mounted.ask("GET", "/x", query=b"p=1").given == {"p": 1}


def test_a_lenient_operation_takes_any_query_and_no_wrong_header() -> None:
    lenient = document({**parameter("header", NUMBER), "name": "X-Count"})
    lenient["paths"]["/x"]["get"]["x-lenient"] = True
    mounted = Mounted(lenient)

    assert mounted.ask("GET", "/x", query=b"utm_source=x&utm_source=y").status == 200
    assert mounted.ask("GET", "/x", headers=[(b"x-count", b"many")]).places == ["/X-Count"]


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (NUMBER, {"0": 0, "-5": -5, "12": 12}, ["01", "+1", "1.0", "a", str(2**63)]),
        ({"type": "string", "enum": ["a", "b"]}, {"a": "a"}, ["c"]),
        ({"type": "string", "pattern": "^x"}, {"xy": "xy", "x:ä": "x:ä"}, ["y"]),
        ({"type": "number"}, {"1": 1.0, "2.5": 2.5}, ["NaN", "1e999", "x"]),
        ({"type": "boolean"}, {"true": True}, ["True", "1"]),
        ({"type": "string", "format": "uuid"}, {}, ["x"]),
        (LIST, {"a,b": ["a", "b"]}, []),
        (TEXT, {}, ["a/b", "\0", "\ufffd"]),
    ],
)
def test_a_path_whose_value_does_not_fit_names_nothing(
    schema: Any, right: dict[str, Any], wrong: list[str]
) -> None:
    mounted = Mounted(document(parameter("path", schema), path="/x/{p}"))

    for text, value in right.items():
        assert mounted.ask("GET", f"/x/{text}").given == {"p": value}
    for text in wrong:
        assert mounted.ask("GET", f"/x/{text}").status == 404


def test_two_values_in_a_segment_are_told_apart() -> None:
    names = [{**parameter("path", NUMBER), "name": name} for name in ("a", "b")]
    mounted = Mounted(document(*names, path="/x/{a}-{b}.json"))

    assert mounted.ask("GET", "/x/3-4.json").given == {"a": 3, "b": 4}
    # Without a bound this would take minutes.
    assert mounted.ask("GET", "/x/" + "1-" * 30_000 + "x").status == 404


def test_an_operations_parameter_takes_the_place_of_its_paths() -> None:
    given = document(parameter("query", NUMBER))
    given["paths"]["/x"]["parameters"] = [parameter("query", TEXT, required=True)]

    assert Mounted(given).ask("GET", "/x", query=b"p=5").given == {"p": 5}


@pytest.mark.parametrize("url", ["v2", "/v2", "v2/", "//example.org/v2"])
def test_the_url_of_the_server_may_be_relative(url: str) -> None:
    mounted = Mounted({**document(), "servers": [{"url": url}]})

    assert mounted.ask("GET", "/v2/x").status == 200
    assert mounted.document["servers"] == [{"url": url}]


def test_the_paths_are_below_that_of_the_first_server() -> None:
    servers = [
        {
            "url": "https://{host}/v{n}/",
            "variables": {"host": {"default": "a"}, "n": {"default": "2"}},
        },
        {"url": "/other"},
    ]
    mounted = Mounted({**document(), "servers": servers})

    assert mounted.ask("GET", "/v2/x").status == 200
    assert mounted.ask("GET", "/x").status == 404


def test_the_path_of_a_server_is_encoded_in_urls_alone() -> None:
    of_id = {"operationId": "read", "parameters": {"p": "$response.body#/id"}}
    header = {"Location": {"required": True, "schema": TEXT}}
    made = {"description": "ok", "headers": header, "links": {"read": of_id}}
    given = document(method="post", responses={"201": made})
    read = document(parameter("path", TEXT), path="/all of it/{p}", operationId="read")
    given["paths"] |= read["paths"]
    given["servers"] = [{"url": "https://a.example/of%20us"}]
    mounted = Mounted(given, results={"x": {"id": "a/b c"}})

    assert mounted.ask("POST", "/of us/x").status == 201
    link = location(mounted.definition.operation("/x", "POST"), mounted.definition)
    assert link
    assert link.path({"id": "a/b c"}) == "/of%20us/all%20of%20it/a%2Fb%20c"


# Bodies


def test_a_file_comes_with_its_name_and_media_type() -> None:
    answer = upload(part("photo", b"\x89PNG\0", "a.png", "image/png"), part("year", b"1843"))

    assert answer.given is not None
    assert answer.given["body"] == {
        "title": "Hello",
        "photo": UploadedFile(b"\x89PNG\0", "a.png", "image/png"),
        "year": 1843,
    }


def test_several_files_of_one_name_are_a_list() -> None:
    answer = upload(*(part("pages", each, "p", "text/plain") for each in (b"1", b"2")))

    assert answer.given is not None
    assert [each.content for each in answer.given["body"]["pages"]] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (part("photo", b"x", "a.gif", "image/gif"), "/photo"),
        (part("title", b"again"), "/title"),
        (part("about", b'{"a": "x"}', media_type="application/json"), "/about/a"),
        (part("year", b"x"), "/year"),
    ],
)
def test_a_wrong_part_is_told_by_its_name(wrong: bytes, place: str) -> None:
    answer = upload(wrong)

    assert (answer.status, answer.places) == (400, [place])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"--XX",
        b"--XX\r\n",
        part("title", b"x"),
        part("title", b"\xff") + b"--XX--\r\n",
        part("title", b"\0") + b"--XX--\r\n",
        part("about", b"{") + b"--XX--\r\n",
        b'--XX\r\nContent-Disposition: form-data; x="y"\r\n\r\nz\r\n--XX--\r\n',
        b"".join(part(f"n{index}", b"") for index in range(101)) + b"--XX--\r\n",
    ],
)
def test_a_multipart_body_that_cannot_be_read_is_refused(content: bytes) -> None:
    answer = Mounted(read("bodies")).ask("POST", "/upload", headers=MULTIPART, body=content)

    assert answer.status == 400


def test_a_form_has_its_styles() -> None:
    content = b"name=Ada+L&age=36&tags=a&tags=b&scores=1,2&address=%7B%22city%22%3A%22x%22%7D"
    answer = Mounted(read("bodies")).ask("POST", "/form", headers=FORM, body=content)

    assert answer.given == {
        "body": {
            "name": "Ada L",
            "age": 36,
            "tags": ["a", "b"],
            "scores": [1, 2],
            "address": {"city": "x"},
        }
    }


@pytest.mark.parametrize(
    "content",
    [
        *(b"name=%ff&age=1", b"\xff=1", b"name=%00&age=1", b"a&" * 1001),
        b"name=a&age=1&scores=" + b"1," * 10_001 + b"1",
    ],
)
def test_a_form_that_cannot_be_read_is_refused(content: bytes) -> None:
    assert Mounted(read("bodies")).ask("POST", "/form", headers=FORM, body=content).status == 400


@pytest.mark.parametrize(
    ("media_type", "content", "expected"),
    [
        (b"application/json", b'{"a": 1}', {"a": 1}),
        (b"application/vnd.x+json", b"[1]", [1]),
        (b"text/csv", "ä".encode(), "ä"),
        (b"image/png", b"\x89\xff", b"\x89\xff"),
        (b"application/x-www-form-urlencoded", b"a=1", {"a": "1"}),
    ],
)
def test_a_body_of_any_media_type_is_read_as_what_it_is(
    media_type: bytes, content: bytes, expected: Any
) -> None:
    answer = Mounted(read("bodies")).ask(
        "POST", "/anything", headers=[(b"content-type", media_type)], body=content
    )

    assert answer.given == {"body": expected}


@pytest.mark.parametrize(
    ("media_type", "content", "status"),
    [
        ("application/xml", "ä".encode(), 200),
        ("application/atom+xml", "ää".encode(), 400),
        ("application/yaml", b"\xe4", 200),
        ("application/octet-stream", "ä".encode(), 400),
    ],
)
def test_the_length_of_a_text_is_that_of_its_characters(
    media_type: str, content: bytes, status: int
) -> None:
    mounted = Mounted(body(media_type, {**TEXT, "maxLength": 1}))
    headers = [(b"content-type", media_type.encode())]

    assert mounted.ask("POST", "/x", headers=headers, body=content).status == status


def test_a_media_type_that_is_nearer_comes_before_a_range() -> None:
    content = {"text/*": {"schema": TEXT}, "text/csv": {"schema": {**TEXT, "maxLength": 1}}}
    mounted = Mounted(document(method="post", requestBody={"content": content}))

    for media_type, status in ((b"text/plain", 200), (b"text/csv", 400), (b"image/png", 415)):
        headers = [(b"content-type", media_type)]
        assert mounted.ask("POST", "/x", headers=headers, body=b"ab").status == status


def test_a_member_that_is_only_read_must_not_be_sent() -> None:
    sent = {"id": 1, "owner": "ada", "secret": "x"}
    headers = [(b"content-type", b"application/vnd.bank+json")]
    answer = Mounted(read("shapes")).ask(
        "POST", "/accounts", headers=headers, body=json.dumps(sent).encode()
    )

    assert answer.problem["errors"] == [
        {"pointer": "/id", "detail": "This is only for reading, and must not be sent."}
    ]


@pytest.mark.parametrize(
    ("schema", "value", "is_right"),
    [
        ({"nullable": True, "allOf": [OBJECT]}, None, True),
        ({"nullable": True, "enum": ["a"], "type": "string"}, None, True),
        ({"nullable": False, "type": "string"}, None, False),
        (
            {"type": "object", "properties": {"nullable": TEXT, "example": NUMBER}},
            {"example": ""},
            False,
        ),
        ({"type": "integer", "format": "int32"}, 2**31, False),
        ({"type": "integer", "format": "int32", "minimum": 5}, 4, False),
        ({"type": "string", "format": "date"}, "2026-02-30", False),
        ({"type": "string", "format": "byte"}, "YQ", False),
        ({"type": "string", "format": "whatever"}, "x", True),
    ],
)
def test_a_schema_means_what_openapi_has_it_mean(schema: Any, value: Any, is_right: bool) -> None:
    mounted = Mounted(body("application/json", schema))

    answer = mounted.ask("POST", "/x", headers=JSON, body=json.dumps(value).encode())

    assert (answer.status == 200) is is_right


@pytest.mark.parametrize(
    ("pet", "places"),
    [
        ({"kind": "dog", "size": 0}, ["/size"]),
        ({"kind": "dog"}, [""]),
        ({"kind": "cat", "hunts": 1}, ["/hunts"]),
    ],
)
def test_a_discriminator_tells_which_alternative_was_meant(pet: Any, places: list[str]) -> None:
    answer = Mounted(read("shapes")).ask(
        "POST", "/pets", headers=JSON, body=json.dumps(pet).encode()
    )

    assert (answer.status, answer.places) == (400, places)


def test_a_base_that_alternatives_hold_may_have_the_discriminator() -> None:
    chosen = {"propertyName": "kind"}
    pets = {
        "Pet": {"type": "object", "properties": {"kind": TEXT}, "discriminator": chosen},
        "cat": {"allOf": [{"$ref": "#/components/schemas/Pet"}]},
        "dog": {
            "allOf": [{"$ref": "#/components/schemas/Pet"}],
            "properties": {"size": NUMBER},
        },
    }
    alternatives = [{"$ref": f"#/components/schemas/{name}"} for name in ("cat", "dog")]
    declared = body("application/json", {"oneOf": alternatives, "discriminator": chosen})
    mounted = Mounted({**declared, "components": {"schemas": pets}})

    for pet, status in (({"kind": "dog", "size": 1}, 200), ({"kind": "dog", "size": ""}, 400)):
        answer = mounted.ask("POST", "/x", headers=JSON, body=json.dumps(pet).encode())
        assert answer.status == status


def nested(depth: int, innermost: Any) -> Any:
    """Return nodes in nodes."""
    node = innermost
    for _ in range(depth):
        node = {"name": "n", "children": [node]}
    return node


def test_what_is_wrong_deep_in_a_schema_that_holds_itself_is_told() -> None:
    mounted = Mounted(read("shapes"))
    right, wrong = nested(20, {"name": "x"}), nested(20, {"name": 1})

    assert mounted.ask("POST", "/nodes", headers=JSON, body=json.dumps(right).encode()).given == {
        "body": right
    }
    answer = mounted.ask("POST", "/nodes", headers=JSON, body=json.dumps(wrong).encode())
    assert answer.places == ["/children/0" * 20 + "/name"]


def test_a_large_value_of_a_schema_that_holds_itself_is_judged_soon() -> None:
    mounted = Mounted(read("shapes"))
    value = {"name": "n", "children": [nested(20, {"name": 1}) for _ in range(80)]}

    answer = mounted.ask("POST", "/nodes", headers=JSON, body=json.dumps(value).encode())

    assert (answer.status, len(answer.places)) == (400, 20)


HOLDS_ITSELF = {"$ref": "#/components/schemas/S"}
HOLDERS: dict[str, tuple[Any, dict[str, str], Any]] = {
    "itself": (
        HOLDS_ITSELF,
        {"a": "1", "kid": '{"kid": {"a": 2}}'},
        {"a": 1, "kid": {"kid": {"a": 2}}},
    ),
    "another name of it": (
        {"$ref": "#/components/schemas/Other"},
        {"a": "1", "kid": "{}"},
        {"a": 1, "kid": {}},
    ),
    "all of it and more": (
        {"allOf": [HOLDS_ITSELF, {"properties": {"b": NUMBER}}]},
        {"a": "1", "b": "2"},
        {"a": 1, "b": 2},
    ),
    "a list of it": (
        {"type": "object", "properties": {"kids": {"type": "array", "items": HOLDS_ITSELF}}},
        {"kids": '{"a": 1}'},
        {"kids": [{"a": 1}]},
    ),
    "it or null": (
        {"type": "object", "properties": {"kid": {"nullable": True, "allOf": [HOLDS_ITSELF]}}},
        {"kid": '{"a": 1}'},
        {"kid": {"a": 1}},
    ),
    "it under any name": (
        {"type": "object", "additionalProperties": HOLDS_ITSELF},
        {"x": '{"a": 1}'},
        {"x": {"a": 1}},
    ),
}


@pytest.mark.parametrize(("schema", "sent", "given"), HOLDERS.values(), ids=HOLDERS.keys())
def test_a_form_may_hold_what_holds_itself(schema: Any, sent: dict[str, str], given: Any) -> None:
    schemas = {
        "S": {"type": "object", "properties": {"a": NUMBER, "kid": HOLDS_ITSELF}},
        "Other": HOLDS_ITSELF,
    }
    multipart = b"".join(part(name, text.encode()) for name, text in sent.items()) + b"--XX--\r\n"
    for headers, content in ((FORM, urlencode(sent).encode()), (MULTIPART, multipart)):
        declared = body(headers[0][1].decode().partition(";")[0], schema)
        mounted = Mounted({**declared, "components": {"schemas": schemas}})

        assert mounted.ask("POST", "/x", headers=headers, body=content).given == {"body": given}
        wrong = content.replace(b"1", b"x").replace(b"%7B%7D", b"1").replace(b"{}", b"1")
        assert mounted.ask("POST", "/x", headers=headers, body=wrong).status == 400


# Answers


@pytest.mark.parametrize(
    ("responses", "status"),
    [
        ({"2XX": {"description": "ok"}}, 200),
        ({"default": {"description": "ok"}}, 200),
        ({"4XX": {"description": "no"}, "202": {"description": "ok"}}, 202),
        ({"default": {"description": "no"}, "204": {"description": "ok"}}, 204),
        ({"101": {"description": "no"}, "200": {"description": "ok"}}, 200),
    ],
)
def test_the_status_is_that_of_the_declared_answer(responses: Any, status: int) -> None:
    assert Mounted(document(responses=responses)).ask("GET", "/x").status == status


@pytest.mark.parametrize(
    ("media_types", "result", "media_type", "content"),
    [
        (["application/json"], {"a": 1}, "application/json", b'{"a":1}'),
        (["application/json"], "abc", "application/json", b'"abc"'),
        (["application/json"], None, "application/json", b"null"),
        (["application/json"], b"[1]", "application/json", b"[1]"),
        (["application/problem+json"], "abc", "application/problem+json", b'"abc"'),
        (["*/*"], [1], "application/json", b"[1]"),
        (["*/*"], "abc", "application/json", b'"abc"'),
        (["text/*"], "abc", "text/plain; charset=utf-8", b"abc"),
        (["text/csv"], None, "text/csv; charset=utf-8", b""),
        (["image/png"], b"\x89", "image/png", b"\x89"),
        (["image/*"], b"\x89", "application/octet-stream", b"\x89"),
        (["application/xml", "application/json"], {"a": 1}, "application/json", b'{"a":1}'),
        (["application/xml", "application/json"], "<a/>", "application/xml", b"<a/>"),
    ],
)
def test_what_a_handler_returns_is_answered(
    media_types: list[str], result: Any, media_type: str, content: bytes
) -> None:
    declared = {each: {"schema": {"nullable": True}} for each in media_types}
    responses = {"200": {"description": "ok", "content": declared}}
    found = Mounted(document(responses=responses), results={"x": result}).ask("GET", "/x")

    assert (found.headers["content-type"], found.body) == (media_type, content)


def test_data_is_not_answered_as_what_is_not_json() -> None:
    responses = {"200": {"description": "ok", "content": {"application/xml": {}}}}
    mounted = Mounted(document(responses=responses), results={"x": {"a": 1}})

    assert mounted.ask("GET", "/x").status == 500


@pytest.mark.parametrize("path", ["/x/;p", "/x/;p="])
def test_a_matrix_may_be_empty(path: str) -> None:
    stated = parameter("path", {"type": "string"}, style="matrix")
    found = Mounted(document(stated, path="/x/{p}")).ask("GET", path)

    assert found.given == {"p": ""}


def test_an_error_is_problem_json_where_the_definition_declares_other_json() -> None:
    declared = {"description": "no", "content": {"application/json": {"schema": OBJECT}}}
    mounted = Mounted(
        document(
            parameter("query", NUMBER), responses={"200": {"description": "ok"}, "4XX": declared}
        )
    )

    assert mounted.ask("GET", "/x", query=b"p=x").problem["status"] == 400


def test_paths_may_have_extensions_of_others() -> None:
    given = document()
    given["paths"]["x-note"] = "get and post"

    assert Mounted(given).ask("GET", "/x").status == 200


def test_an_operation_id_may_have_signs_that_no_function_has() -> None:
    assert Mounted(document(operationId="issues/list-for.repo")).ask("GET", "/x").status == 200
