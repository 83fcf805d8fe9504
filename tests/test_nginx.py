"""The sign-in behind nginx as it comes: with 4 KiB for the headers of an answer."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.live import free_port, serving
from tests.signing_in import AUTHORIZE, LOGIN, Browser, register

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

pytestmark = [
    pytest.mark.live,
    pytest.mark.field,
    pytest.mark.skipif(not Path(NGINX).exists(), reason="There is no nginx on this machine."),
]

# Bodies above 16 KiB wait in a file, which nobody but who runs the test may write.
CONFIGURATION = """
user root; daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{server}; proxy_set_header Host $http_host; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a development server whose issuer is an nginx in front of it."""
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with serving(folder, ROSTER_ISSUER=origin) as server:
        configuration = folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=port, server=server.port))
        command = [NGINX, "-c", str(configuration), "-e", str(folder / "error.log")]
        transport = httpx2.HTTPTransport(retries=5)
        with (
            subprocess.Popen(command) as nginx,
            httpx2.Client(base_url=origin, transport=transport, trust_env=False) as client,
        ):
            yield SimpleNamespace(origin=origin, client=client, bearer=server.bearer)
            nginx.terminate()


@pytest.mark.parametrize(
    ("sign", "length"),
    [
        *(("s", length) for length in (10, 1500, 2500, 3300, 3500, 3600, 4000)),
        *((sign, length) for sign in "{é" for length in (500, 1000, 2400)),
    ],
)
def test_a_state_of_any_length_comes_back(behind_nginx: Any, sign: str, length: int) -> None:
    # Each byte of the other two is written in three, and nginx takes addresses of 8 KiB.
    state = sign * (length // len(sign.encode()))
    app = register(behind_nginx, client_type="public", redirect_uris=["http://127.0.0.1/cb"])
    browser = Browser(behind_nginx)

    browser.open(AUTHORIZE, app.request(state=state))
    assert "to continue to" in browser.page.text
    browser.sign_in("user", "wrong")
    assert "to continue to" in browser.page.text
    browser.sign_in()
    browser.submit("/auth/logout")
    assert "to continue to" in browser.page.text
    browser.sign_in()
    assert "Allow An app?" in browser.page.text

    answer = browser.allow("users:read")

    assert parameters_of(answer)["state"] == state
    # Signed in already, the next request shows the question at once.
    assert "Allow An app?" in browser.open(AUTHORIZE, app.request(state=state)).text


def test_each_of_many_tabs_keeps_its_own_long_request(behind_nginx: Any) -> None:
    app = register(behind_nginx)
    cookies: dict[str, str] = {}
    states = [str(number) * 3000 for number in range(8)]
    tabs = [Browser(behind_nginx, cookies=cookies) for _ in states]
    for tab, state in zip(tabs, states, strict=True):
        tab.open(AUTHORIZE, app.request(state=state))
        assert len(cookies) == 1

    for tab, state in zip(tabs, states, strict=True):
        answer = tab.sign_in()
        if "Allow An app?" in answer.text:
            answer = tab.allow("users:read", "teams:read")

        assert parameters_of(answer)["state"] == state


def test_a_long_login_address_is_answered(behind_nginx: Any) -> None:
    app = register(behind_nginx)
    browser = Browser(behind_nginx)
    raw = str(httpx2.QueryParams(app.request(state="s" * 3500)))

    page = browser.open(LOGIN, {"authorize": raw})

    assert page.status_code == 200
    assert "to continue to" in page.text


def parameters_of(answer: httpx2.Response) -> dict[str, str]:
    """Return what the client is told, by a redirect or by the page that leads on in its place."""
    if answer.status_code == 303:
        place = answer.headers["location"]
    else:
        assert answer.status_code == 200, answer.text
        found = re.search('http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
        assert found, answer.text
        place = unescape(found[1])
        assert f'<a href="{found[1]}">' in answer.text
    return {name: value for name, (value,) in parse_qs(urlsplit(place).query).items()}
