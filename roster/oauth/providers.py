"""What the OAuth part gives to handlers, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from roster.contract.definition import Definition
from roster.http.context import RequestContext
from roster.oauth.browser import Browser
from roster.oauth.browser_answers import Answers
from roster.oauth.consent_page import Authorization
from roster.oauth.login_page import Login
from roster.oauth.rate_limits import Limits
from roster.oauth.server import AuthorizationServer
from roster.settings import Settings


def oauth_providers(
    settings: Settings, definition: Definition, limits: Limits
) -> Mapping[str, Callable[[RequestContext], Any]]:
    """Make the table of what a handler of an OAuth endpoint may ask for by name."""

    def authorization(context: RequestContext) -> Authorization:
        browser = Browser(context, settings)
        return Authorization(context, settings, definition, browser, Answers(browser, definition))

    def login(context: RequestContext) -> Login:
        return Login(context, settings, definition, limits, authorization(context))

    return {
        "oauth": lambda context: AuthorizationServer(context, settings),
        "authorization": authorization,
        "login": login,
    }
