import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from oauthlib.oauth2 import (
    BearerToken,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    ResourceOwnerPasswordCredentialsGrant,
    RevocationEndpoint,
    TokenEndpoint,
)
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session, sessionmaker

from models import Caller, Client, Grant, Token, TokenStore, User, accounts
from models.database.base import now
from models.errors import OAuthError
from models.oauth import bearer
from models.oauth.client import PUBLIC
from models.oauth.lifetimes import Lifetimes
from models.oauth.token import ACCESS, REFRESH, digest, generate
from tests.models.conftest import GuardedSlots
from tests.models.factories import (
    HOUR,
    PASSWORD,
    SCOPES,
    Transaction,
    acting,
    make_client,
    make_user,
    patched,
    race,
)
from tests.statements import recorded

URI = "https://server.example/token"
ALL = " ".join(SCOPES)
DAY = timedelta(days=1)


class Answer:
    """What an endpoint answered; the transaction ended as the server would end it."""

    def __init__(self, store: TokenStore, body: str, status: int) -> None:
        self.consequence = store.consequence
        self.status = status
        self.fields: dict[str, Any] = json.loads(body) if body else {}
        if status == 200 or store.consequence:
            store.database.session.commit()
        else:
            store.database.session.rollback()

    @property
    def error(self) -> str | None:
        return self.fields.get("error")

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


def ask(session: Session, lifetimes: Lifetimes | None = None, /, **form: str) -> Answer:
    """Send a form to oauthlib's token endpoint over a token store."""
    store = TokenStore(Transaction(session), lifetimes)
    grants: dict[str, Any] = {
        "password": ResourceOwnerPasswordCredentialsGrant(store),
        "refresh_token": RefreshTokenGrant(store),
        "client_credentials": ClientCredentialsGrant(store),
    }
    bearer: Any = BearerToken(store, token_generator=generate)
    endpoint = TokenEndpoint("password", bearer, grants)
    _, body, status = endpoint.create_token_response(URI, "POST", form, {})
    return Answer(store, str(body), int(status))


def log_in(session: Session, client: Client, /, **form: str) -> Answer:
    """Ask by the password grant as a public client."""
    values = {
        "grant_type": "password",
        "client_id": client.client_id,
        "username": "anna",
        "password": PASSWORD,
    }
    return ask(session, **(values | form))


def refresh(session: Session, client: Client, token: str, /, **form: str) -> Answer:
    """Ask by the refresh token grant as a public client."""
    values = {
        "grant_type": "refresh_token",
        "client_id": client.client_id,
        "refresh_token": token,
    }
    return ask(session, **(values | form))


def serve(session: Session, client: Client, secret: str, /, **form: str) -> Answer:
    """Ask by the client credentials grant."""
    values = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": secret,
    }
    return ask(session, **(values | form))


def revoke(session: Session, client: Client, token: str, /, **form: str) -> Answer:
    """Send a token to oauthlib's revocation endpoint as a public client."""
    store = TokenStore(Transaction(session))
    sent: Any = {"client_id": client.client_id, "token": token} | form
    _, body, status = RevocationEndpoint(store).create_revocation_response(URI, "POST", sent, {})
    return Answer(store, str(body), int(status))


def lives(session: Session, token: str) -> bool:
    """Tell whether an access token works."""
    return bearer.caller_of(session.connection(), token) is not None


def stored(session: Session, token: str) -> Token:
    return session.scalars(
        select(Token).where(Token.hash == digest(token)).execution_options(populate_existing=True)
    ).one()


def age(session: Session, token: str, by: timedelta) -> None:
    """Let a token be older than it is."""
    row = stored(session, token)
    row.expires_at -= by
    session.commit()


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def app(session: Session) -> Client:
    """A public client without a secret."""
    return make_client(session, client_type=PUBLIC)[0]


@pytest.fixture
def other_app(session: Session) -> Client:
    return make_client(session, client_type=PUBLIC)[0]


@pytest.fixture
def confidential(session: Session) -> tuple[Client, str]:
    return make_client(session)


