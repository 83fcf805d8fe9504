"""The strict form parser: each parameter once, in UTF-8, in its place."""

import base64
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models.errors import OAuthError
from roster.contract import loader
from roster.http.context import RequestContext
from roster.http.errors import OAUTH_ERROR, answer
from roster.oauth.forms import UNKNOWN, read_form

URLENCODED = b"application/x-www-form-urlencoded"
ROUTE = loader.load("development").operation("/auth/oauth2/token", "POST")


class OneRoute:
    """A route with one operation."""

    def __init__(self, operation: Any) -> None:
        self.operations = {"POST": operation}


CLEAN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"))


def request_context(
    body: bytes = b"",
    *,
    query: bytes = b"",
    content_type: bytes | None = URLENCODED,
    authorization: bytes | None = None,
    fields: dict[str, Any] | None = None,
) -> RequestContext:
    """Return a request to the token endpoint, or to one with other fields."""
    operation = ROUTE if fields is None else SimpleNamespace(form_fields=fields)
    headers = [(b"content-type", content_type)] if content_type is not None else []
    headers += [(b"authorization", authorization)] if authorization is not None else []
    return RequestContext(
        connections=cast(Any, None),
        route=cast(Any, OneRoute(operation)),
        operation=cast(Any, operation),
        path="/auth/oauth2/token",
        path_parameters={},
        query_string=query,
        headers=headers,
        raw_body=body,
    )


def read(body: bytes = b"", *, from_url: bool = False, **options: Any) -> dict[str, str]:
    return read_form(request_context(body, **options), from_url=from_url)


def refused(body: bytes = b"", *, from_url: bool = False, **options: Any) -> OAuthError:
    """Read a form that is refused; return the error, which says nothing of what was sent."""
    with pytest.raises(OAuthError) as caught:
        read(body, from_url=from_url, **options)
    assert "canary" not in caught.value.detail
    return caught.value


def multipart(*parts: tuple[bytes, bytes], boundary: bytes = b"XX") -> dict[str, Any]:
    """Return the options of a multipart body; a part is its headers and its content."""
    body = b"".join(
        b"--" + boundary + b"\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"
        for headers, content in parts
    )
    return {
        "body": body + b"--" + boundary + b"--\r\n",
        "content_type": b"multipart/form-data; boundary=" + boundary,
    }


def named(name: bytes, content: bytes, more: bytes = b"") -> tuple[bytes, bytes]:
    """Return a part with a name."""
    return b'Content-Disposition: form-data; name="' + name + b'"' + more, content


# What is read


def test_a_form_is_read() -> None:
    assert read(b"username=a%20b+c&password=%C3%A4%26%3D") == {
        "username": "a b c",
        "password": "ä&=",
    }


def test_a_form_may_hold_raw_utf8() -> None:
    assert read("username=ä".encode()) == {"username": "ä"}


def test_no_form_is_an_empty_one() -> None:
    assert read(content_type=None) == {}
    assert read() == {}


@pytest.mark.parametrize("content_type", [URLENCODED.title(), URLENCODED + b"; charset=utf-8"])
def test_the_media_type_may_be_written_in_some_ways(content_type: bytes) -> None:
    assert read(b"username=a", content_type=content_type) == {"username": "a"}


def test_a_multipart_form_is_read() -> None:
    found = read(
        **multipart(named(b"username", "ä\r\nb".encode()), named(b"password", b"a+b%20&=c"))
    )

    assert found == {"username": "ä\r\nb", "password": "a+b%20&=c"}


def test_a_multipart_form_in_capitals_is_read() -> None:
    options = multipart(named(b"username", b"a"))
    options["content_type"] = b"Multipart/FORM-DATA; Boundary=XX"

    assert read(**options) == {"username": "a"}


@hypothesis_settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["username", "password", "client_id"]), CLEAN))
def test_what_was_sent_is_what_is_read(form: dict[str, str]) -> None:
    sent = {name: value for name, value in form.items() if value}

    assert read(urlencode(form).encode()) == sent
    assert read(query=urlencode(form).encode(), from_url=True) == sent


