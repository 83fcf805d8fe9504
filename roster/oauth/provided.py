"""What the OAuth part gives to handlers, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from roster.definition import Definition
from roster.exchange import Exchange
from roster.oauth.answers import Answers
from roster.oauth.authorize import Authorization
from roster.oauth.browser import Browser
from roster.oauth.limits import Limits
from roster.oauth.login import Login
from roster.oauth.server import AuthorizationServer
from roster.settings import Settings


def oauth_providers(
    settings: Settings, definition: Definition, limits: Limits
) -> Mapping[str, Callable[[Exchange], Any]]:
    """Make the table of what a handler of an OAuth endpoint may ask for by name."""

    def authorization(exchange: Exchange) -> Authorization:
        browser = Browser(exchange, settings)
        return Authorization(exchange, settings, definition, browser, Answers(browser, definition))

    def login(exchange: Exchange) -> Login:
        return Login(exchange, settings, definition, limits, authorization(exchange))

    return {
        "oauth": lambda exchange: AuthorizationServer(exchange, settings),
        "authorization": authorization,
        "login": login,
    }