class TestClientAuthentication:
    @pytest.mark.usefixtures("anna")
    def test_a_confidential_client_needs_its_secret(
        self, session: Session, confidential: tuple[Client, str]
    ) -> None:
        client, secret = confidential
        assert log_in(session, client, client_secret=secret).status == 200
        for form in ({}, {"client_secret": ""}, {"client_secret": "wrong"}):
            answer = log_in(session, client, **form)
            assert (answer.status, answer.error) == (401, "invalid_client")

    @pytest.mark.usefixtures("anna")
    def test_a_public_client_needs_its_id_alone(self, session: Session, app: Client) -> None:
        assert log_in(session, app).status == 200
        assert log_in(session, app, client_secret="").status == 200

    @pytest.mark.usefixtures("anna")
    def test_a_secret_that_is_sent_is_checked(self, session: Session, app: Client) -> None:
        assert log_in(session, app, client_secret="any").error == "invalid_client"
        client, secret = make_client(session, client_type=PUBLIC, with_secret=True)
        assert log_in(session, client, client_secret="wrong").error == "invalid_client"
        for right in ("", secret):
            assert log_in(session, client, client_secret=right).status == 200

    @pytest.mark.parametrize("client_id", ["", "unknown", "an\0id", "\ud800"])
    def test_an_unknown_client_is_refused_before_any_password(
        self, session: Session, hashes: GuardedSlots, app: Client, client_id: str
    ) -> None:
        answer = log_in(session, app, client_id=client_id)
        assert (answer.status, answer.error) == (401, "invalid_client")
        assert hashes.count == 0

    def test_no_client_at_all_is_refused(self, session: Session) -> None:
        answer = ask(session, grant_type="password", username="anna", password=PASSWORD)
        assert (answer.status, answer.error) == (401, "invalid_client")

    @pytest.mark.parametrize("asking", [log_in, refresh, serve])
    def test_a_client_may_only_use_its_grants(
        self,
        session: Session,
        hashes: GuardedSlots,
        asking: Callable[..., Answer],
    ) -> None:
        client, secret = make_client(session, grant_types=["authorization_code"])
        arguments = {log_in: (), refresh: ("token",), serve: (secret,)}[asking]
        answer = asking(session, client, *arguments, client_secret=secret)
        assert (answer.status, answer.error) == (400, "unauthorized_client")
        assert hashes.count == 0


