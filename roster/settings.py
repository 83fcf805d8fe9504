"""The settings: environment variables, checked once, before anything else starts."""

import os
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from models.database.connections import TimeLimits
from models.database.urls import check_url
from models.oauth.lifetimes import Lifetimes
from models.quotas import Quotas
from roster import redis_client
from roster.environment import is_link, is_text
from roster.log_levels import read_levels
from roster.origins import check_origin, is_every, is_loopback, is_safe
from roster.setting_fields import SettingFields

DEVELOPMENT_SECRET_KEY = "development only: everybody knows this key"
# What clients send as a bearer token: RFC 6750 section 2.1 allows fewer characters, but such
# tokens are in use.
_SENDABLE = re.compile(r"[!-~]+")


class SettingsError(Exception):
    """A setting is wrong or missing; the text is one line that names it."""


def _wrong(name: str, sentence: str) -> PydanticCustomError:
    """Make the error of a rule over several settings, which names the one to change."""
    return PydanticCustomError(
        "roster_setting", "{name}: {sentence}", {"name": name, "sentence": sentence}
    )


class Settings(SettingFields):
    """What an operator chose, checked together."""

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str) -> str:
        """Refuse what is no database URL, without showing it: it may hold a password."""
        check_url(value)
        return value

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str) -> str:
        return check_origin(value) if value else value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(check_origin(part) for part in value)

    @field_validator("limits_url")
    @classmethod
    def _check_limits_url(cls, value: str) -> str:
        return redis_client.check_url(value) if value else value

    @field_validator("captcha_verify_url", "traces_url")
    @classmethod
    def _check_verify_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            is_usable = False
        if value and not is_usable:
            raise ValueError("must be an http or https URL")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _check_metrics_token(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not _SENDABLE.fullmatch(value.get_secret_value()):
            raise ValueError("must be visible ASCII without blanks, or no client can send it")
        return value

    @field_validator("log_level")
    @classmethod
    def _check_log_level(cls, value: str) -> str:
        read_levels(value)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Check what only shows when settings are seen together."""
        if self.captcha_verify_url and not self.captcha_secret.get_secret_value():
            raise _wrong("ROSTER_CAPTCHA_SECRET", "needed where ROSTER_CAPTCHA_VERIFY_URL is set")
        if self.captcha_verify_url and not self.captcha_site_key:
            raise _wrong("ROSTER_CAPTCHA_SITE_KEY", "needed where ROSTER_CAPTCHA_VERIFY_URL is set")
        if self.is_development:
            self._check_development()
        else:
            self._check_production()
        return self

    def _check_development(self) -> None:
        if not (is_loopback(self.host) or self.development_exposed):
            raise _wrong(
                "HOST",
                "development, with its well-known passwords, stays on the loopback"
                " (ROSTER_ENV=production, or ROSTER_DEVELOPMENT_EXPOSED=1 if you mean it)",
            )

    def _check_production(self) -> None:
        for name, sentence in self.production_mistakes():
            raise _wrong(name, sentence)

    def production_mistakes(self) -> Iterator[tuple[str, str]]:
        """Yield each setting with which production does not start, and why."""
        key = self.secret_key.get_secret_value()
        if len(key) < 16 or len({*key}) < 8 or key == DEVELOPMENT_SECRET_KEY:
            sentence = "production needs a random one of 16 characters or more"
            yield "ROSTER_SECRET_KEY", f"{sentence}, as `openssl rand -hex 32` prints"
        if not is_safe(self.origin) or (not self.issuer and is_every(self.host)):
            yield (
                "ROSTER_ISSUER",
                "production needs the https origin under which clients reach this server",
            )
        if self.trusted_proxies is None:
            yield (
                "ROSTER_TRUSTED_PROXIES",
                "production needs the number of proxies in front, 0 if there is none",
            )
        if not all(map(is_safe, self.cors_origins)):
            yield "ROSTER_CORS_ORIGINS", "production shares answers with https origins only"
        if self.captcha_verify_url and not is_safe(self.captcha_verify_url):
            yield "ROSTER_CAPTCHA_VERIFY_URL", "production needs an https URL"
        if 0 < len(self.metrics_token.get_secret_value()) < 16:
            yield (
                "ROSTER_METRICS_TOKEN",
                "production needs one of 16 characters or more, or none",
            )
        if self.workers > 1 and self.database_url.startswith("sqlite:"):
            yield "WORKERS", "SQLite serves one worker in production; use PostgreSQL for more"
        if self.workers > 1 and not self.limits_url:
            yield (
                "ROSTER_LIMITS_URL",
                "several workers need a Redis in which to count failed logins",
            )

    @property
    def is_development(self) -> bool:
        """Whether this is a development server, with its well-known users."""
        return self.environment == "development"

    @cached_property
    def origin(self) -> str:
        """The issuer: the origin under which the server is reached."""
        # Who listens at every address is reached at this one too.
        host = "127.0.0.1" if is_every(self.host) else self.host
        host = f"[{host}]" if ":" in host else host
        return self.issuer or f"http://{host}:{self.port}"

    @cached_property
    def lifetimes(self) -> Lifetimes:
        """How long codes and tokens live."""
        return Lifetimes(
            access=self.access_token_seconds,
            refresh_idle=self.refresh_token_idle_seconds,
            refresh_total=self.refresh_token_total_seconds,
            code=self.code_seconds,
        )

    @cached_property
    def quotas(self) -> Quotas:
        """How much one user, team or client may have."""
        return Quotas(
            teams=self.quota_teams,
            members=self.quota_members,
            clients=self.quota_clients,
            sessions=self.quota_sessions,
            grants=self.quota_grants,
        )

    @cached_property
    def log_levels(self) -> dict[str, int]:
        """The levels by the names of loggers; the empty name is for all others."""
        return read_levels(self.log_level)

    @property
    def logs_json(self) -> bool:
        """Whether log lines are JSON."""
        return self.log_format == "json" or (self.log_format == "auto" and not self.is_development)

    @property
    def database_limits(self) -> TimeLimits:
        """How long the database may keep a request waiting."""
        return TimeLimits(
            connect=self.database_connect_seconds,
            lock=self.database_lock_seconds,
            statement=self.database_statement_seconds,
        )

    @property
    def prepares(self) -> bool | None:
        """Whether PostgreSQL is to prepare statements; None has each connection find it out."""
        return {"auto": None, "on": True, "off": False}[self.prepared_statements]

    @property
    def signing_key(self) -> str:
        """The key that signs page cursors."""
        return self.secret_key.get_secret_value() or DEVELOPMENT_SECRET_KEY


def load(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    :raises SettingsError: with one line that names the wrong or missing setting, never its value.
    """
    found = [*_mistaken_names()]
    if found:
        raise SettingsError(found[0])
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_mistakes_of(error)[0][1]) from None


