"""The pages in a real browser: the documentation, and signing in to somebody else's app."""

import asyncio
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Response,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.live import PATIENCE_SECONDS, ROSTER, LiveServer
from tests.scopes import ALL_SCOPES
from tests.signing_in import AUTHORIZE, LOGIN, Client, register

BROWSER = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(BROWSER is None, reason="There is no chromium on this machine."),
]


# One for all of them: playwright keeps an event loop in this thread as long as it runs, which
# tests of other files could not bear, so it ends with the file and not with the session.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a browser; what a test does with it belongs into a context of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Yield a page that shares no cookie, storage or cache with those of other tests."""
    with browser.new_context(viewport={"width": 1280, "height": 1000}) as context:
        yield context.new_page()


PAGES = {
    "/callback": b"<title>The app</title>Welcome",
    # An app in the browser, which signs in by a popup.
    "/single": b"""<title>The single page</title><button>Sign in</button><p></p><script>
        addEventListener("message", (event) => {
          document.querySelector("p").textContent = event.data;
        });
        document.querySelector("button").onclick = () => {
          window.popup = open(new URLSearchParams(location.search).get("open"), "popup");
        };
        </script>""",
    "/single/callback": b"""<title>Back</title><script>
        opener.postMessage(location.search, location.origin);
        close();
        </script>""",
}


@dataclass
class App:
    """Somebody else's app: it listens on loopback and notes what browsers bring to it."""

    url: str
    answers: list[dict[str, str]]
    onward: list[str] = field(default_factory=list)

    @property
    def callback(self) -> str:
        """The place to which browsers come back."""
        return f"{self.url}/callback"

    def register(self, live: LiveServer, **fields: Any) -> Client:
        """Register the app at the server, as a native app does: without its port."""
        fields = {"redirect_uris": ["http://127.0.0.1/callback"], **fields}
        client = register(live, **fields)
        client.redirect_uri = self.callback
        return client


@pytest.fixture
def app() -> Iterator[App]:
    """Yield an app that runs; its callback leads on to the places in `onward`, if there are any."""
    answers: list[dict[str, str]] = []
    onward: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/callback":
                answers.append(dict(parse_qsl(parts.query)))
            body = PAGES.get(parts.path, PAGES["/callback"])
            if parts.path == "/callback" and onward:
                self.send_response(302)
                self.send_header("Location", onward[0])
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b'<link rel="icon" href="data:,">' + body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        # Between two polls it does not hear that it is to stop.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield App(f"http://127.0.0.1:{server.server_port}", answers, onward)
        server.shutdown()
        thread.join()


@dataclass
class Seen:
    """What a page did that nobody looking at it would notice."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Note all that happens on a page from now on."""
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))
        page.on("request", lambda request: self.requests.append(request.url))

    def elsewhere(self, *urls: str) -> list[str]:
        """Return the requests that went to none of these servers."""
        known = (*(f"{url}/" for url in urls), "data:")
        return [url for url in self.requests if not url.startswith(known)]

    def _note(self, message: ConsoleMessage) -> None:
        # A violation of the content security policy is one of these errors.
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


def try_out_who_am_i(page: Page) -> None:
    """Execute the operation that shows the caller, on the documentation's page, as root."""
    operation = page.locator("#operations-users-read_me")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(answer.locator(".response-col_description")).to_contain_text('"username": "root"')


def test_somebody_logs_in_and_tries_an_operation_out(live: LiveServer, page: Page) -> None:
    seen = Seen()
    seen.watch(page)

    page.goto(live.url)
    expect(page).to_have_url(f"{live.url}/api/v1/")
    expect(page).to_have_title("Roster API")

    password_flow = open_password_flow(page, "root", "q")
    password_flow.get_by_text("select all").click()
    password_flow.get_by_text("Authorize", exact=True).click()
    expect(password_flow.get_by_text("Logout", exact=True)).to_be_visible()
    page.locator(".close-modal").click()

    try_out_who_am_i(page)

    assert not seen.complaints
    assert f"{live.url}/api/v1/users/me" in seen.requests
    assert not seen.elsewhere(live.url)