class TestPasswordGrant:
    def test_the_answer_and_what_is_stored(self, session: Session, anna: User, app: Client) -> None:
        answer = log_in(session, app)
        assert answer.status == 200
        assert set(answer.fields) == {
            "access_token",
            "refresh_token",
            "token_type",
            "expires_in",
            "scope",
        }
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
        assert answer["scope"] == ALL
        grant = session.scalars(select(Grant)).one()
        assert (grant.client_id, grant.user_id, grant.scope) == (app.id, anna.id, ALL)
        assert grant.expires_at - grant.created == 90 * DAY
        access, again = (stored(session, answer[f"{kind}_token"]) for kind in (ACCESS, REFRESH))
        assert (access.kind, again.kind) == (ACCESS, REFRESH)
        assert access.expires_at - access.issued_at == HOUR
        assert again.expires_at - again.issued_at == 14 * DAY
        assert access.scope == again.scope == ALL
        assert access.used_at is again.used_at is None

    def test_no_token_is_stored_in_clear(
        self, engine: Engine, session: Session, anna: User, app: Client
    ) -> None:
        with recorded(engine) as sent:
            answer = log_in(session, app)
            refresh(session, app, answer["refresh_token"])
        assert len(sent) > 5
        for secret in (answer["access_token"], answer["refresh_token"], PASSWORD):
            assert not any(secret in f"{sql} {values}" for sql, values in sent)

    @pytest.mark.parametrize(
        "form",
        [
            {"username": "nobody"},
            {"password": "wrong"},
            {"username": "inactive"},
            {"username": "\0"},
        ],
    )
    @pytest.mark.usefixtures("anna")
    def test_every_refusal_is_the_same(
        self, session: Session, hashes: GuardedSlots, app: Client, form: dict[str, str]
    ) -> None:
        make_user(session, "inactive", is_active=False)
        answer = log_in(session, app, **form)
        assert (answer.status, answer.error) == (400, "invalid_grant")
        assert answer["error_description"] == "Invalid credentials given."
        assert hashes.count == 1

    @pytest.mark.usefixtures("anna")
    def test_one_logs_in_by_address_in_any_letter_case(self, session: Session, app: Client) -> None:
        assert log_in(session, app, username="ANNA@Example.org").status == 200

    @pytest.mark.usefixtures("anna")
    def test_a_client_without_the_refresh_grant_gets_no_refresh_token(
        self, session: Session
    ) -> None:
        client, _ = make_client(session, client_type=PUBLIC, grant_types=["password"])
        answer = log_in(session, client)
        assert answer.status == 200
        assert "refresh_token" not in answer.fields
        grant = session.scalars(select(Grant)).one()
        assert grant.expires_at - grant.created == HOUR

    @pytest.mark.usefixtures("anna")
    def test_a_client_deleted_in_the_meantime_gets_nothing(
        self,
        session: Session,
        sessions: sessionmaker[Session],
        monkeypatch: pytest.MonkeyPatch,
        app: Client,
    ) -> None:
        authenticate = User.authenticate

        def slow(*arguments: Any) -> User | None:
            with sessions.begin() as other:
                other.delete(other.get_one(Client, app.id))
            return authenticate(*arguments)

        monkeypatch.setattr(User, "authenticate", slow)
        with pytest.raises(OAuthError) as raised:
            log_in(session, app)
        assert raised.value.error == "invalid_client"

    @pytest.mark.usefixtures("anna")
    def test_a_client_narrowed_in_the_meantime_gets_no_more_than_it_may(
        self,
        session: Session,
        sessions: sessionmaker[Session],
        monkeypatch: pytest.MonkeyPatch,
        app: Client,
    ) -> None:
        authenticate = User.authenticate

        def slow(*arguments: Any) -> User | None:
            with sessions.begin() as other:
                other.get_one(Client, app.id).scopes = ("teams:read",)
            return authenticate(*arguments)

        monkeypatch.setattr(User, "authenticate", slow)
        with pytest.raises(OAuthError) as raised:
            log_in(session, app)
        assert raised.value.error == "invalid_scope"


class TestScope:
    @pytest.mark.parametrize(
        ("scope", "granted"),
        [
            ("", ALL),
            ("users:read", "users:read"),
            ("users:read teams:read", "teams:read users:read"),
            ("users:read   teams:read", "teams:read users:read"),
            (" users:read users:read ", "users:read"),
        ],
    )
    @pytest.mark.parametrize("grant", ["password", "client_credentials", "refresh_token"])
    @pytest.mark.usefixtures("anna")
    def test_what_is_granted_is_in_order(
        self, session: Session, app: Client, grant: str, scope: str, granted: str
    ) -> None:
        answer = self.ask(session, app, grant, scope)
        assert (answer.status, answer["scope"]) == (200, granted)
        assert stored(session, answer["access_token"]).scope == granted
        caller = bearer.caller_of(session.connection(), answer["access_token"])
        assert caller is not None
        assert caller.scopes == set(granted.split())

    @pytest.mark.parametrize(
        "scope",
        [
            " ",
            "auth:read",
            "users:read auth:read",
            "users:read\tteams:read",
            "\tusers:read",
            "users:read\n",
            '"users:read"',
            "USERS:READ",
            "users:read,teams:read",
            "\ud800",
        ],
    )
    @pytest.mark.parametrize("grant", ["password", "client_credentials", "refresh_token"])
    @pytest.mark.usefixtures("anna")
    def test_what_is_refused(self, session: Session, app: Client, grant: str, scope: str) -> None:
        answer = self.ask(session, app, grant, scope)
        assert (answer.status, answer.error) == (400, "invalid_scope")

    @pytest.mark.usefixtures("anna")
    def test_a_client_without_scopes_gets_no_token(self, session: Session) -> None:
        client, _ = make_client(session, client_type=PUBLIC, scopes=[])
        assert log_in(session, client).error == "invalid_scope"

    def ask(self, session: Session, app: Client, grant: str, scope: str) -> Answer:
        if grant == "password":
            return log_in(session, app, scope=scope)
        if grant == "client_credentials":
            client, secret = make_client(session)
            return serve(session, client, secret, scope=scope)
        return refresh(session, app, log_in(session, app)["refresh_token"], scope=scope)


