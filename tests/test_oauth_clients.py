"""Clients that others wrote, against the server as it runs."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.live import PATIENCE_SECONDS, LiveServer
from tests.signing_in import CALLBACK, VERIFIER, Browser, Client, register

NPM = shutil.which("npm")
NODE = shutil.which("node")
SCRIPT = Path(__file__).parent / "oauth4webapi"
# How long a registry may take to send a package before a test gives up.
INSTALLATION_SECONDS = 300

pytestmark = [
    pytest.mark.live,
    pytest.mark.parametrize("live", ["sqlite", "postgresql"], indirect=True),
]


@pytest.fixture
def client(live: LiveServer) -> Client:
    """Register a client that may do everything but ask for passwords."""
    grants = ["authorization_code", "refresh_token", "client_credentials"]
    client = register(live, "root", grant_types=grants)
    assert client.secret
    return client


@contextmanager
def insecure(name: str) -> Iterator[None]:
    """Let a library talk to a server without TLS, as a developer of an app does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, "1")
        yield


def metadata(live: LiveServer) -> dict[str, Any]:
    """Read where the endpoints are."""
    found: dict[str, Any] = live.client.get("/.well-known/oauth-authorization-server").json()
    return found


def allowed(live: LiveServer, address: str) -> str:
    """Do the user's part: sign in, allow all; return the address that the browser is led to."""
    assert address.startswith(live.url)
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    browser = Browser(live)
    browser.open(parts.path, query)
    browser.sign_in()
    answer = browser.allow(*query["scope"].split())
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_authlib(live: LiveServer, client: Client) -> None:
    server = metadata(live)
    with (
        insecure("AUTHLIB_INSECURE_TRANSPORT"),
        AuthlibSession(
            client.client_id,
            client.secret,
            scope="users:read teams:read",
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
            revocation_endpoint_auth_method="client_secret_basic",
        ) as session,
    ):
        session.trust_env = False
        address, state = session.create_authorization_url(
            server["authorization_endpoint"], code_verifier=VERIFIER
        )
        token = session.fetch_token(
            server["token_endpoint"],
            authorization_response=allowed(live, address),
            state=state,
            code_verifier=VERIFIER,
        )
        assert set(token["scope"].split()) == {"users:read", "teams:read"}
        assert session.get(f"{live.url}/api/v1/users/me").json()["username"] == "user"

        fresh = session.refresh_token(server["token_endpoint"])
        assert fresh["refresh_token"] != token["refresh_token"]
        assert session.get(f"{live.url}/api/v1/users/me").status_code == 200

        introspection = server["introspection_endpoint"]
        active = session.introspect_token(introspection, token=fresh["access_token"]).json()
        assert active["active"] is True
        assert active["username"] == "user"
        revoked = session.revoke_token(server["revocation_endpoint"], token=fresh["refresh_token"])
        assert revoked.status_code == 200
        again = session.introspect_token(introspection, token=fresh["access_token"])
        assert again.json() == {"active": False}

        service = session.fetch_token(
            server["token_endpoint"], grant_type="client_credentials", scope="teams:read"
        )
        assert service["scope"] == "teams:read"
        assert "refresh_token" not in service


def test_requests_oauthlib(live: LiveServer, client: Client) -> None:
    server = metadata(live)
    me = f"{live.url}/api/v1/users/me"
    basic = HTTPBasicAuth(client.client_id, client.secret or "")
    with (
        insecure("OAUTHLIB_INSECURE_TRANSPORT"),
        OAuth2Session(
            client.client_id,
            scope=["users:read", "teams:read"],
            redirect_uri=CALLBACK,
            pkce="S256",
        ) as session,
    ):
        session.trust_env = False
        address, _ = session.authorization_url(server["authorization_endpoint"])
        token = session.fetch_token(
            server["token_endpoint"],
            authorization_response=allowed(live, address),
            client_secret=client.secret,
        )
        assert session.get(me).json()["username"] == "user"

        fresh = session.refresh_token(server["token_endpoint"], auth=basic)
        assert fresh["refresh_token"] != token["refresh_token"]
        assert session.get(me).status_code == 200

        def post(endpoint: str, token: str) -> requests.Response:
            return session.request(
                "POST", server[endpoint], data={"token": token}, auth=basic, withhold_token=True
            )

        active = post("introspection_endpoint", fresh["access_token"]).json()
        assert active["active"] is True
        assert active["client_id"] == client.client_id
        assert post("revocation_endpoint", fresh["refresh_token"]).status_code == 200
        again = post("introspection_endpoint", fresh["access_token"])
        assert again.json() == {"active": False}


def test_requests_oauthlib_as_a_service(live: LiveServer, client: Client) -> None:
    backend = BackendApplicationClient(client_id=client.client_id, scope=["teams:read"])
    with (
        insecure("OAUTHLIB_INSECURE_TRANSPORT"),
        OAuth2Session(client=backend) as session,
    ):
        session.trust_env = False
        token = session.fetch_token(metadata(live)["token_endpoint"], client_secret=client.secret)
        assert token["scope"] == ["teams:read"]
        assert session.get(f"{live.url}/api/v1/teams").status_code == 200


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Install the library that the script beside this file uses; return the script's copy."""
    if NODE is None or NPM is None:
        pytest.skip("There is no Node.js with npm on this machine.")
    folder = tmp_path / "oauth4webapi"
    shutil.copytree(SCRIPT, folder)
    installed = subprocess.run(
        [NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALLATION_SECONDS,
        check=False,
    )
    assert installed.returncode == 0, installed.stdout
    return folder / "client.js"


def test_oauth4webapi(live: LiveServer, client: Client, script: Path) -> None:
    assert NODE
    errors = script.with_name("errors.log")
    with (
        errors.open("w") as log,
        subprocess.Popen(
            [NODE, str(script), live.url, client.client_id, client.secret or "", CALLBACK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout
            address = process.stdout.readline().strip()
            assert address, errors.read_text()
            assert "code_challenge" in parse_qs(urlsplit(address).query)
            output, _ = process.communicate(allowed(live, address) + "\n", PATIENCE_SECONDS)
        finally:
            process.kill()

    assert process.returncode == 0, errors.read_text()
    found = json.loads(output)
    assert found["username"] == "user"
    assert set(found["issued"]["scope"].split()) == {"users:read", "teams:read"}
    assert found["active"]["active"] is True
    assert found["active"]["client_id"] == client.client_id
    assert found["service"]["scope"] == "teams:read"
    assert "refresh_token" not in found["service"]