def test_a_wrong_password_is_told(live: LiveServer, page: Page) -> None:
    page.goto(live.url)

    password_flow = open_password_flow(page, "root", "wrong")
    password_flow.get_by_text("Authorize", exact=True).click()

    expect(password_flow.locator(".errors")).to_be_visible()
    expect(password_flow.locator(".errors")).to_contain_text("invalid")


def open_password_flow(page: Page, username: str, password: str) -> Locator:
    """Open the dialog to log in, and fill in the form of the password flow."""
    page.get_by_role("button", name="Authorize", exact=True).click()
    form = page.locator(".auth-container", has_text="Flow: password")
    expect(form.locator("#client_id_password")).to_have_value("documentation")
    form.locator("#oauth_username").fill(username)
    form.locator("#oauth_password").fill(password)
    return form


# What a newcomer sees first


@pytest.mark.parametrize("live", ["sqlite"], indirect=True)
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 812)])
def test_a_newcomer_finds_an_operation_the_login_and_the_guide(
    live: LiveServer,
    browser: Browser,
    width: int,
    height: int,
    colours: Literal["light", "dark"],
) -> None:
    size: ViewportSize = {"width": width, "height": height}
    with browser.new_context(viewport=size, color_scheme=colours) as context:
        page = context.new_page()
        seen = Seen()
        seen.watch(page)
        page.goto(f"{live.url}/api/v1/")
        authorize = page.get_by_role("button", name="Authorize", exact=True)
        for part in (page.locator(".opblock").first, authorize):
            expect(part).to_be_in_viewport(ratio=1, timeout=PATIENCE_SECONDS * 1000)
        assert overflow(page) == 0
        assert is_dark(page) == (colours == "dark")

        authorize.click()
        expect(page.locator("#oauth_username")).to_be_focused()
        expect(page.locator("#oauth_username")).to_be_in_viewport(ratio=1)
        dialog = page.locator(".modal-ux-content")
        assert dialog.evaluate("dialog => dialog.scrollTop") == 0
        expect(dialog).not_to_contain_text("metrics")
        page.locator(".close-modal").click()

        with page.expect_popup() as opened:
            page.get_by_role("link", name="guide", exact=True).click()
        page = opened.value
        seen.watch(page)
        expect(page).to_have_url(f"{live.url}/api/v1/guide")
        expect(page.locator("pre").first).to_contain_text(f"ROSTER={live.url}")
        assert overflow(page) == 0
        assert is_dark(page) == (colours == "dark")
        back = page.get_by_role("link", name="All operations")
        expect(back).to_have_attribute("href", "/api/v1/")
        assert not seen.complaints
        assert not seen.elsewhere(live.url)


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(page.evaluate(script))


def is_dark(page: Page) -> bool:
    """Tell whether a page's background is dark."""
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return max(map(int, re.findall(r"[0-9]+", background)[:3])) < 128


@pytest.mark.parametrize("live", ["sqlite"], indirect=True)
def test_a_token_that_is_refused_is_answered_on_the_page(live: LiveServer, page: Page) -> None:
    seen = Seen()
    seen.watch(page)
    page.goto(f"{live.url}/api/v1/")
    operation = page.locator("#operations-auth-issue_token")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    grants = operation.locator("select").filter(has_text="client_credentials")
    grants.select_option("client_credentials")
    secret = operation.locator("tr", has_text="client_secret").get_by_role("textbox").last
    secret.fill("wrong")
    operation.get_by_role("button", name="Execute").click()

    answer = operation.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text("400")
    expect(answer).to_contain_text("invalid_client")
    # The browser itself tells every status of an error.
    assert all("status of 400" in each for each in seen.complaints)


