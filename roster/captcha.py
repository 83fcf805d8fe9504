"""The captcha at sign-up: judged by a `siteverify` service, or by the development key."""

import hmac
import logging
from dataclasses import dataclass

import httpx2

from models.errors import Forbidden
from roster.errors import Refusal
from roster.settings import Settings

DEVELOPMENT_KEY = "secret_key"
_TIMEOUT_SECONDS = 5.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Captcha:
    """Judge the keys that sign-up forms send.

    In production the key is the response token of a widget (reCAPTCHA, hCaptcha and Turnstile share
    the protocol): it is posted with the operator's secret to the service's `siteverify` URL. In
    development one key is right.
    """

    settings: Settings

    @property
    def site_key(self) -> str:
        """The public key with which a sign-up form shows the widget; empty without a captcha."""
        if self.settings.captcha == "off":
            return ""
        return self.settings.captcha_site_key or (
            DEVELOPMENT_KEY if self.settings.is_development else ""
        )

    def check(self, key: str | None) -> None:
        """Let a right key pass.

        :raises Forbidden: where the key is missing or wrong.
        :raises Refusal: 503, where the service that would know cannot be reached.
        """
        if self.settings.captcha == "on" and not (key and self._is_right(key)):
            raise Forbidden("The captcha is missing or wrong.")

    def _is_right(self, key: str) -> bool:
        if self.settings.captcha_verify_url:
            return self._ask_service(key)
        return self.settings.is_development and hmac.compare_digest(
            key.encode(), DEVELOPMENT_KEY.encode()
        )

    def _ask_service(self, key: str) -> bool:
        form = {"secret": self.settings.captcha_secret.get_secret_value(), "response": key}
        try:
            response = httpx2.post(
                self.settings.captcha_verify_url, data=form, timeout=_TIMEOUT_SECONDS
            )
            return response.raise_for_status().json()["success"] is True
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            _logger.warning(
                "ROSTER_CAPTCHA_VERIFY_URL: the service gave no verdict (%s).", type(error).__name__
            )
            raise Refusal(
                503, "The captcha cannot be checked just now.", headers={"Retry-After": "30"}
            ) from None
