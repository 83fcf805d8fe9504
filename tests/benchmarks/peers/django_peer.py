"""Django OAuth Toolkit, a project in one file, behind gunicorn with threads.

It is set up as its documentation says; what is not needed is left out, such as the admin's pages.
Refresh tokens rotate, and one that comes back ends its family. The secrets of clients are stored
unhashed (`hash_client_secret=False`): by default PBKDF2 would be most of what is measured. Tokens
are stored as they are, as by default. Consent is remembered by live tokens: a user who has one for
the client is not asked again.
"""

import json
import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import django
from django.conf import settings

known = json.loads(os.environ["BENCH_AUTHORIZATION"])


def _database(url: str) -> dict[str, Any]:
    """Return Django's settings of a database; connections stay open, one for each thread."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path[1:],
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 10,
                "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
            },
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or parse_qs(parts.query).get("host", [""])[0],
        "PORT": parts.port or "",
        "CONN_MAX_AGE": None,
    }


_LOGIN = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in</title></head>
<body>
  <h1>Sign in</h1>
  <form method="post">{% csrf_token %}{{ form.as_p }}<button>Sign in</button></form>
</body>
</html>"""

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": _database(os.environ["DATABASE_URL"])},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    LOGIN_URL="/login",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": known["access_seconds"],
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
        "AUTHORIZATION_CODE_EXPIRE_SECONDS": known["code_seconds"],
        "PKCE_REQUIRED": True,
        "REFRESH_TOKEN_EXPIRE_SECONDS": known["refresh_seconds"],
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "REQUEST_APPROVAL_PROMPT": "auto",
        "ROTATE_REFRESH_TOKEN": True,
        "SCOPES": {scope: f"Access to {scope}" for scope in known["scopes"]},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_urlsafe(),
    SESSION_COOKIE_AGE=known["session_seconds"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "context_processors": ["django.template.context_processors.request"],
                "loaders": [
                    (
                        "django.template.loaders.cached.Loader",
                        [
                            (
                                "django.template.loaders.locmem.Loader",
                                {"registration/login.html": _LOGIN},
                            ),
                            "django.template.loaders.app_directories.Loader",
                        ],
                    )
                ],
            },
        }
    ],
    USE_TZ=True,
)
django.setup()

# Models can be imported only now.
from django.contrib.auth import (  # noqa: E402
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from oauth2_provider import views  # noqa: E402
from oauth2_provider.generators import generate_client_secret  # noqa: E402
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken  # noqa: E402

User = get_user_model()
SCOPE = " ".join(known["scopes"])


def _tokens(owners: list[Any], ends_in: int = known["access_seconds"]) -> list[Any]:
    client = Application.objects.get(client_id=known["web"])
    ends = timezone.now() + timedelta(seconds=ends_in)
    return list(
        AccessToken.objects.bulk_create(
            AccessToken(
                user=owner,
                application=client,
                token=generate_client_secret()[:30],
                expires=ends,
                scope=SCOPE,
            )
            for owner in owners
        )
    )


def _access(owners: list[Any]) -> list[str]:
    return [token.token for token in _tokens(owners)]


def _expired(owners: list[Any]) -> list[str]:
    return [token.token for token in _tokens(owners, -10)]


def _refresh(owners: list[Any]) -> list[str]:
    made = RefreshToken.objects.bulk_create(
        RefreshToken(
            user=token.user,
            application=token.application,
            access_token=token,
            token=generate_client_secret()[:30],
            token_family=uuid4(),
        )
        for token in _tokens(owners)
    )
    return [token.token for token in made]


def _codes(owners: list[Any]) -> list[str]:
    client = Application.objects.get(client_id=known["web"])
    made = Grant.objects.bulk_create(
        Grant(
            user=owner,
            application=client,
            code=generate_client_secret()[:30],
            expires=timezone.now() + timedelta(seconds=known["code_seconds"]),
            redirect_uri=known["redirect_uri"],
            scope=SCOPE,
            code_challenge=known["challenge"],
            code_challenge_method="S256",
        )
        for owner in owners
    )
    return [grant.code for grant in made]


def _sessions(owners: list[Any]) -> list[str]:
    """Sign users in; each has one live token of the client, as all of them are read."""
    RefreshToken.objects.all().delete()
    AccessToken.objects.all().delete()
    _tokens(owners)
    store = import_module(settings.SESSION_ENGINE).SessionStore
    made = []
    for owner in owners:
        session = store()
        session[SESSION_KEY] = str(owner.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = owner.get_session_auth_hash()
        session.save()
        made.append(f"sessionid={session.session_key}")
    return made


_MAKERS: dict[str, Callable[[list[Any]], list[str]]] = {
    "access": _access,
    "code": _codes,
    "expired": _expired,
    "refresh": _refresh,
    "session": _sessions,
}


@csrf_exempt  # type: ignore[untyped-decorator]
def prepare(request: HttpRequest) -> JsonResponse:
    """Make what the benchmark takes for granted."""
    users = list(User.objects.order_by("pk"))
    count = int(request.GET["count"])
    owners = [users[number % len(users)] for number in range(count)]
    return JsonResponse(_MAKERS[request.GET["what"]](owners), safe=False)


urlpatterns = [
    path(known["token_path"][1:], views.TokenView.as_view()),
    path(known["revoke_path"][1:], views.RevokeTokenView.as_view()),
    path(known["introspect_path"][1:], views.IntrospectTokenView.as_view()),
    path(known["authorize_path"][1:], views.AuthorizationView.as_view()),
    path("login", LoginView.as_view()),
    path("prepare", prepare),
]


def _fill() -> None:
    """Make the tables, and fill them, where that has not been done."""
    call_command("migrate", verbosity=0)
    if User.objects.exists():
        return
    password = make_password(known["password"])
    User.objects.bulk_create(User(username=name, password=password) for name in known["users"])
    for name, grant_type in (
        (known["web"], Application.GRANT_AUTHORIZATION_CODE),
        (known["service"], Application.GRANT_CLIENT_CREDENTIALS),
    ):
        Application.objects.create(
            client_id=name,
            name=name,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=grant_type,
            client_secret=known["secret"],
            hash_client_secret=False,
            redirect_uris=known["redirect_uri"],
        )


_fill()
app = get_wsgi_application()
