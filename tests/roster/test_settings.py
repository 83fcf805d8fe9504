"""Settings are read strictly, and a wrong one is named in one line."""

import pytest

from roster import settings
from roster.settings import Settings, SettingsError

PRODUCTION = {"ROSTER_ENV": "production", "ROSTER_SECRET_KEY": "k" * 32}


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
        ({**PRODUCTION, "ROSTER_ISSUER": "http://example.com"}, "ROSTER_ISSUER"),
        ({**PRODUCTION, "HOST": "0.0.0.0"}, "ROSTER_ISSUER"),
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
    assert found.signing_key == "k" * 32


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
    ],
)
def test_the_issuer_follows_the_host(
    monkeypatch: pytest.MonkeyPatch, host: str, origin: str
) -> None:
    assert load(monkeypatch, HOST=host).origin == origin


def test_origins_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch, ROSTER_CORS_ORIGINS="https://a.example, http://[::1]:8080,")

    assert found.cors_origins == ("https://a.example", "http://[::1]:8080")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch, **PRODUCTION, ROSTER_METRICS_TOKEN="canary-token")

    assert "canary-token" not in repr(found)
    assert "k" * 32 not in repr(found)
