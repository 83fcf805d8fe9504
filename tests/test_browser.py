"""The documentation page in a real browser: what somebody does who opens the server."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, expect, sync_playwright

from tests.live import LiveServer

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
    pytest.mark.skipif(BROWSER is None, reason="There is no chromium on this machine."),
    pytest.mark.parametrize("live", ["sqlite"], indirect=True),
]


@pytest.fixture
def page() -> Iterator[Page]:
    """Yield a page of a fresh browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 1000})
        browser.close()


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

    def _note(self, message: ConsoleMessage) -> None:
        # A violation of the content security policy is one of these errors.
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


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

    operation = page.locator("#operations-users-read_me")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(answer.locator(".response-col_description")).to_contain_text('"username": "root"')

    assert not seen.complaints
    assert f"{live.url}/api/v1/users/me" in seen.requests
    elsewhere = [url for url in seen.requests if not url.startswith((f"{live.url}/", "data:"))]
    assert not elsewhere


def test_a_wrong_password_is_told(live: LiveServer, page: Page) -> None:
    page.goto(live.url)

    password_flow = open_password_flow(page, "root", "wrong")
    password_flow.get_by_text("Authorize", exact=True).click()

    expect(password_flow.locator(".errors")).to_be_visible()
    expect(password_flow.locator(".errors")).to_contain_text("invalid")


def open_password_flow(page: Page, username: str, password: str) -> Locator:
    """Open the dialog to log in, and fill in the form of the password flow."""
    page.get_by_role("button", name="Authorize").click()
    form = page.locator(".auth-container", has_text="Flow: password")
    expect(form.locator("#client_id_password")).to_have_value("documentation")
    form.locator("#oauth_username").fill(username)
    form.locator("#oauth_password").fill(password)
    return form
