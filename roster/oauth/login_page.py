"""The login page: signing in and signing out."""

from dataclasses import dataclass

from models import User
from models.errors import TooManyAttempts
from models.oauth.client_hooks import Person
from roster import pages
from roster.contract.definition import Definition
from roster.http.answers import Answer
from roster.http.audit import record
from roster.http.context import RequestContext
from roster.oauth.authorization_request import AuthorizationRequest
from roster.oauth.browser import Browser
from roster.oauth.browser_answers import Answers
from roster.oauth.consent_page import ConsentPage
from roster.oauth.forms import read_page_form, read_page_query
from roster.oauth.rate_limits import Limits
from roster.settings import Settings


@dataclass(frozen=True)
class LoginPage:
    """Answer the requests to the login page."""

    context: RequestContext
    settings: Settings
    definition: Definition
    limits: Limits
    consent_page: ConsentPage

    @property
    def browser(self) -> Browser:
        """The browser of this request."""
        return self.consent_page.browser

    @property
    def answers(self) -> Answers:
        """The responses to this browser."""
        return self.consent_page.answers

    def show(self) -> Answer:
        """Show the form; or, to a user who is signed in, the name and a way to sign out.

        :raises HTTPError: 400, where the pending authorization request is not valid.
        """
        request = self._read(read_page_query(self.context).get("authorize"))
        user = self.browser.user
        if user is None:
            return self.answers.sign_in_form(request)
        if request is not None:
            return self._go_on(request)
        body = pages.render("signed_in", user=user, csrf=self.browser.form_code(), authorize="")
        return self.answers.page(body)

    def sign_in(self) -> Answer:
        """Check username and password and begin a session.

        A form that another site may have made is answered by 403 and a link to a new one.

        :raises HTTPError: 400 for a malformed form.
        """
        form = read_page_form(self.context)
        request = self._read(form.get("authorize"))
        if not self.browser.is_genuine(form.get("csrf")):
            return self.answers.out_of_date(request)
        username, password = form.get("username", ""), form.get("password", "")
        self.limits.attach(self.context, self.browser.device)
        try:
            user = User.authenticate(
                self.context.session, username, password, self.context.attempts
            )
        except TooManyAttempts as error:
            minutes = -(-error.retry_after // 60)
            problem = f"There were too many attempts. Try again in {minutes} min."
            refused = self.answers.sign_in_form(request, problem, 429, username)
            retry = ("Retry-After", str(error.retry_after))
            return Answer(refused.status, refused.body, (*refused.headers, retry))
        if user is None:
            return self.answers.sign_in_form(
                request, "Username or password is wrong.", 400, username
            )
        self.browser.sign_in(user)
        self._record("login.succeeded", user, request)
        self._remember(user.login_account)
        return self._go_on(request)

    def sign_out(self) -> Answer:
        """End the session.

        A form that another site may have made is answered by 403 and a link to a new one.

        :raises HTTPError: 400 for a malformed form.
        """
        form = read_page_form(self.context)
        request = self._read(form.get("authorize"))
        if not self.browser.is_genuine(form.get("csrf")):
            return self.answers.out_of_date(request)
        user = self.browser.user
        if self.browser.sign_out() and user is not None:
            self._record("login.ended", user, request)
        return self._go_on(request)

    def _go_on(self, request: AuthorizationRequest | None) -> Answer:
        if request is None:
            return self.answers.redirect(self.answers.place_of(None))
        return self.consent_page.go_on(request)

    def _record(self, action: str, user: Person, request: AuthorizationRequest | None) -> None:
        details = {"operation": self.context.operation.id} if self.context.operation else {}
        record(
            self.context,
            action,
            actor_id=user.id,
            actor_name=user.username,
            client_id=None if request is None else request.client.client_id,
            details=details,
        )

    def _remember(self, account: str) -> None:
        device = self.browser.device
        if device is None or device.account != account:
            device = self.limits.new_device(account)
        if device:
            self.browser.remember(device)

    def _read(self, raw: str | None) -> AuthorizationRequest | None:
        if not raw:
            return None
        connection, issuer = self.context.connection, self.settings.origin
        return AuthorizationRequest.read(connection, raw, self.definition, issuer)
