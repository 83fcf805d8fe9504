"""The settings: environment variables, checked once, before anything else starts."""

import os
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.database.connections import TimeLimits
from models.database.urls import check_url
from models.quotas import Quotas
from roster.environment import is_link, is_text
from roster.origins import check_origin, is_every, is_loopback, is_safe

DEVELOPMENT_SECRET_KEY = "development only: everybody knows this key"


class SettingsError(Exception):
    """A setting is wrong or missing; the text is one line that names it."""


def _wrong(name: str, sentence: str) -> PydanticCustomError:
    """Make the error of a rule over several settings, which names the one to change."""
    return PydanticCustomError(
        "roster_setting", "{name}: {sentence}", {"name": name, "sentence": sentence}
    )


class Settings(BaseSettings):
    """What an operator can choose; every field is one environment variable."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", validation_alias="HOST", min_length=1)
    port: int = Field(5000, validation_alias="PORT", ge=1, le=65535)
    workers: int = Field(1, validation_alias="WORKERS", ge=1, le=256)
    database_url: str = Field("sqlite:///roster.db", validation_alias="DATABASE_URL")
    environment: Literal["development", "production"] = Field(
        "development", validation_alias="ROSTER_ENV"
    )
    development_exposed: bool = Field(False, validation_alias="ROSTER_DEVELOPMENT_EXPOSED")
    secret_key: SecretStr = Field(SecretStr(""), validation_alias="ROSTER_SECRET_KEY")
    issuer: str = Field("", validation_alias="ROSTER_ISSUER")
    signup: Literal["open", "approval", "closed"] = Field("open", validation_alias="ROSTER_SIGNUP")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="ROSTER_CORS_ORIGINS"
    )
    captcha: Literal["on", "off"] = Field("on", validation_alias="ROSTER_CAPTCHA")
    captcha_verify_url: str = Field("", validation_alias="ROSTER_CAPTCHA_VERIFY_URL")
    captcha_site_key: str = Field("", validation_alias="ROSTER_CAPTCHA_SITE_KEY")
    captcha_secret: SecretStr = Field(SecretStr(""), validation_alias="ROSTER_CAPTCHA_SECRET")
    docs_client_id: str = Field("", validation_alias="ROSTER_DOCS_CLIENT_ID")
    metrics_token: SecretStr = Field(SecretStr(""), validation_alias="ROSTER_METRICS_TOKEN")
    limits_url: str = Field("", validation_alias="ROSTER_LIMITS_URL")
    limit_window_seconds: int = Field(
        900, validation_alias="ROSTER_LIMIT_WINDOW_SECONDS", ge=1, le=86_400
    )
    limit_per_account_and_address: int = Field(
        10, validation_alias="ROSTER_LIMIT_PER_ACCOUNT_AND_ADDRESS", ge=1
    )
    limit_per_account: int = Field(200, validation_alias="ROSTER_LIMIT_PER_ACCOUNT", ge=1)
    limit_per_address: int = Field(300, validation_alias="ROSTER_LIMIT_PER_ADDRESS", ge=1)
    limit_per_client_and_address: int = Field(
        10, validation_alias="ROSTER_LIMIT_PER_CLIENT_AND_ADDRESS", ge=1
    )
    limit_captchas_per_address: int = Field(
        50, validation_alias="ROSTER_LIMIT_CAPTCHAS_PER_ADDRESS", ge=1
    )
    limit_members_added: int = Field(100, validation_alias="ROSTER_LIMIT_MEMBERS_ADDED", ge=1)
    most_captchas: int = Field(32, validation_alias="ROSTER_MOST_CAPTCHAS", ge=1, le=1000)
    queue: int = Field(1000, validation_alias="ROSTER_QUEUE", ge=1, le=100_000)
    hashing_queue: int = Field(100, validation_alias="ROSTER_HASHING_QUEUE", ge=1, le=100_000)
    trusted_proxies: int | None = Field(
        None, validation_alias="ROSTER_TRUSTED_PROXIES", ge=0, le=16
    )
    code_seconds: int = Field(60, validation_alias="ROSTER_CODE_SECONDS", ge=1, le=600)
    session_idle_seconds: int = Field(
        8 * 3600, validation_alias="ROSTER_SESSION_IDLE_SECONDS", ge=1, le=31_536_000
    )
    session_total_seconds: int = Field(
        7 * 86400, validation_alias="ROSTER_SESSION_TOTAL_SECONDS", ge=1, le=31_536_000
    )
    connections: int = Field(1000, validation_alias="ROSTER_CONNECTIONS", ge=1, le=1_000_000)
    idle_seconds: int = Field(5, validation_alias="ROSTER_IDLE_SECONDS", ge=1, le=3600)
    head_bytes: int = Field(65_536, validation_alias="ROSTER_HEAD_BYTES", ge=4096, le=1_048_576)
    headers: int = Field(100, validation_alias="ROSTER_HEADERS", ge=20, le=1000)
    head_seconds: int = Field(10, validation_alias="ROSTER_HEAD_SECONDS", ge=1, le=3600)
    body_seconds: int = Field(60, validation_alias="ROSTER_BODY_SECONDS", ge=1, le=3600)
    shutdown_seconds: int = Field(10, validation_alias="ROSTER_SHUTDOWN_SECONDS", ge=1, le=3600)
    database_connect_seconds: int = Field(
        5, validation_alias="ROSTER_DATABASE_CONNECT_SECONDS", ge=1, le=3600
    )
    database_lock_seconds: int = Field(
        5, validation_alias="ROSTER_DATABASE_LOCK_SECONDS", ge=1, le=3600
    )
    database_statement_seconds: int = Field(
        30, validation_alias="ROSTER_DATABASE_STATEMENT_SECONDS", ge=1, le=86_400
    )
    prepared_statements: Literal["auto", "on", "off"] = Field(
        "auto", validation_alias="ROSTER_PREPARED_STATEMENTS"
    )
    threads: int = Field(16, validation_alias="ROSTER_THREADS", ge=1, le=256)
    quota_teams: int = Field(1000, validation_alias="ROSTER_QUOTA_TEAMS", ge=1)
    quota_members: int = Field(1000, validation_alias="ROSTER_QUOTA_MEMBERS", ge=1)
    quota_clients: int = Field(100, validation_alias="ROSTER_QUOTA_CLIENTS", ge=1)
    quota_sessions: int = Field(100, validation_alias="ROSTER_QUOTA_SESSIONS", ge=1)
    quota_grants: int = Field(100, validation_alias="ROSTER_QUOTA_GRANTS", ge=1)
    access_token_seconds: int = Field(
        3600, validation_alias="ROSTER_ACCESS_TOKEN_SECONDS", ge=1, le=31_536_000
    )
    refresh_token_idle_seconds: int = Field(
        14 * 86400, validation_alias="ROSTER_REFRESH_TOKEN_IDLE_SECONDS", ge=1, le=315_360_000
    )
    refresh_token_total_seconds: int = Field(
        90 * 86400, validation_alias="ROSTER_REFRESH_TOKEN_TOTAL_SECONDS", ge=1, le=315_360_000
    )

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
        try:
            parts = urlsplit(value)
            is_usable = parts.scheme in {"redis", "rediss", "redis+unix"} and parts.port != 0
        except ValueError:
            is_usable = False
        if value and not is_usable:
            raise ValueError("must be a Redis URL such as redis://localhost:6379")
        return value

    @field_validator("captcha_verify_url")
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
        key = self.secret_key.get_secret_value()
        if len(key) < 16 or len({*key}) < 8 or key == DEVELOPMENT_SECRET_KEY:
            raise _wrong(
                "ROSTER_SECRET_KEY",
                "production needs a random one of 16 characters or more, as `openssl rand -hex 32`"
                " prints",
            )
        if not is_safe(self.origin) or (not self.issuer and is_every(self.host)):
            raise _wrong(
                "ROSTER_ISSUER",
                "production needs the https origin under which clients reach this server",
            )
        if self.trusted_proxies is None:
            raise _wrong(
                "ROSTER_TRUSTED_PROXIES",
                "production needs the number of proxies in front, 0 if there is none",
            )
        if not all(map(is_safe, self.cors_origins)):
            raise _wrong("ROSTER_CORS_ORIGINS", "production shares answers with https origins only")
        if self.captcha_verify_url and not is_safe(self.captcha_verify_url):
            raise _wrong("ROSTER_CAPTCHA_VERIFY_URL", "production needs an https URL")
        if 0 < len(self.metrics_token.get_secret_value()) < 16:
            raise _wrong(
                "ROSTER_METRICS_TOKEN", "production needs one of 16 characters or more, or none"
            )
        self._check_workers()

    def _check_workers(self) -> None:
        if self.workers > 1 and self.database_url.startswith("sqlite:"):
            raise _wrong(
                "WORKERS", "SQLite serves one worker in production; use PostgreSQL for more"
            )
        if self.workers > 1 and not self.limits_url:
            raise _wrong(
                "ROSTER_LIMITS_URL", "several workers need a Redis in which to count failed logins"
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
    def quotas(self) -> Quotas:
        """How much one user, team or client may have."""
        return Quotas(
            teams=self.quota_teams,
            members=self.quota_members,
            clients=self.quota_clients,
            sessions=self.quota_sessions,
            grants=self.quota_grants,
        )

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
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    for name in os.environ:
        if name.startswith("ROSTER_") and name not in known and not is_link(name, os.environ[name]):
            raise SettingsError(f"{name}: there is no such setting")
    for name in known & os.environ.keys():
        if not is_text(os.environ[name]):
            raise SettingsError(f"{name}: this is no text in UTF-8")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        sentence = str(first["msg"]).removeprefix("Value error, ")
        if first["loc"]:
            field = Settings.model_fields.get(str(first["loc"][0]))
            name = str(field.validation_alias) if field else str(first["loc"][0])
            sentence = f"{name}: {sentence}"
        raise SettingsError(sentence) from None
