"""Providers: what the handlers of the OAuth endpoints may name as a parameter."""

from collections.abc import Callable, Mapping
from typing import Any

from roster.contract.definition import Definition
from roster.http.context import RequestContext
from roster.oauth.browser import Browser
from roster.oauth.browser_answers import Answers
from roster.oauth.consent_page import ConsentPage, check_form
from roster.oauth.login_page import LoginPage
from roster.oauth.rate_limits import Limits
from roster.oauth.server import AuthorizationServer
from roster.settings import Settings


def oauth_providers(
    settings: Settings, definition: Definition, limits: Limits
) -> Mapping[str, Callable[[RequestContext], Any]]:
    """Return the providers by their names.

    :raises DefinitionError: where the consent form lacks a scope.
    """
    check_form(definition)

    def consent_page(context: RequestContext) -> ConsentPage:
        browser = Browser(context, settings)
        return ConsentPage(context, settings, definition, browser, Answers(browser, definition))

    def login_page(context: RequestContext) -> LoginPage:
        return LoginPage(context, settings, definition, limits, consent_page(context))

    return {
        "oauth": lambda context: AuthorizationServer(context, settings),
        "consent_page": consent_page,
        "login_page": login_page,
    }
