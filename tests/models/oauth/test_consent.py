"""Consents and codes: what users allowed, and what happens when all come at once."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from oauthlib.oauth2 import AuthorizationCodeGrant, BearerToken, TokenEndpoint
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from models import Client, Consent, Grant, Token, TokenStore, User
from models.database.base import now
from models.database.pagination import Window
from models.errors import NotFound, OAuthError
from models.oauth import registration
from models.oauth.authorization_rows import hold
from models.oauth.browser_session import BrowserSession, SessionLifetimes
from models.oauth.client import PUBLIC
from models.oauth.code import Code
from models.oauth.secret import digest, generate
from models.oauth.token import REFRESH
from tests.models.factories import (
    SCOPES,
    Transaction,
    acting,
    count,
    make_client,
    make_grant,
    make_token,
    make_user,
    race,
    replacing,
)
from tests.signing_in import CALLBACK, CHALLENGE, VERIFIER
from tests.statements import recorded

MANY = 20
# How long one thread waits for another before the test fails, in seconds.
PATIENCE = 10
READ = ["users:read"]


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def app(session: Session) -> Client:
    grants = ("authorization_code", "refresh_token")
    return make_client(session, client_type=PUBLIC, grant_types=grants, redirect_uris=[CALLBACK])[0]


def make_code(session: Session, client: Client, user: User, **fields: Any) -> str:
    """Insert and commit a code; return what the client has of it."""
    value = generate()
    values: dict[str, Any] = {
        "redirect_uri": CALLBACK,
        "redirect_uri_given": True,
        "code_challenge": CHALLENGE,
        "scope": "users:read",
        "expires_at": now() + timedelta(minutes=1),
    }
    ids = {"client_id": client.id, "user_id": user.id}
    session.add(Code(hash=digest(value), **ids, **(values | fields)))
    session.commit()
    return value


def exchange(session: Session, client_id: str, code: str, **fields: str) -> dict[str, Any]:
    """RequestContext a code over oauthlib's token endpoint; raise what the server would."""
    store = TokenStore(Transaction(session))
    bearer: Any = BearerToken(store, token_generator=generate)
    grants: dict[str, Any] = {"authorization_code": AuthorizationCodeGrant(store)}
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code": code,
        "code_verifier": VERIFIER,
        **fields,
    }
    endpoint = TokenEndpoint("authorization_code", bearer, grants)
    _, body, status = endpoint.create_token_response("https://server.example/", "POST", form, {})
    if status != 200:
        raise OAuthError("invalid_grant", str(body), consequence=store.consequence)
    return {"body": body}


def apps(session: Session, user: User) -> list[Any]:
    """Return a user's authorised apps."""
    listing = Consent.authorised(user.id)
    return list(Window(limit=100).of(session.connection(), listing).rows)


def size(session: Session, table: type[Any]) -> int:
    """Return how many rows a table has."""
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_code_is_exchanged_once_and_then_ends_its_family(
    engine: Engine, session: Session, app: Client, anna: User
) -> None:
    code, client_id = make_code(session, app, anna), app.client_id

    outcomes = race(engine, [lambda session: exchange(session, client_id, code)] * MANY)

    assert count(outcomes, dict) == 1, outcomes
    assert count(outcomes, OAuthError) == MANY - 1, outcomes
    assert size(session, Grant) == size(session, Token) == 0


def issue_by_consent(session: Session, client: Client, user: User, browser_session: str) -> None:
    """Issue a code to a signed-in user, if the consent is remembered."""
    held = hold(session.connection(), user.id, client.id, browser_session, SessionLifetimes())
    assert held.remembered.issuperset(READ)
    values = {"redirect_uri": CALLBACK, "redirect_uri_given": True, "code_challenge": CHALLENGE}
    ids = {"client_id": client.id, "user_id": user.id}
    ends = now() + timedelta(minutes=1)
    session.add(Code(hash=digest(generate()), scope="users:read", expires_at=ends, **ids, **values))
    session.flush()


@pytest.mark.parametrize("begins", ["exchange", "code"])
def test_a_consent_is_held_that_replaces_an_ended_one_meanwhile(
    engine: Engine, session: Session, app: Client, anna: User, begins: str
) -> None:
    client_id, user_id, app_id = app.client_id, anna.id, app.id
    code = make_code(session, app, anna)
    browser_session = BrowserSession.begin(session, anna, SessionLifetimes())
    Consent.begin(session, user_id, app_id)  # with no scope and no token: it is replaced
    session.commit()
    is_replaced, is_held, is_withdrawn = (threading.Event() for _ in range(3))

    def replace(session: Session) -> None:
        User.lock_shared(session, user_id)
        Client.lock_shared(session, app_id)
        Consent.remember(session, user_id, app_id, READ)
        is_replaced.set()
        is_held.wait(0.3)  # for nothing, as the other one waits for this transaction

    def begin(session: Session) -> None:
        is_replaced.wait(PATIENCE)
        if begins == "exchange":
            exchange(session, client_id, code)
        else:
            issue_by_consent(session, app, anna, browser_session)
        is_held.set()
        is_withdrawn.wait(0.3)  # for nothing, as the withdrawal waits for this transaction

    def withdraw(session: Session) -> None:
        is_held.wait(PATIENCE)
        Consent.withdraw(session, user_id, client_id)
        session.commit()
        is_withdrawn.set()

    assert race(engine, [replace, begin, withdraw]) == [None] * 3
    assert size(session, Grant) == size(session, Code) == size(session, Consent) == 0


