"""Settings are read strictly, and a wrong one is named in one line."""

import pytest

from roster import settings
from roster.settings import DEVELOPMENT_SECRET_KEY, Settings, SettingsError
from tests.live import PRODUCTION


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings.load()


def test_a_development_server_needs_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch)

    assert found.is_development
    assert found.origin == "http://127.0.0.1:5000"
    assert found.database_url == "sqlite:///roster.db"
    assert found.workers == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "0"),
        ("WORKERS", "0"),
        ("HOST", ""),
        ("HOST", "0.0.0.0"),
        ("HOST", "example.com"),
        ("DATABASE_URL", "mysql://u:sesame@h/d"),
        ("DATABASE_URL", "sesame"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///file:sesame.db"),
        ("DATABASE_URL", "sqlite:///file:sesame?mode=memory&uri=true"),
        ("DATABASE_URL", "sqlite:///sesame.db?uri=true"),
        ("DATABASE_URL", "sqlite:///sesame.db?vfs=memdb"),
        ("DATABASE_URL", "sqlite+aiosqlite:///sesame.db"),
        ("DATABASE_URL", "sqlite+pysqlcipher://:sesame@/roster.db"),
        ("DATABASE_URL", "postgresql+asyncpg://u:sesame@h/d"),
        ("DATABASE_URL", "postgresql+psycopg2://u:sesame@h/d"),
        ("DATABASE_URL", "postgresql+pg8000://u:sesame@h/d"),
        ("DATABASE_URL", "postgres+psycopg://u:sesame@h/d"),
        ("DATABASE_URL", "postgresql://u:sesame@h:sesame/d"),
        ("ROSTER_TRUSTED_PROXIES", ""),
        ("ROSTER_TRUSTED_PROXIES", "-1"),
        ("ROSTER_CONNECTIONS", "0"),
        ("ROSTER_HEAD_SECONDS", "0"),
        ("ROSTER_BODY_SECONDS", "soon"),
        ("ROSTER_SHUTDOWN_SECONDS", "0"),
        ("ROSTER_IDLE_SECONDS", "0"),
        ("ROSTER_METRICS_TOKEN", "sesame-for-the-metrics-é"),
        ("ROSTER_METRICS_TOKEN", "sesame for the metrics"),
        ("ROSTER_METRICS_TOKEN", "sesame-for-the-metrics\n"),
        ("ROSTER_METRICS_TOKEN", "sesame-for-the-metrics\x7f"),
        ("ROSTER_METRICS_TOKEN", " "),
        ("ROSTER_LIMITS_URL", "http://sesame"),
        ("ROSTER_LIMITS_URL", "redis://127.0.0.1:sesame"),
        ("ROSTER_LIMITS_URL", "redis://[::1"),
        ("ROSTER_LIMITS_URL", "redis://:sesame@127.0.0.1/x"),
        ("ROSTER_LIMITS_URL", "rediss://:sesame@127.0.0.1?db=x"),
        ("DATABASE_URL", "postgresql://u:sesame@h/d\udcff"),
        ("ROSTER_HEAD_BYTES", "100"),
        ("ROSTER_HEADERS", "0"),
        ("ROSTER_DATABASE_CONNECT_SECONDS", "0"),
        ("ROSTER_DATABASE_LOCK_SECONDS", "0"),
        ("ROSTER_DATABASE_STATEMENT_SECONDS", "0"),
        ("ROSTER_ENV", "staging"),
        ("ROSTER_SIGNUP", "maybe"),
        ("ROSTER_CAPTCHA", "perhaps"),
        ("ROSTER_CAPTCHA_VERIFY_URL", "ftp://example.com"),
        ("ROSTER_CAPTCHA_VERIFY_URL", "https://"),
        ("ROSTER_CAPTCHA_VERIFY_URL", "https://example.com:port/"),
        ("ROSTER_CAPTCHA_VERIFY_URL", "https://[::1/"),
        ("ROSTER_ISSUER", "https://example.com/"),
        ("ROSTER_ISSUER", "https://example.com/api"),
        ("ROSTER_ISSUER", "https://example.com?a=b"),
        ("ROSTER_ISSUER", "https://user@example.com"),
        ("ROSTER_ISSUER", "https://example.com:port"),
        ("ROSTER_ISSUER", "example.com"),
        ("ROSTER_CORS_ORIGINS", "https://a.example, b.example"),
        ("ROSTER_CORS_ORIGINS", "*"),
        ("ROSTER_ISSUER", "https://example.com#a"),
        ("ROSTER_ACCESS_TOKEN_SECONDS", "0"),
        ("ROSTER_CODE_SECONDS", "601"),
        ("ROSTER_THREADS", "many"),
        ("ROSTER_QUEUE", "0"),
        ("ROSTER_HASHING_QUEUE", "0"),
        ("ROSTER_MOST_CAPTCHAS", "0"),
        ("ROSTER_LIMIT_MEMBERS_ADDED", "none"),
        ("ROSTER_SINGUP", "closed"),
        ("ROSTER_PORT", "5000"),
        ("ROSTER_HOST", "127.0.0.1"),
        ("ROSTER_METRICS_PORT", "9000"),
        ("ROSTER_SERVICE", "roster"),
        ("ROSTER_PORTS", "tcp://10.0.0.1:80"),
        ("ROSTER_", ""),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load(monkeypatch, **{name: value})

    line = str(error.value)
    assert line.startswith(f"{name}: ")
    assert "\n" not in line
    assert "sesame" not in line


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"ROSTER_ENV": "production"}, "ROSTER_SECRET_KEY"),
        ({**PRODUCTION, "ROSTER_SECRET_KEY": "short"}, "ROSTER_SECRET_KEY"),
        ({**PRODUCTION, "ROSTER_SECRET_KEY": DEVELOPMENT_SECRET_KEY}, "ROSTER_SECRET_KEY"),
        ({**PRODUCTION, "ROSTER_SECRET_KEY": " " * 32}, "ROSTER_SECRET_KEY"),
        ({**PRODUCTION, "ROSTER_SECRET_KEY": "abcdefg" * 10}, "ROSTER_SECRET_KEY"),
        (
            {key: PRODUCTION[key] for key in ("ROSTER_ENV", "ROSTER_SECRET_KEY")},
            "ROSTER_TRUSTED_PROXIES",
        ),
        ({**PRODUCTION, "ROSTER_METRICS_TOKEN": "a"}, "ROSTER_METRICS_TOKEN"),
        ({**PRODUCTION, "ROSTER_METRICS_TOKEN": "fifteen-letters"}, "ROSTER_METRICS_TOKEN"),
        (
            {**PRODUCTION, "ROSTER_CORS_ORIGINS": "https://a.example,http://b.example"},
            "ROSTER_CORS_ORIGINS",
        ),
        (
            {
                **PRODUCTION,
                "ROSTER_CAPTCHA_VERIFY_URL": "http://c.example/siteverify",
                "ROSTER_CAPTCHA_SECRET": "s",
                "ROSTER_CAPTCHA_SITE_KEY": "k",
            },
            "ROSTER_CAPTCHA_VERIFY_URL",
        ),
        ({**PRODUCTION, "ROSTER_ISSUER": "http://example.com"}, "ROSTER_ISSUER"),
        ({**PRODUCTION, "HOST": "0.0.0.0"}, "ROSTER_ISSUER"),
        ({**PRODUCTION, "HOST": "::"}, "ROSTER_ISSUER"),
        ({**PRODUCTION, "WORKERS": "2"}, "WORKERS"),
        (
            {**PRODUCTION, "WORKERS": "2", "DATABASE_URL": "postgresql://h/d"},
            "ROSTER_LIMITS_URL",
        ),
        ({"ROSTER_CAPTCHA_VERIFY_URL": "https://c.example/siteverify"}, "ROSTER_CAPTCHA_SECRET"),
        (
            {
                "ROSTER_CAPTCHA_VERIFY_URL": "https://c.example/siteverify",
                "ROSTER_CAPTCHA_SECRET": "s",
            },
            "ROSTER_CAPTCHA_SITE_KEY",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load(monkeypatch, **environment)


def test_production_needs_a_secret_key_alone_on_the_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = load(monkeypatch, **PRODUCTION)

    assert not found.is_development
    assert found.signing_key == PRODUCTION["ROSTER_SECRET_KEY"]


def test_production_may_use_its_own_loopback_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(
        monkeypatch,
        **PRODUCTION,
        ROSTER_CORS_ORIGINS="http://localhost:8080,https://a.example",
        ROSTER_CAPTCHA_VERIFY_URL="http://127.0.0.1:9000/siteverify",
        ROSTER_CAPTCHA_SECRET="s",
        ROSTER_CAPTCHA_SITE_KEY="k",
        ROSTER_METRICS_TOKEN="sixteen-letters.",
    )

    assert found.cors_origins == ("http://localhost:8080", "https://a.example")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///roster.db",
        "sqlite:////data/roster.db",
        "postgresql://u:p@h/d",
        "postgres://u:p@h/d",
        "postgresql+psycopg://u:p@h/d",
        "postgresql://postgres:@/name?host=/run/pg",
        "postgresql://u@/d?host=a:5432&host=b:5433",
    ],
)
def test_every_form_of_our_databases_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert load(monkeypatch, DATABASE_URL=url).database_url == url


