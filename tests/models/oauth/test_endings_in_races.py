"""All that ends or begins grants and codes between a user and a client, two at a time."""

from collections.abc import Callable
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from models import Client, Code, Consent, Grant, Token, User, accounts
from models.errors import DomainError
from models.oauth import ending, registration
from models.oauth.client import PUBLIC
from models.oauth.purge import purge
from models.oauth.token import REFRESH
from tests.models.factories import (
    SCOPES,
    acting,
    make_client,
    make_grant,
    make_token,
    make_user,
    race,
    replacing,
)
from tests.models.oauth.test_consent import exchange, make_code
from tests.models.oauth.test_token_store import log_in, refresh, revoke
from tests.signing_in import CALLBACK

pytestmark = pytest.mark.slow


class Between:
    """A user and a client with codes and grants, and what can happen to them."""

    def __init__(self, session: Session) -> None:
        owner = make_user(session, "owner", is_admin=True)
        make_user(session, "other", is_admin=True)
        user = make_user(session, "anna")
        client, _ = make_client(
            session,
            owner,
            client_type=PUBLIC,
            grant_types=("authorization_code", "password", "refresh_token"),
            redirect_uris=[CALLBACK],
            by_operator=False,
        )
        Consent.remember(session, user.id, client.id, ["users:read"])
        self.owner, self.user, self.client = owner.id, user.id, client.id
        self.client_id = client.client_id
        self.codes = [make_code(session, client, user) for _ in range(3)]
        self.used_code = make_code(session, client, user)
        exchange(session, client.client_id, self.used_code)
        session.commit()
        grants = [make_grant(session, client, user) for _ in range(4)]
        self.tokens = [make_token(session, grant, REFRESH) for grant in grants]
        refresh(session, client, self.tokens[0])

    def _client(self, session: Session) -> Client:
        found = session.get(Client, self.client)
        if found is None:
            raise DomainError("It is gone.")
        return found

    def withdraw(self, session: Session) -> None:
        Consent.withdraw(session, self.user, self.client_id)

    def remove(self, session: Session) -> None:
        registration.remove(session, self._client(session))

    def remove_by_batches(self, session: Session) -> None:
        client, caller = self._client(session), acting(session.get_one(User, self.owner))
        for _ in registration.end_before_removal(session, client, caller):
            session.commit()

    def narrow(self, session: Session) -> None:
        caller = acting(session.get_one(User, self.owner))
        operations: Any = [replacing("/default_scopes", ["teams:read"])]
        given = (session, self._client(session), operations, caller)
        for _ in registration.end_before_change(*given, all_scopes=SCOPES):
            session.commit()
        registration.change(*given, all_scopes=SCOPES)

    def move(self, session: Session) -> None:
        caller = acting(session.get_one(User, self.owner))
        operations: Any = [replacing("/redirect_uris", ["https://b.example/"])]
        given = (session, self._client(session), operations, caller)
        registration.change(*given, all_scopes=SCOPES)

    def new_secret(self, session: Session) -> None:
        caller = acting(session.get_one(User, self.owner))
        registration.replace_secret(session, self._client(session), caller)

    def exchange(self, session: Session) -> None:
        exchange(session, self.client_id, self.codes[0])

    def exchange_again(self, session: Session) -> None:
        exchange(session, self.client_id, self.used_code)

    def refresh(self, session: Session) -> None:
        refresh(session, self._client(session), self.tokens[1])

    def refresh_again(self, session: Session) -> None:
        refresh(session, self._client(session), self.tokens[0])

    def revoke(self, session: Session) -> None:
        revoke(session, self._client(session), self.tokens[2])

    def log_in(self, session: Session) -> None:
        log_in(session, self._client(session))

    def allow(self, session: Session) -> None:
        if User.lock_shared(session, self.user) and Client.lock_shared(session, self.client):
            Consent.remember(session, self.user, self.client, ["teams:read"])

    def deactivate(self, session: Session) -> None:
        accounts.administer(session, session.get_one(User, self.user), is_active=False)

    def demote(self, session: Session) -> None:
        accounts.administer(session, session.get_one(User, self.owner), is_admin=False)

    def end_account(self, session: Session) -> None:
        for _ in ending.of_account(session, self.user):
            session.commit()

    def purge(self, session: Session) -> None:
        for _ in purge(session, batch=2):
            session.commit()


ACTIONS = [action for name, action in vars(Between).items() if not name.startswith("_")]
PAIRS = list(combinations_with_replacement(ACTIONS, 2))


@pytest.fixture
def both(session: Session) -> Between:
    return Between(session)


@pytest.mark.parametrize(
    ("one", "other"), PAIRS, ids=[f"{one.__name__}-{other.__name__}" for one, other in PAIRS]
)
def test_no_two_of_them_stand_in_each_others_way(
    engine: Engine,
    session: Session,
    both: Between,
    one: Callable[[Between, Session], None],
    other: Callable[[Between, Session], None],
) -> None:
    outcomes = race(engine, [partial(do, both) for do in (one, other, one, other)])

    assert all(isinstance(each, DomainError | None) for each in outcomes), outcomes
    session.expire_all()
    if Between.remove in (one, other):
        assert session.get(Client, both.client) is None
    if Between.withdraw in (one, other) and not {one, other} & BEGINNING:
        assert left(session, both) == 0


BEGINNING = {Between.exchange, Between.log_in, Between.allow}


def left(session: Session, both: Between) -> int:
    """Return how many grants and codes there are between the two."""
    return sum(
        session.scalar(
            select(func.count()).where(table.user_id == both.user, table.client_id == both.client)
        )
        or 0
        for table in (Grant, Code)
    )


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_withdrawal_waits_for_nobody_who_holds_the_user(
    session: Session, sessions: sessionmaker[Session], both: Between
) -> None:
    with sessions() as other:
        assert User.lock_shared(other, both.user)
        both.withdraw(session)
        session.commit()

    assert left(session, both) == session.query(Token).count() == 0
