"""The consent page of the authorization endpoint, and what follows from the user's decision."""

from dataclasses import dataclass

from oauthlib.oauth2 import InvalidScopeError, OAuth2Error

from models import Consent, TokenStore
from models.oauth.browser_session import SignedIn
from roster import pages
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError
from roster.http.answers import Answer
from roster.http.audit import record
from roster.http.context import RequestContext
from roster.oauth.authorization_request import AuthorizationRequest
from roster.oauth.browser import Browser
from roster.oauth.browser_answers import Answers
from roster.oauth.forms import read_page_form
from roster.oauth.server import token_store
from roster.settings import Settings

_SCOPE = "scope."


def check_form(definition: Definition) -> None:
    """Check that the consent form has a field for each scope.

    :raises DefinitionError: where it lacks one, whose box would do nothing.
    """
    for operation in definition.operations:
        for scope in definition.scopes if operation.id == "decide_authorization" else ():
            if _SCOPE + scope not in operation.form_fields:
                raise DefinitionError(
                    f"the form has no field {_SCOPE}{scope} for the scope {scope}",
                    path=operation.path,
                    method=operation.method,
                )


@dataclass(frozen=True)
class ConsentPage:
    """Answer the requests to the authorization endpoint (RFC 6749 section 4.1)."""

    context: RequestContext
    settings: Settings
    definition: Definition
    browser: Browser
    answers: Answers

    def ask(self) -> Answer:
        """Answer a client's request: by the login page, the consent page, a code or an error.

        :raises HTTPError: 400, where a redirect is not safe.
        """
        return self._proceed(self._read(self.context.query_string.decode("utf-8", "replace")))

    def decide(self) -> Answer:
        """Carry out what the user decided on the consent page.

        A form that another site may have made is answered by 403 and a link to a new one.

        :raises HTTPError: 400 for a malformed form.
        """
        form = read_page_form(self.context)
        request = self._read(form.get("authorize", ""))
        code = form.get("csrf", "")
        if not self.browser.is_genuine(code):
            return self.answers.out_of_date(request)
        # Whatever ends codes (a new password, a withdrawal, a client with fewer scopes) waits for
        # this transaction or is seen here. Without the locks a code could be stored just after.
        held = self.browser.hold(request.client)
        request, user = request.of(held.client), held.user
        if user is None:
            return self.answers.to_login(request)
        is_allowed = form.get("decision") == "allow"
        if is_allowed and not self.browser.is_current(code, *self._shown(request).values()):
            # Another user has signed in meanwhile: ask that one. Or the client has another name by
            # now, or leads to another place: that was not what the user allowed.
            return self.go_on(request)
        store = self._store(user, request)
        try:
            asked = self._asked(request, store)
        except OAuth2Error as error:
            return self._refuse(request, error)
        granted = [scope for scope in asked if _SCOPE + scope in form]
        if not is_allowed or not granted:
            self._record("consent.refused", request, user, asked)
            return self.answers.redirect(
                request.refuse("access_denied", "The user did not allow it.")
            )
        refused = set(asked).difference(granted)
        session = self.context.session
        Consent.remember(session, user.id, request.client.id, granted, refused)
        self._record("consent.given", request, user, granted)
        return self.answers.redirect(request.grant(store, granted))

    def go_on(self, request: AuthorizationRequest) -> Answer:
        """Redirect to a pending request; continue it here if its URL is too long.

        The target is always this server's own endpoint, which validates the request again.
        """
        place = self.answers.place_of(request)
        return self.answers.redirect(place) if self.answers.fits(place) else self._proceed(request)

    def _proceed(self, request: AuthorizationRequest) -> Answer:
        user = self.browser.user
        if user is None:
            return self.answers.to_login(request)
        try:
            scopes = self._asked(request, self._store(user, request))
        except OAuth2Error as error:
            return self._refuse(request, error)
        if not self._may_be_remembered(request) or not Consent.covers(
            self.context.connection, user.id, request.client.id, scopes
        ):
            return self._question(request, user, scopes)
        return self._go_by_consent(request, scopes)

    def _go_by_consent(self, before: AuthorizationRequest, scopes: list[str]) -> Answer:
        """Issue a code without a question, where the consent still covers these scopes.

        The rows are locked and read once more: see `decide`.
        """
        held = self.browser.hold(before.client)
        request, user = before.of(held.client), held.user
        if user is None:
            return self.answers.to_login(request)
        store = self._store(user, request)
        try:
            # The same request of the same client has the same scopes.
            scopes = scopes if request == before else self._asked(request, store)
        except OAuth2Error as error:
            return self._refuse(request, error)
        if not self._may_be_remembered(request) or not held.remembered.issuperset(scopes):
            return self._question(request, user, scopes)
        self._record("consent.used", request, user, scopes)
        return self.answers.redirect(request.grant(store, scopes))

    def _refuse(self, request: AuthorizationRequest, error: OAuth2Error) -> Answer:
        refused = request.refuse(error.error or "invalid_request", error.description)
        return self.answers.redirect(refused)

    def _asked(self, request: AuthorizationRequest, store: TokenStore) -> list[str]:
        """Return the scopes that a request asks for, without those that are declared no longer.

        :raises OAuth2Error: `invalid_scope`, where none is left, and so on.
        """
        asked = [each for each in request.scopes(store) if each in self.definition.scopes]
        if not asked:
            raise InvalidScopeError(description="None of these scopes is to be had any more.")
        return asked

    def _may_be_remembered(self, request: AuthorizationRequest) -> bool:
        # Any app can listen on a loopback port or register a scheme and so impersonate the
        # client: RFC 8252 section 8.6.
        return not request.client.is_public or request.redirect_uri.startswith("https:")

    def _shown(self, request: AuthorizationRequest) -> dict[str, str]:
        """Return what the page shows of the client, by which the user decides."""
        return {
            "name": request.client.name,
            "place": pages.place(request.redirect_uri),
            "lifetime": pages.lifetime(self._lifetime(request)),
        }

    def _question(self, request: AuthorizationRequest, user: SignedIn, scopes: list[str]) -> Answer:
        shown = self._shown(request)
        body = pages.render(
            "consent",
            user=user,
            scopes=[(scope, self.definition.scopes[scope]) for scope in scopes],
            authorize=request.raw,
            csrf=self.browser.form_code(*shown.values()),
            **shown,
        )
        return self.answers.page(body, leads_to_client=True)

    def _lifetime(self, request: AuthorizationRequest) -> int:
        if "refresh_token" in request.client.grant_types:
            return self.settings.refresh_token_total_seconds
        return self.settings.access_token_seconds

    def _read(self, raw: str) -> AuthorizationRequest:
        return AuthorizationRequest.read(
            self.context.connection, raw, self.definition, self.settings.origin
        )

    def _record(
        self, action: str, request: AuthorizationRequest, user: SignedIn, scopes: list[str]
    ) -> None:
        client_id = request.client.client_id
        record(
            self.context,
            action,
            actor_id=user.id,
            actor_name=user.username,
            client_id=client_id,
            target_kind="client",
            target_id=client_id,
            details={"scopes": " ".join(sorted(scopes))},
        )

    def _store(self, user: SignedIn, request: AuthorizationRequest) -> TokenStore:
        return token_store(self.context, self.settings, user=user, client=request.client)
