"""The shipped configuration of nginx, in Debian's nginx: TLS, HTTP/2, and what it adds."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.field.daemons import daemon, find_command
from tests.live import PRODUCTION, ROOT, ROSTER, free_port, serving

pytestmark = pytest.mark.field

NAME = "roster.example.org"
AROUND = """
user root; daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {configuration}
}}
"""


@dataclass(frozen=True)
class Stack:
    """nginx with a server behind it, reached by curl."""

    folder: Path
    http: int
    https: int
    upstream: int

    @property
    def origin(self) -> str:
        return f"https://{NAME}:{self.https}"

    def curl(self, path: str, *options: str) -> tuple[str, dict[str, list[str]], str]:
        """Send a request; return the status line, the headers by their names, and the body."""
        headers = self.folder / "headers"
        url = path if path.startswith("http") else self.origin + path
        command = ["curl", "--silent", "--show-error", "--cacert", str(self.folder / "tls.crt")]
        for port in (self.http, self.https):
            command += ["--resolve", f"{NAME}:{port}:127.0.0.1"]
        command += ["--dump-header", str(headers), *options, url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        # An answer to `Expect: 100-continue` comes before.
        last = headers.read_text("latin-1").rstrip().split("\r\n\r\n")[-1]
        first, *rest = last.splitlines()
        found: dict[str, list[str]] = {}
        for line in rest:
            name, _, value = line.partition(": ")
            found.setdefault(name.lower(), []).append(value)
        return first.strip(), found, done.stdout


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield nginx in front of a port, where nobody listens until a test starts a server there."""
    nginx = find_command("nginx")
    find_command("curl")
    folder = tmp_path_factory.mktemp("nginx")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "2",
                "-subj",
                f"/CN={NAME}",
                "-addext",
                f"subjectAltName=DNS:{NAME}",
            ),
            *("-keyout", folder / "tls.key", "-out", folder / "tls.crt"),
        ],
        check=True,
        capture_output=True,
    )
    made = Stack(folder, free_port(), free_port(), free_port())
    text = (ROOT / "ops" / "nginx" / "roster.conf").read_text("utf-8")
    text = re.sub(r"listen \[::\].*", "", text)
    for old, new in [
        ("listen 80", f"listen 127.0.0.1:{made.http}"),
        ("listen 443", f"listen 127.0.0.1:{made.https}"),
        ("roster:5000", f"127.0.0.1:{made.upstream}"),
        ("/etc/nginx/tls/", f"{folder}/"),
    ]:
        assert old in text
        text = text.replace(old, new)
    file = folder / "nginx.conf"
    file.write_text(AROUND.format(folder=folder, configuration=text), "utf-8")
    with daemon([nginx, "-c", file, "-e", folder / "error.log"], made.https):
        yield made


@pytest.fixture
def server(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Yield the stack with a server behind nginx."""
    monkeypatch.setattr("tests.live.free_port", lambda: stack.upstream)
    settings = {
        **PRODUCTION,
        "ROSTER_TRUSTED_PROXIES": "1",
        "ROSTER_ISSUER": stack.origin,
        "ROSTER_LIMIT_PER_ADDRESS": "3",
    }
    with serving(tmp_path, (ROSTER, "serve"), **settings):
        yield stack


def test_requests_come_by_http_2_over_tls(server: Stack) -> None:
    first, headers, body = server.curl("/readyz", "--http2")

    assert first == "HTTP/2 200"
    assert json.loads(body)["status"]
    assert headers["strict-transport-security"] == ["max-age=31536000; includeSubDomains"]


def test_old_tls_is_refused(server: Stack) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        server.curl("/readyz", "--tls-max", "1.1")


def test_who_comes_without_tls_is_sent_to_it(server: Stack) -> None:
    first, headers, _ = server.curl(f"http://{NAME}:{server.http}/api/v1/users?limit=1")

    assert first == "HTTP/1.1 308 Permanent Redirect"
    assert headers["location"] == [f"https://{NAME}/api/v1/users?limit=1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_other_name_is_answered(server: Stack, scheme: str) -> None:
    port = server.http if scheme == "http" else server.https
    command = ["curl", "--silent", "--insecure", f"{scheme}://127.0.0.1:{port}/healthz"]

    done = subprocess.run(command, capture_output=True, check=False)

    assert (done.returncode != 0, done.stdout) == (True, b"")


def test_no_header_comes_twice_and_none_tells_a_version(server: Stack) -> None:
    _, headers, _ = server.curl("/api/v1/openapi.json")

    assert {name: values for name, values in headers.items() if len(values) > 1} == {}
    assert headers["server"] == ["nginx"]


def test_links_lead_to_the_name_outside(server: Stack) -> None:
    _, _, body = server.curl("/.well-known/oauth-authorization-server")

    assert json.loads(body)["issuer"] == server.origin


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 3 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [(), ("--header", "Transfer-Encoding: chunked")])
def test_a_body_that_is_too_large_is_told_in_json(
    server: Stack, tmp_path: Path, size: int, chunked: tuple[str, ...]
) -> None:
    body = tmp_path / "body"
    body.write_bytes(b" " * size)
    given = ("--header", "Content-Type: application/json", "--data-binary", f"@{body}", *chunked)

    first, headers, said = server.curl("/api/v1/users", *given)

    assert first == "HTTP/2 413"
    assert headers["content-type"] == ["application/problem+json"]
    assert json.loads(said)["status"] == 413


def test_a_chunked_body_reaches_the_server(server: Stack) -> None:
    given = ("--header", "Transfer-Encoding: chunked", "--data", "grant_type=nonsense")

    first, _, body = server.curl("/auth/oauth2/token", *given, "--http1.1")

    assert first == "HTTP/1.1 400 Bad Request"
    assert json.loads(body)["error"] in {"invalid_client", "unsupported_grant_type"}


def test_nobody_can_make_up_an_address(server: Stack, tmp_path: Path) -> None:
    page = server.curl("/auth/login", "--cookie-jar", str(tmp_path / "jar"))[2]
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None
    tried = []
    for number in range(5):
        given = (
            *(
                "--header",
                f"X-Forwarded-For: 203.0.113.{number}",
                "--cookie",
                str(tmp_path / "jar"),
            ),
            *("--data", f"csrf={csrf[1]}&username=ada{number}&password=wrong"),
        )
        tried.append(server.curl("/auth/login", *given)[0])

    assert tried == ["HTTP/2 400"] * 3 + ["HTTP/2 429"] * 2


def test_metrics_are_not_for_outside(server: Stack) -> None:
    first, headers, body = server.curl("/metrics", "--header", "Authorization: Bearer x")

    assert (first, json.loads(body)["status"]) == ("HTTP/2 404", 404)
    assert headers["content-type"] == ["application/problem+json"]


def test_a_server_that_is_away_is_told_in_json(stack: Stack) -> None:
    first, headers, body = stack.curl("/readyz")

    assert (first, json.loads(body)["status"]) == ("HTTP/2 503", 503)
    assert headers["content-type"] == ["application/problem+json"]
    assert headers["retry-after"] == ["5"]


def test_a_server_that_comes_back_is_used_at_once(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.live.free_port", lambda: stack.upstream)
    settings = {**PRODUCTION, "ROSTER_TRUSTED_PROXIES": "1", "ROSTER_ISSUER": stack.origin}
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with serving(folder, (ROSTER, "serve"), **settings):
            assert stack.curl("/readyz")[0] == "HTTP/2 200"
        assert stack.curl("/readyz")[0] == "HTTP/2 503"