# What stands for a setting that is missing beside another one.
_INSTEAD = {"ROSTER_CAPTCHA_SECRET": SecretStr("missing"), "ROSTER_CAPTCHA_SITE_KEY": "missing"}


def examine() -> tuple[Settings, list[str]]:
    """Read the settings as far as they can be read; also return every mistake, one line each.

    What is wrong by itself has its default in what is returned. What production needs is not
    judged: see `Settings.production_mistakes`.
    """
    found = [*_mistaken_names()]
    # With which a development server accepts everything that is right by itself.
    chosen: dict[str, Any] = {"development_exposed": True}
    fields = Settings.model_fields
    if os.environ.get("ROSTER_ENV") == "production":
        chosen["environment"] = "development"
    current = None
    while current is None:
        try:
            current = Settings(**chosen)
        except ValidationError as error:
            for name, sentence in _mistakes_of(error):
                found.append(sentence)
                field = next(key for key, info in fields.items() if info.validation_alias == name)
                chosen[field] = _INSTEAD.get(name, fields[field].get_default())
    given = os.environ.get("ROSTER_ENV", "development")
    update = {"environment": "production"} if given == "production" else {}
    return current.model_copy(update=update), found


def _mistaken_names() -> Iterator[str]:
    """Yield a line for each variable that names no setting, or whose value is no text."""
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    for name in os.environ:
        if name.startswith("ROSTER_") and name not in known and not is_link(name, os.environ[name]):
            yield f"{name}: there is no such setting"
    for name in sorted(known & os.environ.keys()):
        if not is_text(os.environ[name]):
            yield f"{name}: this is no text in UTF-8"


def _mistakes_of(error: ValidationError) -> list[tuple[str, str]]:
    """Return each wrong setting with a line that names it, and never its value."""
    found = []
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        sentence = str(each["msg"]).removeprefix("Value error, ")
        name = sentence.partition(":")[0]
        if each["loc"]:
            field = Settings.model_fields.get(str(each["loc"][0]))
            name = str(field.validation_alias) if field else str(each["loc"][0])
            sentence = f"{name}: {sentence}"
        found.append((name, sentence))
    return found
