"""The login page: signing in, and out again."""

from dataclasses import dataclass

from models import User
from models.errors import TooManyAttempts
from models.user_patch import login_account
from roster.definition import Definition
from roster.errors import Answer
from roster.exchange import Exchange
from roster.oauth import pages
from roster.oauth.authorization import PATH, AuthorizationRequest
from roster.oauth.authorize import LOGIN, page, redirect
from roster.oauth.browser import Browser
from roster.oauth.forms import read_page_form, read_page_query
from roster.oauth.limits import Limits
from roster.settings import Settings


@dataclass(frozen=True)
class Login:
    """What the handlers of the login page can ask."""

    exchange: Exchange
    settings: Settings
    definition: Definition
    browser: Browser
    limits: Limits

    def show(self) -> Answer:
        """Show the form, or to a user who is signed in, as whom.

        :raises Refusal: 400, where the request that waits for the login is no good.
        """
        request = self._read(read_page_query(self.exchange).get("authorize"))
        user = self.browser.user
        if user is None:
            return self._form(request)
        if request is not None:
            return redirect(self._back_to(request), self.browser)
        body = pages.render("signed_in", user=user, csrf=self.browser.form_code, authorize="")
        return page(body, self.browser)

    def sign_in(self) -> Answer:
        """Check username and password, and begin a session.

        :raises Refusal: 400 for a malformed form, 403 for one that another site may have made.
        """
        form = read_page_form(self.exchange)
        request = self._read(form.get("authorize"))
        self.browser.check_form(form.get("csrf"))
        username, password = form.get("username", ""), form.get("password", "")
        self.limits.guard(self.exchange, self.browser.device)
        try:
            user = User.authenticate(self.exchange.session, username, password, self.exchange.gate)
        except TooManyAttempts as error:
            minutes = -(-error.retry_after // 60)
            problem = f"There were too many attempts. Try again in {minutes} min."
            refused = self._form(request, problem, 429, username)
            retry = ("Retry-After", str(error.retry_after))
            return Answer(refused.status, refused.body, (*refused.headers, retry))
        if user is None:
            return self._form(request, "Username or password is wrong.", 400, username)
        self.browser.sign_in(user)
        self._remember(login_account(user))
        place = self.browser.home + LOGIN if request is None else self._back_to(request)
        return redirect(place, self.browser)

    def sign_out(self) -> Answer:
        """End the session.

        :raises Refusal: 400 for a malformed form, 403 for one that another site may have made.
        """
        form = read_page_form(self.exchange)
        request = self._read(form.get("authorize"))
        self.browser.check_form(form.get("csrf"))
        self.browser.sign_out()
        place = self.browser.home + LOGIN if request is None else self._back_to(request)
        return redirect(place, self.browser)

    def _remember(self, account: str) -> None:
        device = self.browser.device
        if device is None or device.account != account:
            device = self.limits.new_device(account)
        if device:
            self.browser.remember(device)

    def _read(self, raw: str | None) -> AuthorizationRequest | None:
        if not raw:
            return None
        session, issuer = self.exchange.session, self.settings.origin
        return AuthorizationRequest.read(session, raw, self.definition, issuer)

    def _back_to(self, request: AuthorizationRequest) -> str:
        # To this server's own endpoint, which judges the request again: never straight elsewhere.
        return f"{self.browser.home}{PATH}?{request.raw}"

    def _form(
        self,
        request: AuthorizationRequest | None,
        problem: str = "",
        status: int = 200,
        username: str = "",
    ) -> Answer:
        longest = self.definition.operation(LOGIN, "POST").form_fields["username"]["maxLength"]
        body = pages.render(
            "login",
            client=request.client if request else None,
            authorize=request.raw if request else "",
            problem=problem,
            username=username[:longest],
            longest=longest,
            csrf=self.browser.form_code,
        )
        return page(body, self.browser, status=status, leads_to_client=request is not None)