@pytest.mark.usefixtures("anna")
class TestRefresh:
    def test_a_refresh_token_is_exchanged_for_new_tokens(
        self, session: Session, app: Client
    ) -> None:
        first = log_in(session, app)
        second = refresh(session, app, first["refresh_token"])
        assert second.status == 200
        assert (second["scope"], second["expires_in"]) == (ALL, 3600)
        assert second["refresh_token"] != first["refresh_token"]
        assert lives(session, first["access_token"])
        assert lives(session, second["access_token"])
        assert stored(session, first["refresh_token"]).used_at is not None
        assert session.query(Grant).count() == 1
        assert refresh(session, app, second["refresh_token"]).status == 200

    def test_one_that_was_used_ends_its_family(self, session: Session, app: Client) -> None:
        other = log_in(session, app)
        first = log_in(session, app)
        second = refresh(session, app, first["refresh_token"])
        third = refresh(session, app, second["refresh_token"])
        answer = refresh(session, app, first["refresh_token"])
        assert (answer.status, answer.error) == (400, "invalid_grant")
        assert answer.consequence
        for family in (first, second, third):
            assert not lives(session, family["access_token"])
            dead = refresh(session, app, family["refresh_token"])
            assert (dead.error, dead.consequence) == ("invalid_grant", False)
        assert lives(session, other["access_token"])

    def test_one_that_was_used_long_ago_ends_its_family_too(
        self, session: Session, app: Client
    ) -> None:
        first = log_in(session, app)
        second = refresh(session, app, first["refresh_token"])
        age(session, first["refresh_token"], 15 * DAY)
        assert refresh(session, app, first["refresh_token"]).consequence
        assert not lives(session, second["access_token"])

    @pytest.mark.parametrize("token", ["unknown", "\0", "\ud800"])
    def test_an_unknown_one_is_refused(self, session: Session, app: Client, token: str) -> None:
        answer = refresh(session, app, token)
        assert (answer.status, answer.error) == (400, "invalid_grant")
        assert not answer.consequence

    def test_an_access_token_is_none(self, session: Session, app: Client) -> None:
        answer = log_in(session, app)
        assert refresh(session, app, answer["access_token"]).error == "invalid_grant"
        assert lives(session, answer["access_token"])

    def test_another_clients_is_refused_and_stays_as_it_is(
        self, session: Session, app: Client, other_app: Client
    ) -> None:
        first = log_in(session, app)
        second = refresh(session, app, first["refresh_token"])
        for token in (first["refresh_token"], second["refresh_token"]):
            answer = refresh(session, other_app, token)
            assert (answer.error, answer.consequence) == ("invalid_grant", False)
        assert refresh(session, app, second["refresh_token"]).status == 200

    def test_without_use_it_ends_after_its_idle_time(self, session: Session, app: Client) -> None:
        first = log_in(session, app)
        age(session, first["refresh_token"], 14 * DAY)
        answer = refresh(session, app, first["refresh_token"])
        assert (answer.error, answer.consequence) == ("invalid_grant", False)
        assert lives(session, first["access_token"])

    def test_no_token_outlives_its_grant(self, session: Session, app: Client) -> None:
        first = log_in(session, app)
        grant = session.scalars(select(Grant)).one()
        grant.expires_at = ends = now() + timedelta(minutes=10)
        session.commit()
        second = refresh(session, app, first["refresh_token"])
        assert 590 <= second["expires_in"] <= 600
        assert stored(session, second["access_token"]).expires_at == ends
        assert stored(session, second["refresh_token"]).expires_at == ends

    def test_a_narrower_scope_is_for_one_access_token(self, session: Session, app: Client) -> None:
        first = log_in(session, app)
        second = refresh(session, app, first["refresh_token"], scope="users:read")
        assert second["scope"] == "users:read"
        assert stored(session, second["refresh_token"]).scope == ALL
        assert refresh(session, app, second["refresh_token"])["scope"] == ALL

    def test_no_wider_scope_than_that_of_the_grant(self, session: Session, app: Client) -> None:
        first = log_in(session, app, scope="users:read")
        answer = refresh(session, app, first["refresh_token"], scope="users:write")
        assert answer.error == "invalid_scope"
        assert refresh(session, app, first["refresh_token"]).status == 200

    def test_an_inactive_user_refreshes_nothing(
        self, session: Session, anna: User, app: Client
    ) -> None:
        first = log_in(session, app)
        session.execute(update(User).where(User.id == anna.id).values(is_active=False))
        session.commit()
        assert refresh(session, app, first["refresh_token"]).error == "invalid_grant"

    def test_of_twenty_at_once_one_succeeds_and_the_family_ends(
        self, engine: Engine, session: Session, app: Client
    ) -> None:
        first = log_in(session, app)
        answers = race(engine, [lambda session: refresh(session, app, first["refresh_token"])] * 20)
        succeeded = [answer for answer in answers if answer.status == 200]
        assert len(succeeded) == 1
        assert {answer.error for answer in answers} == {None, "invalid_grant"}
        assert not lives(session, succeeded[0]["access_token"])
        assert refresh(session, app, succeeded[0]["refresh_token"]).error == "invalid_grant"
        assert session.query(Grant).count() == session.query(Token).count() == 0

    def test_refreshing_while_the_password_changes_saves_nothing(
        self, engine: Engine, session: Session, anna: User, app: Client
    ) -> None:
        tokens = [log_in(session, app)["refresh_token"] for _ in range(6)]
        user_id = anna.id

        def change(session: Session) -> None:
            user = session.get_one(User, user_id)
            accounts.change(session, user, patched(("/password", "a wholly new one")), acting(user))

        refreshing = [lambda session, token=token: refresh(session, app, token) for token in tokens]
        outcomes = race(engine, [*refreshing[:3], change, *refreshing[3:]])
        assert outcomes.pop(3) is None
        assert {answer.error for answer in outcomes} <= {None, "invalid_grant"}
        assert session.query(Grant).count() == session.query(Token).count() == 0


