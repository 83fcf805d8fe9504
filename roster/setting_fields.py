"""The fields of the settings: one environment variable each, with what it is for."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class SettingFields(BaseSettings):
    """What an operator can choose, each value checked by itself."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    host: str = Field("127.0.0.1", validation_alias="HOST", min_length=1)
    """The address on which to listen; :: is every one."""
    port: int = Field(5000, validation_alias="PORT", ge=1, le=65535)
    """The port on which to listen."""
    workers: int = Field(1, validation_alias="WORKERS", ge=1, le=256)
    """Processes that serve; more than one need PostgreSQL in production."""
    database_url: str = Field("sqlite:///roster.db", validation_alias="DATABASE_URL")
    """The database: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."""
    environment: Literal["development", "production"] = Field(
        "development", validation_alias="ROSTER_ENV"
    )
    """development, with well-known users, or production."""
    development_exposed: bool = Field(False, validation_alias="ROSTER_DEVELOPMENT_EXPOSED")
    """1 lets a development server listen off the loopback."""
    secret_key: SecretStr = Field(SecretStr(""), validation_alias="ROSTER_SECRET_KEY")
    """16 random characters or more; production needs it."""
    issuer: str = Field("", validation_alias="ROSTER_ISSUER")
    """The origin under which clients reach the server; by default http://HOST:PORT."""
    signup: Literal["open", "approval", "closed"] = Field("open", validation_alias="ROSTER_SIGNUP")
    """open; approval: an admin activates each account; closed: only admins create users."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="ROSTER_CORS_ORIGINS"
    )
    """Origins whose scripts may use the API, separated by commas."""
    captcha: Literal["on", "off"] = Field("on", validation_alias="ROSTER_CAPTCHA")
    """on, or off for a sign-up without a captcha."""
    captcha_verify_url: str = Field("", validation_alias="ROSTER_CAPTCHA_VERIFY_URL")
    """The siteverify service: of reCAPTCHA, hCaptcha, Turnstile."""
    captcha_site_key: str = Field("", validation_alias="ROSTER_CAPTCHA_SITE_KEY")
    """The public key at the captcha service."""
    captcha_secret: SecretStr = Field(SecretStr(""), validation_alias="ROSTER_CAPTCHA_SECRET")
    """The secret at the captcha service."""
    docs_client_id: str = Field("", validation_alias="ROSTER_DOCS_CLIENT_ID")
    """The documentation page's OAuth client in production."""
    extend: str = Field("", validation_alias="ROSTER_EXTEND")
    """MODULE:FUNCTION, called with the Flask app at the start to extend it."""
    log_format: Literal["auto", "json", "text", "none"] = Field(
        "auto", validation_alias="ROSTER_LOG_FORMAT"
    )
    """json, text, auto (json in production), or none: the logging of the process is left alone."""
    log_level: str = Field("info", validation_alias="ROSTER_LOG_LEVEL")
    """The least level of log lines; also by logger: warning,roster.http=info."""
    access_log: Literal["on", "off"] = Field("on", validation_alias="ROSTER_ACCESS_LOG")
    """on: a log line for each request; or off."""
    traces_url: str = Field("", validation_alias="ROSTER_TRACES_URL")
    """The OTLP/HTTP address of a collector of traces, such as http://127.0.0.1:4318/v1/traces."""
    traces_share: float = Field(1.0, validation_alias="ROSTER_TRACES_SHARE", ge=0, le=1)
    """The share of requests that are traced, 0 to 1; a traceparent header decides for its own."""
    metrics_token: SecretStr = Field(SecretStr(""), validation_alias="ROSTER_METRICS_TOKEN")
    """The bearer token for /metrics, which is closed without it in production."""
    limits_url: str = Field("", validation_alias="ROSTER_LIMITS_URL")
    """The Redis, or its Sentinels, in which several workers count; by default in memory."""
    limit_window_seconds: int = Field(
        900, validation_alias="ROSTER_LIMIT_WINDOW_SECONDS", ge=1, le=86_400
    )
    """The time in which failed attempts are counted."""
    limit_per_account_and_address: int = Field(
        10, validation_alias="ROSTER_LIMIT_PER_ACCOUNT_AND_ADDRESS", ge=1
    )
    """Failed logins for an account from one address in that time."""
    limit_per_account: int = Field(200, validation_alias="ROSTER_LIMIT_PER_ACCOUNT", ge=1)
    """Failed logins for an account in that time."""
    limit_per_address: int = Field(300, validation_alias="ROSTER_LIMIT_PER_ADDRESS", ge=1)
    """Failed logins from an address in that time."""
    limit_per_client_and_address: int = Field(
        10, validation_alias="ROSTER_LIMIT_PER_CLIENT_AND_ADDRESS", ge=1
    )
    """Failed logins of a client from one address in that time."""
    limit_captchas_per_address: int = Field(
        50, validation_alias="ROSTER_LIMIT_CAPTCHAS_PER_ADDRESS", ge=1
    )
    """Wrong captchas from an address in that time."""
    limit_members_added: int = Field(100, validation_alias="ROSTER_LIMIT_MEMBERS_ADDED", ge=1)
    """Members that a user may add in an hour."""
    rate_per_address: int = Field(60_000, validation_alias="ROSTER_RATE_PER_ADDRESS", ge=0)
    """Requests from an address in a minute; 0 for no limit."""
    rate_per_token: int = Field(30_000, validation_alias="ROSTER_RATE_PER_TOKEN", ge=0)
    """Requests with the tokens of a grant, or of a service, in a minute; 0 for no limit."""
    rate_without_redis: Literal["open", "closed"] = Field(
        "open", validation_alias="ROSTER_RATE_WITHOUT_REDIS"
    )
    """Where the Redis does not answer: requests pass uncounted, or are answered 503."""
    most_captchas: int = Field(32, validation_alias="ROSTER_MOST_CAPTCHAS", ge=1, le=1000)
    """Captchas that are verified at once."""
    queue: int = Field(1000, validation_alias="ROSTER_QUEUE", ge=1, le=100_000)
    """Requests that may wait for a thread; more are answered 503."""
    hashing_queue: int = Field(100, validation_alias="ROSTER_HASHING_QUEUE", ge=1, le=100_000)
    """Requests that may wait for a password hash; more are answered 503."""
    trusted_proxies: int | None = Field(
        None, validation_alias="ROSTER_TRUSTED_PROXIES", ge=0, le=16
    )
    """Proxies in front that add to X-Forwarded-For; production needs it, 0 for none."""
    code_seconds: int = Field(60, validation_alias="ROSTER_CODE_SECONDS", ge=1, le=600)
    """How long an authorization code is good."""
    session_idle_seconds: int = Field(
        8 * 3600, validation_alias="ROSTER_SESSION_IDLE_SECONDS", ge=1, le=31_536_000
    )
    """How long a browser's login lasts without use."""
    session_total_seconds: int = Field(
        7 * 86400, validation_alias="ROSTER_SESSION_TOTAL_SECONDS", ge=1, le=31_536_000
    )
    """How long a browser's login lasts at most."""
    connections: int = Field(1000, validation_alias="ROSTER_CONNECTIONS", ge=1, le=1_000_000)
    """Connections at once per worker, as far as its open files allow."""
    # Above the times after which clients and proxies close (httpx 5, nginx 60): a request that is
    # sent while the server closes is lost.
    idle_seconds: int = Field(75, validation_alias="ROSTER_IDLE_SECONDS", ge=1, le=3600)
    """How long a connection is kept for the next request, unless another needs its place."""
    head_bytes: int = Field(65_536, validation_alias="ROSTER_HEAD_BYTES", ge=4096, le=1_048_576)
    """How large a request's head may be."""
    headers: int = Field(100, validation_alias="ROSTER_HEADERS", ge=20, le=1000)
    """How many headers a request may have."""
    head_seconds: int = Field(10, validation_alias="ROSTER_HEAD_SECONDS", ge=1, le=3600)
    """How long a request's head may take to arrive."""
    body_seconds: int = Field(60, validation_alias="ROSTER_BODY_SECONDS", ge=1, le=3600)
    """How long a request's body may take to arrive."""
    shutdown_seconds: int = Field(10, validation_alias="ROSTER_SHUTDOWN_SECONDS", ge=1, le=3600)
    """From SIGTERM to the end at the latest."""
    database_connect_seconds: int = Field(
        5, validation_alias="ROSTER_DATABASE_CONNECT_SECONDS", ge=1, le=3600
    )
    """How long PostgreSQL may keep a request waiting for a connection."""
    database_lock_seconds: int = Field(
        5, validation_alias="ROSTER_DATABASE_LOCK_SECONDS", ge=1, le=3600
    )
    """How long PostgreSQL may keep a request waiting for a lock."""
    database_statement_seconds: int = Field(
        30, validation_alias="ROSTER_DATABASE_STATEMENT_SECONDS", ge=1, le=86_400
    )
    """How long a statement on PostgreSQL may take."""
    prepared_statements: Literal["auto", "on", "off"] = Field(
        "auto", validation_alias="ROSTER_PREPARED_STATEMENTS"
    )
    """on, off, or auto: each connection finds out whether it can prepare them."""
    threads: int = Field(16, validation_alias="ROSTER_THREADS", ge=1, le=256)
    """Requests at once per worker, each with a connection to the database."""
    purge_hours: int = Field(1, validation_alias="ROSTER_PURGE_HOURS", ge=0, le=168)
    """Hours between two deletions of what has expired; 0 for none by the server."""
    audit_days: int = Field(365, validation_alias="ROSTER_AUDIT_DAYS", ge=1, le=36_500)
    """How long audit events are kept."""
    quota_teams: int = Field(1000, validation_alias="ROSTER_QUOTA_TEAMS", ge=1)
    """Teams that a user may lead."""
    quota_members: int = Field(1000, validation_alias="ROSTER_QUOTA_MEMBERS", ge=1)
    """Members that a team may have."""
    quota_clients: int = Field(100, validation_alias="ROSTER_QUOTA_CLIENTS", ge=1)
    """Clients that a user may have."""
    quota_sessions: int = Field(100, validation_alias="ROSTER_QUOTA_SESSIONS", ge=1)
    """Logins in browsers that a user may have; the oldest ends for a new one."""
    quota_grants: int = Field(100, validation_alias="ROSTER_QUOTA_GRANTS", ge=1)
    """Grants between a user and a client; the oldest ends for a new one."""
    access_token_seconds: int = Field(
        3600, validation_alias="ROSTER_ACCESS_TOKEN_SECONDS", ge=1, le=31_536_000
    )
    """How long an access token is good."""
    refresh_token_idle_seconds: int = Field(
        14 * 86400, validation_alias="ROSTER_REFRESH_TOKEN_IDLE_SECONDS", ge=1, le=315_360_000
    )
    """How long a refresh token is good."""
    refresh_token_total_seconds: int = Field(
        90 * 86400, validation_alias="ROSTER_REFRESH_TOKEN_TOTAL_SECONDS", ge=1, le=315_360_000
    )
    """How long tokens can be refreshed after the login."""
