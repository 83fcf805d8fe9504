"""The captcha at sign-up: verified by a `siteverify` service, or by the development key."""

import asyncio
import hmac
import logging
import ssl
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import httpx2

from models.errors import Forbidden
from roster.contract.operation import Operation
from roster.http.context import RequestContext
from roster.http.detour import Detour
from roster.http.errors import HTTPError
from roster.oauth.rate_limits import Limits
from roster.settings import Settings

DEVELOPMENT_KEY = "secret_key"
_TIMEOUT_SECONDS = 5.0
_RETRY_SECONDS = 30

_logger = logging.getLogger(__name__)


class Captcha:
    """Verify the keys that sign-up forms send.

    In production the key is the response token of a widget (reCAPTCHA, hCaptcha and Turnstile share
    the protocol): it is posted with the operator's secret to the service's `siteverify` URL. In
    development one fixed key is valid.

    No thread waits for the service: it is called on the event loop, for a limited number of keys
    at a time, and for some seconds at most.
    """

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._under_way = 0

    @property
    def site_key(self) -> str:
        """The public key with which a sign-up form shows the widget; empty without a captcha."""
        if self._settings.captcha == "off":
            return ""
        return self._settings.captcha_site_key or (
            DEVELOPMENT_KEY if self._settings.is_development else ""
        )

    def step(self, operation: Operation) -> Callable[[RequestContext], None] | None:
        """Make the step that verifies the key and removes it from the body.

        The step raises Forbidden for a missing or wrong key, TooManyAttempts after too many wrong
        ones from the same address, and Detour to call the service on the event loop.
        """
        if operation.captcha is None:
            return None
        return partial(self._check, operation.captcha)

    def _check(self, declared: Mapping[str, Any], context: RequestContext) -> None:
        key = context.body.pop(declared["member"], None)
        if self._settings.captcha == "off" or context.caller.has(*declared.get("unless", ())):
            return
        if context.captcha_verdict is None:
            self._limits.check_captcha(context)
        if not (key and self._is_valid(key, context)):
            self._limits.captcha_failed(context)
            raise Forbidden("The captcha is missing or wrong.")

    def _is_valid(self, key: str, context: RequestContext) -> bool:
        if not self._settings.captcha_verify_url:
            return self._settings.is_development and hmac.compare_digest(
                key.encode(), DEVELOPMENT_KEY.encode()
            )
        if context.captcha_verdict is None:
            raise Detour(partial(self._ask, key, context))
        return context.captcha_verdict

    async def _ask(self, key: str, context: RequestContext) -> None:
        """Store the service's verdict on a key in the context.

        :raises HTTPError: 503, where too many keys are being verified, or the service fails.
        """
        if self._under_way >= self._settings.most_captchas:
            raise _unavailable("Too many captchas are being checked. Try again shortly.")
        self._under_way += 1
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                context.captcha_verdict = await self._verdict(key)
        except (TimeoutError, httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            _logger.warning(
                "ROSTER_CAPTCHA_VERIFY_URL: the service gave no verdict (%s).", type(error).__name__
            )
            raise _unavailable("The captcha cannot be checked just now.") from None
        finally:
            self._under_way -= 1

    async def _verdict(self, key: str) -> bool:
        form = {"secret": self._settings.captcha_secret.get_secret_value(), "response": key}
        url = self._settings.captcha_verify_url
        # A client of its own for each call: open connections belong to one event loop, and expire.
        async with httpx2.AsyncClient(verify=self._context, timeout=_TIMEOUT_SECONDS) as client:
            response = await client.post(url, data=form)
        return response.raise_for_status().json()["success"] is True

    @cached_property
    def _context(self) -> ssl.SSLContext:
        # Reading all certificate authorities takes a tenth of a second.
        return httpx2.create_ssl_context()


def _unavailable(detail: str) -> HTTPError:
    return HTTPError(503, detail, headers={"Retry-After": str(_RETRY_SECONDS)})