def test_production_behind_tls_may_listen_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(
        monkeypatch,
        **PRODUCTION,
        HOST="0.0.0.0",
        WORKERS="4",
        DATABASE_URL="postgresql://postgres:@/name?host=/run/pg",
        ROSTER_ISSUER="https://api.example.com",
        ROSTER_LIMITS_URL="redis://127.0.0.1:6379",
    )

    assert found.origin == "https://api.example.com"


def test_development_may_be_exposed_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch, HOST="0.0.0.0", ROSTER_DEVELOPMENT_EXPOSED="1")

    assert found.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://localhost:5000"),
        ("127.0.0.2", "http://127.0.0.2:5000"),
        ("::1", "http://[::1]:5000"),
        ("0.0.0.0", "http://127.0.0.1:5000"),
        ("::", "http://127.0.0.1:5000"),
    ],
)
def test_the_issuer_follows_the_host(
    monkeypatch: pytest.MonkeyPatch, host: str, origin: str
) -> None:
    assert load(monkeypatch, HOST=host, ROSTER_DEVELOPMENT_EXPOSED="1").origin == origin


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROSTER_SERVICE_HOST", "10.0.0.1"),
        ("ROSTER_SERVICE_PORT", "80"),
        ("ROSTER_SERVICE_PORT_HTTP", "80"),
        ("ROSTER_PORT", "tcp://10.0.0.1:80"),
        ("ROSTER_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("ROSTER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("ROSTER_PORT_80_TCP_PORT", "80"),
        ("ROSTER_PORT_80_TCP_PROTO", "tcp"),
        ("ROSTER_PORT_53_UDP_ADDR", "10.0.0.1"),
        ("ROSTER_PORT_9_SCTP_PROTO", "sctp"),
        ("ROSTER_PORT_80_TCP_START", "tcp://172.17.0.2:80"),
        ("ROSTER_DB_SERVICE_HOST", "10.0.0.2"),
        ("ROSTER_DB_READ_SERVICE_PORT_PG_MAIN", "5432"),
        ("ROSTER_DB_PORT", "tcp://10.0.0.2:5432"),
        ("ROSTER_DB_PORT_5432_TCP_ADDR", "10.0.0.2"),
        ("ROSTER_NAME", "/web/roster"),
        ("ROSTER_DB_NAME", "/web/roster-db"),
        ("ROSTER_ENV_PATH", "/usr/bin"),
        ("ROSTER_DB_ENV_POSTGRES_PASSWORD", "sesame"),
    ],
)
def test_what_containers_get_for_others_of_such_a_name_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert load(monkeypatch, **{name: value}).is_development


@pytest.mark.parametrize("token", ["", "a.b_c~d+e/f-0123==", "of!others'own:kind#16"])
def test_a_token_that_clients_can_send_is_taken(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    found = load(monkeypatch, **PRODUCTION, ROSTER_METRICS_TOKEN=token)

    assert found.metrics_token.get_secret_value() == token


def test_origins_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch, ROSTER_CORS_ORIGINS="https://a.example, http://[::1]:8080,")

    assert found.cors_origins == ("https://a.example", "http://[::1]:8080")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch, **PRODUCTION, ROSTER_METRICS_TOKEN="canary-token-of-metrics")

    assert "canary-token" not in repr(found)
    assert PRODUCTION["ROSTER_SECRET_KEY"] not in repr(found)