@pytest.mark.parametrize(
    "name", ["user", "client", "scopes", "grant", "token", "", "é", "Username"]
)
def test_an_unknown_parameter_is_ignored(name: str) -> None:
    assert read(urlencode({name: "canary", "username": "a"}).encode()) == {"username": "a"}
    assert read(**multipart(named(name.encode(), b"x"), named(b"username", b"a"))) == {
        "username": "a"
    }


@pytest.mark.parametrize(
    "more",
    [
        b"unknown=1&unknown=2",
        b"unknown=" + b"%ff" * 300_000,
        b"%41" * 300_000 + b"=1",
        b"&".join(b"unknown=1" for _ in range(49)),
    ],
)
def test_unknown_parameters_are_ignored_however_often_and_long(more: bytes) -> None:
    assert read(b"username=a&" + more) == {"username": "a"}


def test_unknown_parts_are_ignored_however_often() -> None:
    parts = [named(b"unknown", b"\xff" * 1000) for _ in range(49)]

    assert read(**multipart(named(b"username", b"a"), *parts)) == {"username": "a"}


@pytest.mark.parametrize("body", [b"username=", b"username", b"username=&", b"&&"])
def test_an_empty_parameter_counts_as_omitted(body: bytes) -> None:
    assert read(body) == {}


def test_an_empty_part_counts_as_omitted() -> None:
    assert read(**multipart(named(b"username", b""))) == {}


def test_blanks_in_a_scope_are_made_single() -> None:
    assert read(b"scope=++a++b+") == {"scope": "a b"}


def test_other_blanks_in_a_scope_are_kept() -> None:
    assert read(b"scope=a%09b%0Ac") == {"scope": "a\tb\nc"}


# What is refused


@pytest.mark.parametrize(
    "body",
    [
        b"username=canary&username=canary",
        b"username=canary&username=",
        b"username=&username=",
        b"username=canary&%75sername=canary",
    ],
)
def test_a_repeated_parameter_is_refused(body: bytes) -> None:
    error = refused(body)

    assert (error.error, error.status) == ("invalid_request", 400)
    assert error.detail == "A parameter is given more than once."


def test_a_repeated_part_is_refused() -> None:
    error = refused(**multipart(named(b"username", b"a"), named(b"username", b"a")))

    assert error.detail == "A parameter is given more than once."


def test_a_parameter_in_the_url_and_in_the_body_is_repeated() -> None:
    error = refused(b"username=a", query=b"username=a", from_url=True)

    assert error.detail == "A parameter is given more than once."