class TestClientCredentials:
    def test_a_service_gets_an_access_token_alone(
        self, session: Session, confidential: tuple[Client, str]
    ) -> None:
        client, secret = confidential
        answer = serve(session, client, secret)
        assert answer.status == 200
        assert set(answer.fields) == {"access_token", "token_type", "expires_in", "scope"}
        grant = session.scalars(select(Grant)).one()
        assert (grant.client_id, grant.user_id, grant.scope) == (client.id, None, ALL)
        assert grant.expires_at - grant.created == HOUR
        assert bearer.caller_of(session.connection(), answer["access_token"]) == Caller(
            None, client.id, grant.id, frozenset(SCOPES)
        )

    def test_a_public_client_needs_its_secret_too(self, session: Session, app: Client) -> None:
        assert serve(session, app, "").error == "invalid_client"
        client, secret = make_client(session, client_type=PUBLIC, with_secret=True)
        answer = serve(session, client, "")
        assert (answer.status, answer.error) == (401, "invalid_client")
        assert serve(session, client, secret).status == 200

    def test_a_deactivated_owners_client_goes_on(self, session: Session) -> None:
        owner = make_user(session, "owner", is_active=False)
        client, secret = make_client(session, owner)
        answer = serve(session, client, secret)
        assert lives(session, answer["access_token"])


class TestStrayParameters:
    def test_they_have_no_effect(
        self, session: Session, anna: User, app: Client, confidential: tuple[Client, str]
    ) -> None:
        client, secret = confidential
        victim = log_in(session, app)
        stray = {
            "user": str(anna.id),
            "client": "documentation",
            "refresh_token": victim["refresh_token"],
            "username": "anna",
            "password": PASSWORD,
            "scopes": "auth:write",
            "access_token": victim["access_token"],
            "token": victim["access_token"],
            "expires_in": "999999",
        }
        answer = serve(session, client, secret, **stray)
        assert (answer.status, answer["expires_in"]) == (200, 3600)
        assert "refresh_token" not in answer.fields
        caller = bearer.caller_of(session.connection(), answer["access_token"])
        assert caller is not None
        assert caller.user is None
        stray.pop("password")
        stray.pop("username")
        second = log_in(session, app, **stray)
        assert second.status == 200
        assert second["refresh_token"] != victim["refresh_token"]
        assert stored(session, victim["refresh_token"]).used_at is None
        assert session.query(Grant).count() == 3

    def test_a_grant_type_says_nothing_at_revocation(self, session: Session, app: Client) -> None:
        make_user(session)
        client, _ = make_client(session, client_type=PUBLIC, grant_types=["password"])
        for grant_type in ("client_credentials", "authorization_code"):
            answer = log_in(session, client)
            assert (
                revoke(session, client, answer["access_token"], grant_type=grant_type).status == 200
            )
            assert not lives(session, answer["access_token"])


