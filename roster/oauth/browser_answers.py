"""Responses to a browser: a page or a redirect, with the cookies to be set."""

from dataclasses import dataclass
from urllib.parse import urlencode

from roster import pages
from roster.contract.definition import Definition
from roster.http.answers import Answer
from roster.oauth.authorization_request import PATH, AuthorizationRequest
from roster.oauth.browser import Browser

LOGIN = "/auth/login"
_OUT_OF_DATE = (
    "This form is out of date, or your browser did not keep the cookie that goes with it."
)

# The policy of a response without a page.
_EMPTY = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Answers:
    """Make the responses to one browser."""

    browser: Browser
    definition: Definition

    def page(self, body: str, *, status: int = 200, leads_to_client: bool = False) -> Answer:
        """Show a page."""
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", pages.policy(leads_to_client=leads_to_client)),
        ]
        return Answer(status, body.encode(), (*headers, *self._cookies()))

    def redirect(self, place: str) -> Answer:
        """Redirect the browser, always by GET (RFC 9700 section 4.12).

        A URL that is too long for a header is put into a page that leads on by itself.
        """
        if not self.fits(place):
            return self.page(pages.render("onward", place=place, name=pages.place(place)))
        headers = [("Location", place), ("Content-Security-Policy", _EMPTY)]
        return Answer(303, b"", (*headers, *self._cookies()))

    def fits(self, place: str) -> bool:
        """Tell whether a URL fits into a Location header: proxies accept 4 KiB by default."""
        answer = self.definition.operation(LOGIN, "GET").spec["responses"]["303"]
        longest: int = answer["headers"]["Location"]["schema"]["maxLength"]
        cookies = sum(len(name) + len(cookie) + 4 for name, cookie in self._cookies())
        return len(place) + cookies <= longest

    def to_login(self, request: AuthorizationRequest) -> Answer:
        """Redirect to the login page; show it here where the request makes its URL too long."""
        place = f"{self.browser.home}{LOGIN}?{urlencode({'authorize': request.raw})}"
        return self.redirect(place) if self.fits(place) else self.sign_in_form(request)

    def sign_in_form(
        self,
        request: AuthorizationRequest | None,
        problem: str = "",
        status: int = 200,
        username: str = "",
    ) -> Answer:
        """Show the form for username and password, with a problem if there is one."""
        longest = self.definition.operation(LOGIN, "POST").form_fields["username"]["maxLength"]
        body = pages.render(
            "login",
            client=request.client if request else None,
            authorize=request.raw if request else "",
            problem=problem,
            username=username[:longest],
            longest=longest,
            csrf=self.browser.form_code(),
        )
        return self.page(body, status=status, leads_to_client=request is not None)

    def out_of_date(self, request: AuthorizationRequest | None) -> Answer:
        """Refuse a form that another site may have made; the page links to a new form."""
        place = self.place_of(request)
        body = pages.render(
            "problem", heading="Forbidden", detail=_OUT_OF_DATE, request_id="", place=place
        )
        return self.page(body, status=403)

    def place_of(self, request: AuthorizationRequest | None) -> str:
        """Return the URL where a pending request continues, or that of the login page."""
        return self.browser.home + (f"{PATH}?{request.raw}" if request else LOGIN)

    def _cookies(self) -> list[tuple[str, str]]:
        return [("Set-Cookie", cookie) for cookie in self.browser.set_cookies]