def test_the_reference_is_one_file_that_asks_for_nothing(page: Page, tmp_path: Path) -> None:
    reference = Path(__file__).parent.parent / "build" / "redoc.standalone.js"
    if not reference.exists():
        pytest.skip("`make docs` has not fetched Redoc.")
    made = subprocess.run(
        [ROSTER, "reference", reference], capture_output=True, check=True, cwd=tmp_path
    )
    file = tmp_path / "index.html"
    file.write_bytes(made.stdout)
    seen = Seen()
    seen.watch(page)

    page.goto(file.as_uri())

    expect(page.locator("table", has_text="list_users").first).to_contain_text("remove_member")
    expect(page.get_by_role("heading", name="List users")).to_be_attached()
    assert not seen.complaints
    assert {url.partition(":")[0] for url in seen.requests} <= {"file", "blob", "data"}


@contextmanager
def published(port: int) -> Iterator[int]:
    """Publish a port of this machine at another one, as containers and tunnels do."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps = pump(reader, inner_writer), pump(inner_reader, writer)
        await asyncio.gather(*pumps, return_exceptions=True)

    async def publish() -> None:
        end = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        found.set_result((asyncio.get_running_loop(), end, server.sockets[0].getsockname()[1]))
        await end.wait()
        server.close()

    found: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
    thread = threading.Thread(target=asyncio.run, args=(publish(),))
    thread.start()
    loop, end, published_port = found.result()
    yield published_port
    loop.call_soon_threadsafe(end.set)
    thread.join()


@pytest.mark.parametrize("asked", ["http://127.0.0.1", "http://localhost", "a published port"])
def test_somebody_logs_in_to_the_documentation_through_the_pages(
    live: LiveServer, page: Page, asked: str
) -> None:
    with ExitStack() as stack:
        url = f"{asked}:{live.port}"
        if asked == "a published port":
            url = f"http://localhost:{stack.enter_context(published(live.port))}"
        seen = Seen()
        seen.watch(page)
        page.goto(url)
        expect(page).to_have_url(f"{url}/api/v1/")
        page.get_by_role("button", name="Authorize", exact=True).click()
        form = page.locator(".auth-container", has_text="Flow: authorizationCode")
        expect(form.locator("#client_id_authorizationCode")).to_have_value("documentation")
        form.get_by_text("select all").click()

        with page.expect_popup() as opened:
            form.get_by_text("Authorize", exact=True).click()
        popup = opened.value
        seen.watch(popup)
        sign_in(popup, "root", "q")
        expect(popup.get_by_role("checkbox")).to_have_count(len(ALL_SCOPES))
        with popup.expect_event("close"):
            popup.get_by_role("button", name="Allow").click()
        expect(form.get_by_text("Logout", exact=True)).to_be_visible()
        page.locator(".close-modal").click()

        try_out_who_am_i(page)
        assert not seen.complaints
        assert not seen.elsewhere(url)
        page.goto("about:blank")  # so that no connection is left to a port that closes


def test_an_app_signs_in_by_a_popup(live: LiveServer, page: Page, app: App) -> None:
    seen = Seen()
    seen.watch(page)
    url = app.url.replace("127.0.0.1", "localhost")
    client = app.register(live, redirect_uris=["http://localhost/single/callback"])
    client.redirect_uri = f"{url}/single/callback"
    asked = f"{live.url}{AUTHORIZE}?{urlencode(client.request())}"
    page.goto(f"{url}/single?{urlencode({'open': asked})}")

    with page.expect_popup() as opened:
        page.get_by_role("button").click()
    popup = opened.value
    sign_in(popup, "user", "wrong")
    sign_in(popup)
    expect(popup.get_by_role("heading")).to_have_text("Allow An app?")
    assert page.evaluate("popup.closed") is False
    popup.get_by_role("button", name="Sign out and use another account").click()
    sign_in(popup)
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Allow").click()

    expect(page.locator("p")).to_contain_text("code=")
    assert not seen.complaints


def test_somebody_signs_in_to_an_app_and_out_again(live: LiveServer, page: Page, app: App) -> None:
    seen = Seen()
    seen.watch(page)
    client = app.register(live)

    ask(page, live, client)
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    expect(page.get_by_role("main")).to_contain_text("to continue to An app")
    sign_in(page)
    expect(page.get_by_role("heading")).to_have_text("Allow An app?")
    expect(page.locator(".place")).to_have_text(app.url.removeprefix("http://"))
    page.get_by_role("checkbox", name="users:read").uncheck()
    page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("The app")

    (answer,) = app.answers
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == "a state"
    assert answer["iss"] == live.url
    issued = live.client.post("/auth/oauth2/token", data=client.exchange(answer["code"]))
    assert issued.json()["scope"] == "teams:read"

    page.goto(live.url + LOGIN)
    expect(page.get_by_role("main")).to_contain_text("You are signed in as user")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    ask(page, live, client)
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    assert not seen.complaints
    assert not seen.elsewhere(live.url, app.url)


def test_somebody_denies(live: LiveServer, page: Page, app: App) -> None:
    seen = Seen()
    seen.watch(page)

    ask(page, live, app.register(live))
    sign_in(page)
    page.get_by_role("button", name="Deny").click()
    expect(page).to_have_title("The app")

    (answer,) = app.answers
    assert answer["error"] == "access_denied"
    assert answer["state"] == "a state"
    assert answer["iss"] == live.url
    assert "code" not in answer
    assert not seen.complaints


def test_somebody_changes_the_account_on_the_way(live: LiveServer, page: Page, app: App) -> None:
    ask(page, live, app.register(live))
    sign_in(page)
    page.get_by_role("button", name="Sign out and use another account").click()
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    sign_in(page, "root", "q")

    expect(page.get_by_role("main")).to_contain_text("You are signed in as root")
    page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("The app")
    assert "code" in app.answers[0]


def test_a_remembered_consent_leads_from_the_login_to_the_app(
    live: LiveServer, page: Page, app: App
) -> None:
    seen = Seen()
    seen.watch(page)
    client = app.register(live)
    ask(page, live, client)
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("The app")
    page.context.clear_cookies()

    ask(page, live, client)
    sign_in(page)

    expect(page).to_have_title("The app")
    assert "code" in app.answers[1]
    assert not seen.complaints


def test_an_app_with_a_scheme_of_its_own_is_reached(live: LiveServer, page: Page) -> None:
    seen = Seen()
    seen.watch(page)
    client = register(live, redirect_uris=["com.example.app:/callback"])
    ask(page, live, client)
    sign_in(page)

    def is_decision(response: Response) -> bool:
        return response.request.method == "POST" and urlsplit(response.url).path == AUTHORIZE

    with page.expect_response(is_decision) as decided:
        page.get_by_role("button", name="Allow").click()

    assert decided.value.status == 303
    place, _, query = (decided.value.header_value("location") or "").partition("?")
    assert place == "com.example.app:/callback"
    assert dict(parse_qsl(query)).keys() == {"code", "state", "iss"}
    assert not [text for text in seen.complaints if "Content Security Policy" in text]


@pytest.mark.parametrize("decision", ["Allow", "Deny"])
def test_a_callback_leads_on_to_another_host(
    live: LiveServer, page: Page, app: App, decision: str
) -> None:
    seen = Seen()
    seen.watch(page)
    home = app.url.replace("127.0.0.1", "localhost") + "/home"
    app.onward.append(home)

    ask(page, live, app.register(live))
    sign_in(page)
    page.get_by_role("button", name=decision).click()

    expect(page).to_have_url(home)
    assert len(app.answers) == 1
    assert not seen.complaints


def test_a_remembered_consent_leads_on_to_another_host(
    live: LiveServer, page: Page, app: App
) -> None:
    seen = Seen()
    seen.watch(page)
    client = app.register(live)
    ask(page, live, client)
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("The app")
    page.context.clear_cookies()
    home = app.url.replace("127.0.0.1", "localhost") + "/home"
    app.onward.append(home)

    ask(page, live, client)
    sign_in(page)

    expect(page).to_have_url(home)
    assert not seen.complaints


def test_a_callback_leads_on_to_an_app(live: LiveServer, page: Page, app: App) -> None:
    seen = Seen()
    seen.watch(page)
    app.onward.append("com.example.app://done")
    ask(page, live, app.register(live))
    sign_in(page)

    with page.expect_event("requestfailed"):  # nothing on this machine has the scheme
        page.get_by_role("button", name="Allow").click()

    assert app.answers
    assert not [text for text in seen.complaints if "Content Security Policy" in text]


@pytest.mark.parametrize("decision", ["Allow", "Deny"])
def test_a_state_that_no_header_holds_comes_back(
    live: LiveServer, page: Page, app: App, decision: str
) -> None:
    seen = Seen()
    seen.watch(page)
    state = "s" * 4000
    client = app.register(live)

    ask(page, live, client, state=state)
    sign_in(page, "user", "wrong")
    sign_in(page)
    page.get_by_role("button", name="Sign out and use another account").click()
    sign_in(page)
    page.get_by_role("button", name=decision).click()

    expect(page).to_have_title("The app")
    assert app.answers[0]["state"] == state
    assert not [text for text in seen.complaints if "Content Security Policy" in text]


def test_each_of_two_tabs_goes_on(live: LiveServer, page: Page, app: App) -> None:
    client = app.register(live)
    other = page.context.new_page()
    for tab, state in ((page, "one"), (other, "two")):
        ask(tab, live, client, state=state)

    for tab in (page, other):
        sign_in(tab)
        expect(tab.get_by_role("heading")).to_have_text("Allow An app?")
    for tab in (page, other):
        tab.get_by_role("button", name="Allow").click()
        expect(tab).to_have_title("The app")

    assert [answer["state"] for answer in app.answers] == ["one", "two"]


def test_one_signs_out_in_each_of_two_tabs(live: LiveServer, page: Page, app: App) -> None:
    client = app.register(live)
    page.goto(live.url + LOGIN)
    sign_in(page)
    tabs = [page, page.context.new_page(), page.context.new_page()]
    tabs[1].goto(live.url + LOGIN)
    ask(tabs[2], live, client)

    for tab in tabs[:2]:
        tab.get_by_role("button", name="Sign out").click()
        expect(tab.get_by_role("heading")).to_have_text("Sign in")
    tabs[2].get_by_role("button", name="Allow").click()
    expect(tabs[2].get_by_role("main")).to_contain_text("to continue to An app")
    sign_in(tabs[2])
    tabs[2].get_by_role("button", name="Allow").click()

    expect(tabs[2]).to_have_title("The app")


def test_one_goes_back_and_on_again(live: LiveServer, page: Page, app: App) -> None:
    ask(page, live, app.register(live, client_type="public"))
    sign_in(page)
    expect(page.get_by_role("heading")).to_have_text("Allow An app?")
    page.go_back()
    if page.get_by_role("button", name="Sign in").count():
        sign_in(page)
    page.get_by_role("button", name="Allow").click()
    expect(page).to_have_title("The app")
    page.go_back()
    page.get_by_role("button", name="Allow").click()

    expect(page).to_have_title("The app")
    assert all("code" in answer for answer in app.answers)
    assert len(app.answers) == 2


def test_a_window_that_was_restored_goes_on(live: LiveServer, page: Page, app: App) -> None:
    ask(page, live, app.register(live))
    page.context.clear_cookies()  # those without an age end with the browser
    sign_in(page)

    page.get_by_role("link", name="Go on").click()
    sign_in(page)
    page.get_by_role("button", name="Allow").click()

    expect(page).to_have_title("The app")
    assert app.answers[0]["state"] == "a state"


def test_a_wrong_login_is_told_on_the_page(live: LiveServer, page: Page) -> None:
    page.goto(live.url + LOGIN)

    sign_in(page, "user", "wrong")

    expect(page.get_by_role("alert")).to_have_text("Username or password is wrong.")
    password = page.get_by_label("Password")
    expect(password).to_have_accessible_description("Username or password is wrong.")
    expect(password).to_have_value("")
    # The name stays, so that only the password has to be typed again.
    expect(page.get_by_label("Username")).to_have_value("user")
    expect(password).to_be_focused()
    page.keyboard.type("w")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("You are signed in as user")


def test_a_long_password_is_typed_in_full(live: LiveServer, page: Page) -> None:
    password = "horse-" + "🐎" * 120
    body = {"username": "rider", "email": "rider@x.example", "recaptcha_key": "secret_key"}
    made = page.request.post(f"{live.url}/api/v1/users", data={**body, "password": password})
    assert made.status == 201

    page.goto(live.url + LOGIN)
    page.get_by_label("Username").fill(" rider ")
    page.get_by_label("Password").focus()
    page.keyboard.insert_text(password)
    page.keyboard.press("Enter")

    expect(page.get_by_role("main")).to_contain_text("You are signed in as rider")


def test_the_keyboard_is_enough(live: LiveServer, page: Page, app: App) -> None:
    client = app.register(live)
    ask(page, live, client)

    keys = page.keyboard
    expect(page.get_by_label("Username")).to_be_focused()
    keys.type("user")
    keys.press("Tab")
    expect(page.get_by_label("Password")).to_be_focused()
    keys.type("w")
    keys.press("Enter")
    expect(page.get_by_role("heading")).to_have_text("Allow An app?")
    keys.press("Tab")
    first = page.get_by_role("checkbox").first
    expect(first).to_be_focused()
    keys.press("Space")
    expect(first).not_to_be_checked()
    keys.press("Tab")
    keys.press("Tab")
    allow = page.get_by_role("button", name="Allow")
    expect(allow).to_be_focused()
    # Where one is can be seen.
    assert allow.evaluate("(element) => getComputedStyle(element).outlineStyle") == "solid"
    keys.press("Enter")
    expect(page).to_have_title("The app")

    issued = live.client.post("/auth/oauth2/token", data=client.exchange(app.answers[0]["code"]))
    assert len(issued.json()["scope"].split()) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 1000), (320, 568)])
def test_the_pages_fit(
    live: LiveServer,
    browser: Browser,
    app: App,
    scheme: Literal["light", "dark"],
    width: int,
    height: int,
) -> None:
    client = app.register(live, name="The app with the longest name " + "x" * 50)
    seen = Seen()
    with browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, has_touch=width < 500
    ) as context:
        page = context.new_page()
        seen.watch(page)

        ask(page, live, client, scope="users:read users:write teams:read teams:write auth:read")
        assert_fits(page, scheme, width)
        sign_in(page)
        expect(page.get_by_role("checkbox")).to_have_count(5)
        assert_fits(page, scheme, width)
        page.goto(live.url + LOGIN)
        assert_fits(page, scheme, width)
    assert not seen.complaints


def assert_fits(page: Page, scheme: str, width: int) -> None:
    """Hold that nothing of a page lies beside the window, and that it is as bright as asked."""
    expect(page.get_by_role("main")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in ground.strip("rgb()").split(",")) / 3
    assert (brightness < 64) == (scheme == "dark")


def ask(page: Page, live: LiveServer, client: Client, **changes: str) -> None:
    """Open the address to which a client sends the user's browser."""
    page.goto(f"{live.url}{AUTHORIZE}?{urlencode(client.request(**changes))}")


def sign_in(page: Page, username: str = "user", password: str = "w") -> None:
    """Fill the login form in."""
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