class TestLifetimes:
    @pytest.mark.usefixtures("anna")
    def test_they_can_be_set(self, session: Session, app: Client) -> None:
        answer = ask(
            session,
            Lifetimes(access=60, refresh_idle=120, refresh_total=600),
            grant_type="password",
            client_id=app.client_id,
            username="anna",
            password=PASSWORD,
        )
        assert answer["expires_in"] == 60
        access, again = (stored(session, answer[f"{kind}_token"]) for kind in (ACCESS, REFRESH))
        assert (access.expires_at - access.issued_at).seconds == 60
        assert (again.expires_at - again.issued_at).seconds == 120
        grant = session.scalars(select(Grant)).one()
        assert (grant.expires_at - grant.created).seconds == 600


@pytest.mark.usefixtures("anna")
class TestRevocation:
    def test_an_access_token_ends_alone(self, session: Session, app: Client) -> None:
        first = log_in(session, app)
        second = refresh(session, app, first["refresh_token"])
        assert revoke(session, app, first["access_token"]).status == 200
        assert not lives(session, first["access_token"])
        assert lives(session, second["access_token"])
        assert refresh(session, app, second["refresh_token"]).status == 200

    @pytest.mark.parametrize("which", [0, 1])
    def test_a_refresh_token_ends_its_family(
        self, session: Session, app: Client, which: int
    ) -> None:
        other, first = log_in(session, app), log_in(session, app)
        family = [first, refresh(session, app, first["refresh_token"])]
        assert revoke(session, app, family[which]["refresh_token"]).status == 200
        for answer in family:
            assert not lives(session, answer["access_token"])
        assert refresh(session, app, family[1]["refresh_token"]).error == "invalid_grant"
        assert lives(session, other["access_token"])

    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", ""])
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_the_hint_does_not_matter(
        self, session: Session, app: Client, kind: str, hint: str
    ) -> None:
        answer = log_in(session, app)
        assert revoke(session, app, answer[kind], token_type_hint=hint).status == 200
        assert not lives(session, answer["access_token"])

    def test_foreign_and_unknown_tokens_stay_without_a_word(
        self, session: Session, app: Client, other_app: Client
    ) -> None:
        answer = log_in(session, app)
        for token in (answer["access_token"], answer["refresh_token"], "unknown", "\0\ud800"):
            assert revoke(session, other_app, token).status == 200
        assert lives(session, answer["access_token"])
        assert refresh(session, app, answer["refresh_token"]).status == 200

    def test_the_client_has_to_be_authenticated(
        self, session: Session, app: Client, confidential: tuple[Client, str]
    ) -> None:
        client, secret = confidential
        token = log_in(session, client, client_secret=secret)["access_token"]
        assert revoke(session, client, token).error == "invalid_client"
        assert revoke(session, app, token, client_id="unknown").error == "invalid_client"
        assert revoke(session, app, token, client_secret="any").error == "invalid_client"
        assert lives(session, token)
        assert revoke(session, client, token, client_secret=secret).status == 200
        assert not lives(session, token)

    def test_revoking_while_refreshing_ends_the_family(
        self, engine: Engine, session: Session, app: Client
    ) -> None:
        token = log_in(session, app)["refresh_token"]
        outcomes = race(
            engine,
            [
                lambda session: refresh(session, app, token),
                *[lambda session: revoke(session, app, token)] * 4,
            ],
        )
        assert outcomes[0].error in (None, "invalid_grant")
        assert {answer.status for answer in outcomes[1:]} == {200}
        assert session.query(Grant).count() == session.query(Token).count() == 0