def test_many_codes_are_exchanged_at_once_and_authorise_an_app_once(
    engine: Engine, session: Session, app: Client, anna: User
) -> None:
    codes = [make_code(session, app, anna) for _ in range(MANY)]
    client_id = app.client_id

    def exchanging(code: str) -> Any:
        return lambda session: exchange(session, client_id, code)

    outcomes = race(engine, [exchanging(code) for code in codes])

    assert count(outcomes, dict) == MANY, outcomes
    assert size(session, Grant) == MANY
    assert size(session, Consent) == 1


def test_a_withdrawal_amid_exchanges_leaves_nothing_of_what_came_before(
    engine: Engine, session: Session, app: Client, anna: User
) -> None:
    Consent.remember(session, anna.id, app.id, READ)
    codes = [make_code(session, app, anna) for _ in range(6)]
    client_id, user_id = app.client_id, anna.id

    def exchanging(code: str) -> Any:
        return lambda session: exchange(session, client_id, code)

    def withdraw(session: Session) -> None:
        Consent.withdraw(session, user_id, client_id)

    outcomes = race(engine, [withdraw, *(exchanging(code) for code in codes)])

    assert outcomes[0] is None, outcomes
    allowed = count(outcomes[1:], dict)
    assert allowed + count(outcomes[1:], OAuthError) == len(codes), outcomes
    # A token that lives is seen, and can be withdrawn.
    assert len(apps(session, anna)) == (1 if size(session, Grant) else 0)
    if size(session, Grant):
        withdraw(session)
    assert size(session, Grant) == size(session, Code) == 0


@pytest.mark.parametrize("end", ["narrow", "remove"])
def test_a_client_that_is_narrowed_or_deleted_amid_exchanges_keeps_no_wider_grant(
    engine: Engine, session: Session, anna: User, end: str
) -> None:
    for _ in range(5):
        client = make_client(
            session,
            client_type=PUBLIC,
            scopes=["teams:read", "users:read"],
            grant_types=["authorization_code", "refresh_token"],
            redirect_uris=[CALLBACK],
        )[0]
        codes = [make_code(session, client, anna) for _ in range(6)]
        id, client_id = client.id, client.client_id

        def exchanging(code: str, client_id: str = client_id) -> Any:
            return lambda session: exchange(session, client_id, code)

        def ending(session: Session, id: int = id) -> None:
            found = session.get_one(Client, id)
            if end == "remove":
                registration.remove(session, found)
            else:
                operation = replacing("/default_scopes", ["teams:read"])
                registration.change(session, found, [operation], acting(anna), all_scopes=SCOPES)

        outcomes = race(engine, [*(exchanging(code) for code in codes), ending])

        assert outcomes[-1] is None, outcomes
        assert count(outcomes, dict) + count(outcomes, OAuthError) == len(codes), outcomes
        assert size(session, Grant) == size(session, Code) == 0
        session.commit()


def test_a_token_that_is_issued_amid_withdrawals_can_be_withdrawn(
    engine: Engine, session: Session, app: Client, anna: User
) -> None:
    user_id, app_id, client_id = anna.id, app.id, app.client_id

    def issue(session: Session) -> None:
        ends = now() + timedelta(hours=1)
        grant = Grant(client_id=app_id, user_id=user_id, scope="users:read", expires_at=ends)
        session.add(grant)
        session.flush()
        Consent.begin(session, user_id, app_id)
        values = {"grant_id": grant.id, "scope": grant.scope, "expires_at": ends}
        session.add(Token(hash=digest(generate()), kind=REFRESH, **values))
        session.flush()

    def withdraw(session: Session) -> None:
        Consent.withdraw(session, user_id, client_id)

    for _ in range(10):
        Consent.remember(session, user_id, app_id, READ)
        session.commit()
        outcomes = race(engine, [issue, withdraw] * 4)

        others = [each for each in outcomes if not isinstance(each, NotFound | None)]
        assert others == []
        assert len(apps(session, anna)) == (1 if size(session, Grant) else 0)
        session.commit()