@pytest.mark.parametrize(
    "body",
    [
        b"username=%ff",
        b"%ff=a",
        b"username=\xff",
        b"username=%C0%AF",
        b"username=%ED%A0%80",
        b"&".join(b"canary%d=1" % number for number in range(51)),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    assert refused(body).detail == "The parameters cannot be read."
    assert refused(query=body, from_url=True).detail == "The parameters cannot be read."
    assert refused(query=body).detail == "The parameters cannot be read."


@pytest.mark.parametrize("body", [b"username=canary%00", b"%00=canary", b"username=%EF%BF%BD"])
def test_nul_and_replacement_characters_are_refused(body: bytes) -> None:
    assert refused(body).detail == "A parameter is not clean UTF-8 text."


@pytest.mark.parametrize(
    "part",
    [
        named(b"username", b"\xff"),
        named(b"username", b"\0"),
        named(b"\xff", b"canary"),
        named(b"username", b"\xe4", b"\r\nContent-Type: text/plain; charset=bogus"),
    ],
)
def test_a_part_that_is_no_utf8_is_refused(part: tuple[bytes, bytes]) -> None:
    assert refused(**multipart(part)).error == "invalid_request"


@pytest.mark.parametrize("parameters", [b"", b'; name="\\"'])
def test_a_part_without_a_name_is_refused(parameters: bytes) -> None:
    part = b"Content-Disposition: form-data" + parameters, b"canary"

    assert refused(**multipart(part)).error == "invalid_request"


@pytest.mark.parametrize("name", [b"username", b"unknown"])
@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_file_is_refused(name: bytes) -> None:
    part = named(name, b"canary", b'; filename="canary"')

    assert refused(**multipart(part)).detail == "A parameter is sent as a file."


def test_too_many_parts_are_refused() -> None:
    parts = [named(b"canary%d" % number, b"1") for number in range(51)]

    assert refused(**multipart(*parts)).detail == "The multipart body cannot be read."


@pytest.mark.parametrize(
    "headers",
    [
        named(b"username", b"", b"; a=b" * 1000)[0],
        named(b"username", b"", b"\r\nX-More: 1" * 1000)[0],
        named(b"username", b"", b"\r\n more" * 1000)[0],
        b"\r\n" + named(b"username", b"", b"\n" + b"a: b\n" * 1000)[0],
        b"--XXcanary\r\n" + named(b"username", b"", b"; a=b" * 1000)[0],
    ],
)
def test_a_part_with_long_headers_is_refused_before_they_are_read(headers: bytes) -> None:
    error = refused(**multipart((headers, b"canary")))

    assert "multipart body" in error.detail


def test_a_part_may_hold_many_lines() -> None:
    content = b"a\r\n" * 500 + b"--XX is no end" + b"\n" * 500
    fields = {"username": {"type": "string"}}

    assert read(**multipart(named(b"username", content)), fields=fields) == {
        "username": content.decode()
    }


GOOD = multipart(named(b"username", b"canary"))
BROKEN = {
    "without a boundary": {**GOOD, "content_type": b"multipart/form-data"},
    "with an empty boundary": {**GOOD, "content_type": b'multipart/form-data; boundary=""'},
    "with a boundary in no Latin-1": {
        **GOOD,
        "content_type": b"multipart/form-data; boundary*=utf-8''%E2%82%AC",
    },
    "with another boundary": {**GOOD, "content_type": b"multipart/form-data; boundary=YY"},
    "cut off": {**GOOD, "body": GOOD["body"][:-12]},
    "without any part's name": multipart((b"X-Canary: canary", b"canary")),
    "with an empty disposition": multipart((b"Content-Disposition: form-data", b"canary")),
    "with noise": {**GOOD, "body": b"\0canary\xff"},
    "empty": {**GOOD, "body": b""},
}


@pytest.mark.parametrize("options", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_multipart_body_is_refused(options: dict[str, Any]) -> None:
    error = refused(**options)

    assert (error.error, error.status) == ("invalid_request", 400)
    assert "multipart body" in error.detail


def test_a_value_that_is_longer_than_any_real_one_is_a_value_that_nobody_knows() -> None:
    fields = {"username": {"type": "string", "maxLength": 3}}

    assert read(b"username=%C3%A4bc", fields=fields) == {"username": "äbc"}
    assert read(b"username=abcd", fields=fields) == {"username": UNKNOWN}
    assert read(fields=fields, **multipart(named(b"username", b"abcd"))) == {"username": UNKNOWN}


def test_no_value_is_read_that_is_longer_than_this_server_makes_any() -> None:
    fields = {"token": {"type": "string", "maxLength": 1048576}}

    assert read(b"token=" + b"x" * 1_000_000, fields=fields) == {"token": UNKNOWN}


def test_the_longest_value_may_be_encoded_in_any_way() -> None:
    fields = {"username": {"type": "string", "maxLength": 3}}

    assert read(b"username=" + b"%F0%9F%98%80" * 3, fields=fields) == {"username": "😀" * 3}
    for value in (b"%41" * 13, b"%ff" * 13, b"%" * 300_000):
        assert read(b"username=" + value, fields=fields) == {"username": UNKNOWN}


@pytest.mark.parametrize(("longer", "credentials"), [("id", b"%s:x"), ("secret", b"x:%s")])
def test_credentials_of_basic_are_no_longer_than_those_of_a_form(
    longer: str, credentials: bytes
) -> None:
    def authorization(length: int) -> bytes:
        return b"Basic " + base64.b64encode(credentials % (b"x" * length))

    assert read(authorization=authorization(255))[f"client_{longer}"] == "x" * 255
    assert read(authorization=authorization(256))[f"client_{longer}"] == UNKNOWN


# The URL


def test_a_known_parameter_in_the_url_is_refused_where_it_must_not_be() -> None:
    for query in (b"username=canary", b"username=", b"%75sername=canary"):
        assert refused(query=query).detail == "A parameter stands in the URL; send it in the body."


def test_an_unknown_parameter_in_the_url_is_ignored() -> None:
    assert read(b"username=a", query=b"utm_source=x") == {"username": "a"}
    assert read(b"username=a", query=b"utm_source=x", from_url=True) == {"username": "a"}


def test_a_long_url_is_refused() -> None:
    for from_url in (True, False):
        error = refused(query=b"unknown=" + b"1" * 16_384, from_url=from_url)
        assert error.detail == "The URL is too long."


def test_url_and_body_are_put_together_where_they_may_be() -> None:
    found = read(b"username=a", query=b"grant_type=password", from_url=True)

    assert found == {"username": "a", "grant_type": "password"}


# HTTP Basic


def basic(credentials: bytes) -> bytes:
    return b"Basic " + base64.b64encode(credentials)


def test_basic_credentials_become_parameters() -> None:
    assert read(authorization=basic(b"me:secret")) == {
        "client_id": "me",
        "client_secret": "secret",
    }


@pytest.mark.parametrize(
    ("credentials", "client_id", "secret"),
    [
        (b"me:", "me", ""),
        (b":", "", ""),
        (b"me:a:b", "me", "a:b"),
        (b"m%65:s%3Aecret", "me", "s:ecret"),
        (b"a+b:c+d", "a b", "c d"),
        (b"a%2Bb:c%2525", "a+b", "c%25"),
        ("ä:%C3%A4".encode(), "ä", "ä"),
        (b"me:100%", "me", "100%"),
    ],
)
def test_basic_credentials_are_url_encoded(credentials: bytes, client_id: str, secret: str) -> None:
    found = read(authorization=basic(credentials))

    assert found == {"client_id": client_id, "client_secret": secret}


@hypothesis_settings(deadline=None)
@given(CLEAN, CLEAN)
def test_any_credentials_survive_basic(client_id: str, secret: str) -> None:
    credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()

    assert read(authorization=basic(credentials)) == {
        "client_id": client_id,
        "client_secret": secret,
    }


@pytest.mark.parametrize("scheme", [b"basic ", b"BASIC ", b"Basic    "])
def test_the_scheme_may_be_written_in_some_ways(scheme: bytes) -> None:
    header = scheme + base64.b64encode(b"me:secret") + b" "

    assert read(authorization=header)["client_id"] == "me"


def test_the_same_client_id_in_the_body_is_no_second_method() -> None:
    found = read(b"client_id=me", authorization=basic(b"me:secret"))

    assert found == {"client_id": "me", "client_secret": "secret"}


@pytest.mark.parametrize(
    "body",
    [
        b"client_id=other",
        b"client_id=ME",
        b"client_secret=canary",
        b"client_id=me&client_secret=secret",
    ],
)
def test_two_methods_of_authentication_are_refused(body: bytes) -> None:
    error = refused(body, authorization=basic(b"me:secret"))

    assert (error.error, error.status) == ("invalid_request", 400)
    assert error.detail == "The client authenticates in two ways at once."


def test_an_empty_secret_beside_basic_counts_as_omitted() -> None:
    found = read(b"client_secret=", authorization=basic(b"me:secret"))

    assert found["client_secret"] == "secret"


@pytest.mark.parametrize(
    "header",
    [
        b"Basic",
        b"Basic ",
        b"Basic !!!",
        b"Basic bWU6c2VjcmV",
        b"Basic bWU6 c2VjcmV0",
        b"Basic \xe4",
        basic(b"canary"),
        basic(b"me:\xff"),
        basic(b"me:%ff"),
        basic(b"%00:canary"),
        basic(b"me:\0"),
        basic(b"me:secret") + b", " + basic(b"me:secret"),
    ],
)
def test_basic_credentials_that_cannot_be_read_are_an_invalid_client(header: bytes) -> None:
    error = refused(b"client_id=me", authorization=header)

    assert (error.error, error.status) == ("invalid_client", 401)
    challenge = dict(answer(error, OAUTH_ERROR).headers)["WWW-Authenticate"]
    assert challenge == 'Basic realm="roster"'


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b" ",
        b"Bearer bWU6c2VjcmV0",
        b"Bearer",
        b"bWU6c2VjcmV0",
        b"Basicx bWU6c2VjcmV0",
        b"Digest username=me",
        b"Negotiate \xff",
        b"DPoP " + b"x" * 20_000,
    ],
)
def test_a_header_of_another_scheme_than_basic_is_ignored(header: bytes) -> None:
    assert read(b"client_id=me", authorization=header) == {"client_id": "me"}