def test_a_code_is_not_exchanged_for_another_or_too_late(
    session: Session, app: Client, anna: User
) -> None:
    other = make_client(session, client_type=PUBLIC, grant_types=("authorization_code",))[0]
    late = make_code(session, app, anna, expires_at=now() - timedelta(seconds=1))
    code = make_code(session, app, anna)

    for client, value, fields in (
        (other, code, {}),
        (app, late, {}),
        (app, "x" + code, {}),
        (app, code, {"redirect_uri": CALLBACK + "2"}),
        (app, code, {"redirect_uri": ""}),
        (app, code, {"code_verifier": "w" * 43}),
        (app, code, {"code_verifier": CHALLENGE}),
    ):
        with pytest.raises(OAuthError):
            exchange(session, client.client_id, value, **fields)
        session.rollback()
    assert exchange(session, app.client_id, code)


def test_a_code_of_an_inactive_user_is_worth_nothing(
    session: Session, app: Client, anna: User
) -> None:
    code = make_code(session, app, anna)
    anna.is_active = False
    session.commit()

    with pytest.raises(OAuthError):
        exchange(session, app.client_id, code)


def test_what_was_allowed_is_remembered_and_adds_up(
    session: Session, app: Client, anna: User
) -> None:
    assert not Consent.covers(session.connection(), anna.id, app.id, READ)

    Consent.remember(session, anna.id, app.id, READ)
    Consent.remember(session, anna.id, app.id, ["teams:read"])

    assert Consent.covers(session.connection(), anna.id, app.id, ["teams:read", "users:read"])
    assert not Consent.covers(session.connection(), anna.id, app.id, ["users:read", "users:write"])
    assert not Consent.covers(session.connection(), anna.id + 1, app.id, READ)
    assert not Consent.covers(session.connection(), anna.id, app.id + 1, READ)


def test_at_once_nothing_that_was_allowed_is_lost(
    engine: Engine, session: Session, app: Client, anna: User
) -> None:
    scopes, ids = [f"scope:{number}" for number in range(MANY)], (anna.id, app.id)

    def remembering(scope: str) -> Any:
        return lambda session: Consent.remember(session, *ids, [scope])

    outcomes = race(engine, [remembering(scope) for scope in scopes])

    assert outcomes == [None] * MANY
    assert Consent.covers(session.connection(), *ids, scopes)


def test_forgetting_asks_again_and_ends_no_token(session: Session, app: Client, anna: User) -> None:
    Consent.remember(session, anna.id, app.id, READ)
    make_grant(session, app, anna, scope="teams:read")

    Consent.forget(session, app.id)

    assert not Consent.covers(session.connection(), anna.id, app.id, READ)
    (row,) = apps(session, anna)
    assert set(row.scopes) == {"teams:read"}


def test_an_app_is_authorised_by_live_tokens_or_a_remembered_consent(
    session: Session, app: Client, anna: User
) -> None:
    Consent.begin(session, anna.id, app.id)
    assert apps(session, anna) == []

    ends = now() + timedelta(days=1)
    grant = Grant(client_id=app.id, user_id=anna.id, scope="users:read", expires_at=ends)
    session.add(grant)
    session.flush()
    make_token(session, grant, expires_at=now() - timedelta(seconds=1))
    make_token(session, grant, REFRESH, used_at=now(), expires_at=now() + timedelta(days=1))
    assert apps(session, anna) == []
    make_token(session, grant, REFRESH, expires_at=now() + timedelta(days=1))
    assert [row.client_id for row in apps(session, anna)] == [app.client_id]


def test_what_had_ended_does_not_count_as_a_beginning(
    session: Session, app: Client, anna: User
) -> None:
    Consent.begin(session, anna.id, app.id)
    long_ago = now() - timedelta(days=30)
    session.query(Consent).update({"created": long_ago})

    Consent.remember(session, anna.id, app.id, READ)
    (row,) = apps(session, anna)
    assert row.created > long_ago
    session.query(Consent).update({"created": long_ago})
    Consent.remember(session, anna.id, app.id, ["teams:read"])
    (row,) = apps(session, anna)
    assert row.created == long_ago


def test_what_was_not_authorised_cannot_be_withdrawn(
    session: Session, app: Client, anna: User
) -> None:
    Consent.begin(session, anna.id, app.id)

    for client_id in (app.client_id, "nobody", "", "\0"):
        with pytest.raises(NotFound):
            Consent.withdraw(session, anna.id, client_id)


def test_a_withdrawal_costs_no_more_for_what_has_ended_before(
    engine: Engine, session: Session, app: Client, anna: User
) -> None:
    statements = []
    for many in (1, 500):
        ended = {"scope": "users:read", "expires_at": now() - timedelta(seconds=1)}
        between = {"client_id": app.id, "user_id": anna.id}
        session.add_all(Grant(**between, **ended) for _ in range(many))
        make_grant(session, app, anna)
        Consent.remember(session, anna.id, app.id, READ)
        session.commit()
        with recorded(engine) as said:
            Consent.withdraw(session, anna.id, app.client_id)
            session.commit()
        statements.append(len(said))
        assert apps(session, anna) == []
        living = select(func.count()).select_from(Grant).where(Grant.expires_at > now())
        assert session.scalar(living) == 0

    assert statements[0] == statements[1]
