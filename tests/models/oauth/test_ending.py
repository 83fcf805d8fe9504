"""Ending very many grants: by batches that are bounded, and a last step that is constant."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.orm import Session

from models import Client, Code, Consent, Grant, Token, User, accounts
from models.database.base import now
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from models.oauth import ending, registration
from models.oauth.token import ACCESS, REFRESH, digest, generate
from tests.models.factories import (
    HOUR,
    SCOPES,
    acting,
    checking,
    make_client,
    make_grant,
    make_token,
    make_user,
    replacing,
)
from tests.statements import recorded

WIDE = " ".join(SCOPES)
NARROW = "users:read"
NARROWING = [replacing("/default_scopes", [NARROW])]
MANY = 2_000

End = Callable[[Session, User, Client], Iterator[None]]


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def client(session: Session, anna: User) -> Client:
    return make_client(session, anna, redirect_uris=["https://app.example/"])[0]


def fill(session: Session, client: Client, size: int, scope: str = WIDE) -> None:
    """Give a client so many grants of as many users, with a code and two tokens each."""
    first = max(session.scalar(select(func.max(User.id))) or 0, 10_000) + 1
    ids, ends = range(first, first + size), now() + HOUR
    session.execute(
        insert(User),
        [
            {"id": id, "password_hash": ""}
            | dict.fromkeys(("username", "username_key", "email", "email_key"), f"user-{id}")
            for id in ids
        ],
    )
    between = [{"user_id": id, "client_id": client.id, "scope": scope} for id in ids]
    session.execute(insert(Consent), between)
    session.execute(
        insert(Grant), [{"id": each["user_id"], "expires_at": ends} | each for each in between]
    )
    shared = {"scope": scope, "expires_at": ends}
    session.execute(
        insert(Token),
        [
            {"hash": digest(generate()), "kind": kind, "grant_id": id} | shared
            for id in ids
            for kind in (ACCESS, REFRESH)
        ],
    )
    code = {"redirect_uri": "", "redirect_uri_given": True, "code_challenge": "", **shared}
    session.execute(
        insert(Code),
        [
            code | {"hash": digest(generate()), "grant_id": grant} | each
            for each in between
            for grant in (each["user_id"], None)
        ],
    )
    session.commit()


def size(session: Session, table: type[Any], *which: Any) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*which)) or 0


def finish(session: Session, steps: Iterator[None]) -> int:
    """Commit after each step, as the server does; return how many there were."""
    count = 0
    for _ in steps:
        session.commit()
        count += 1
    session.commit()
    return count


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two rows be so many that they are not left to the last step."""
    monkeypatch.setattr(ending, "BATCH", 2)


def narrow(session: Session, owner: User, client: Client) -> Iterator[None]:
    given = (session, client, NARROWING, acting(owner))
    yield from registration.end_before_change(*given, all_scopes=SCOPES)
    registration.change(*given, all_scopes=SCOPES)


def move(session: Session, owner: User, client: Client) -> Iterator[None]:
    given = (session, client, [replacing("/redirect_uris", ["https://b.example/"])], acting(owner))
    yield from registration.end_before_change(*given, all_scopes=SCOPES)
    registration.change(*given, all_scopes=SCOPES)


def remove(session: Session, owner: User, client: Client) -> Iterator[None]:
    yield from registration.end_before_removal(session, client, acting(owner))
    registration.remove(session, client)


def remove_owner(session: Session, owner: User, client: Client) -> Iterator[None]:
    yield from accounts.leave_teams(session, owner)
    yield from ending.of_account(session, owner.id)
    accounts.delete_account(session, owner)


ENDS: list[End] = [narrow, move, remove, remove_owner]


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_batches_are_few_and_small_and_what_remains_is_constant(
    engine: Engine, session: Session, end: End
) -> None:
    statements: dict[int, int] = {}
    for count in (10, MANY):
        owner = make_user(session, f"owner-{count}")
        client, _ = make_client(session, owner, redirect_uris=["https://app.example/"])
        fill(session, client, count)
        with recorded(engine) as said:
            finish(session, end(session, owner, client))
        statements[count] = len(said)
        assert max(len(parameters or ()) for _, parameters in said) <= ending.BATCH + 20
    # Grants, consents and codes, each in batches of some statements; and a second look.
    assert statements[MANY] - statements[10] <= 4 * 4 * MANY / ending.BATCH


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, MANY])
@pytest.mark.parametrize("end", ENDS)
def test_the_last_step_alone_does_all_in_few_statements(
    engine: Engine,
    session: Session,
    anna: User,
    client: Client,
    count: int,
    end: End,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("of_wider", "of_moved", "of_client", "of_account"):
        monkeypatch.setattr(ending, name, lambda *_: iter(()))
    fill(session, client, count)
    with recorded(engine) as said:
        finish(session, end(session, anna, client))

    assert len(said) <= 15
    assert max(len(parameters or ()) for _, parameters in said) <= 20


@pytest.mark.parametrize("end", ENDS)
def test_what_goes_goes_and_what_does_not_stays(
    session: Session, anna: User, client: Client, end: End
) -> None:
    other = make_client(session)[0]
    for each, scope in ((client, WIDE), (client, NARROW), (other, WIDE)):
        fill(session, each, 150, scope)
    foreign = make_grant(session, other, anna)

    finish(session, end(session, anna, client))

    lefts: dict[End, tuple[int, int, int]] = {narrow: (150, 150, 300), move: (300, 150, 300)}
    left = lefts.get(end, (0, 0, 0))
    mine = {"client_id": client.id}
    assert size(session, Grant, Grant.client_id == mine["client_id"]) == left[0]
    assert size(session, Code, Code.client_id == mine["client_id"]) == 2 * left[1]
    assert size(session, Consent, Consent.client_id == mine["client_id"]) == left[2]
    remembered = size(session, Consent, Consent.client_id == mine["client_id"], Consent.scope != "")
    assert remembered == (300 if end is narrow else 0)
    is_gone = end is remove_owner
    assert size(session, Grant, Grant.client_id == other.id) == 150 + (not is_gone)
    assert size(session, Grant, Grant.id == foreign.id) == (not is_gone)
    assert size(session, Code, Code.client_id == other.id) == 300
    assert size(session, Token) == 2 * (size(session, Grant) - (not is_gone)) + (not is_gone)


@pytest.mark.usefixtures("small_batches")
def test_the_grant_of_the_request_itself_is_left_for_the_last_step(
    session: Session, anna: User, client: Client
) -> None:
    own = make_grant(session, client, anna, scope=WIDE)
    caller = acting(anna, own.id)
    given = (session, client, NARROWING, caller)
    ends: list[Callable[[], Iterator[None]]] = [
        lambda: registration.end_before_change(*given, all_scopes=SCOPES),
        lambda: registration.end_before_removal(session, client, caller),
        lambda: ending.of_account(session, anna.id, own.id),
    ]
    for steps in ends:
        fill(session, client, 10)
        finish(session, steps())
        assert session.scalars(select(Grant.id)).all() == [own.id]


@pytest.mark.parametrize("end", [narrow, remove, remove_owner])
def test_what_comes_in_between_ends_too(
    session: Session, anna: User, client: Client, end: End
) -> None:
    fill(session, client, 10)
    berta = make_user(session, "berta")

    for _ in end(session, anna, client):
        session.commit()
        make_grant(session, client, berta, scope=WIDE)
    session.commit()

    assert size(session, Grant) == size(session, Token) == 0


def test_a_batch_deletes_no_more_tokens_than_it_should(
    session: Session, anna: User, client: Client
) -> None:
    grant = make_grant(session, client, anna, scope=WIDE)
    shared = {"kind": REFRESH, "grant_id": grant.id, "scope": WIDE, "expires_at": now() + HOUR}
    session.execute(
        insert(Token),
        [{"hash": digest(generate()), "used_at": now()} | shared for _ in range(MANY)],
    )
    make_token(session, grant, REFRESH)
    before = size(session, Token)

    for _ in remove(session, anna, client):
        session.commit()
        after = size(session, Token)
        assert before - after <= ending._TOKENS
        before = after
    session.commit()

    assert size(session, Token) == 0


@pytest.mark.parametrize(
    ("operations", "error"),
    [
        ([*NARROWING, checking("/name", "Another")], Conflict),
        ([*NARROWING, replacing("/redirect_uris", ["http://evil.example/"])], Unprocessable),
        ([replacing("/default_scopes", [NARROW, "auth:read"])], Forbidden),
    ],
)
def test_a_change_that_is_refused_ends_nothing(
    session: Session, anna: User, operations: Any, error: type[Exception]
) -> None:
    grants = ("authorization_code", "refresh_token")
    uris = ["https://app.example/"]
    client, _ = make_client(session, anna, grant_types=grants, redirect_uris=uris)
    fill(session, client, 10)

    with pytest.raises(error):
        finish(
            session,
            registration.end_before_change(
                session, client, operations, acting(anna), all_scopes=SCOPES
            ),
        )

    assert size(session, Grant) == size(session, Consent) == 10


def test_a_deletion_that_is_refused_ends_nothing(
    session: Session, anna: User, client: Client
) -> None:
    anna.is_admin = True
    fill(session, client, 10)

    with pytest.raises(Conflict):
        finish(session, remove_owner(session, anna, client))

    assert size(session, Grant) == 10


@pytest.mark.usefixtures("small_batches")
def test_a_client_that_goes_meanwhile_is_not_there(
    session: Session, anna: User, client: Client
) -> None:
    fill(session, client, 10)
    steps = remove(session, anna, client)
    next(steps)
    session.commit()
    registration.remove(session, client)
    session.commit()

    with pytest.raises(NotFound):
        finish(session, steps)


def test_the_scopes_of_a_clients_grants_are_found_whatever_they_are(
    session: Session, anna: User, client: Client
) -> None:
    assert Grant.scopes_of(session, client.id) == []
    for scope in (WIDE, NARROW, "", NARROW, "teams:read users:read"):
        make_grant(session, client, anna, scope=scope)
    make_grant(session, make_client(session)[0], anna, scope="users:write")

    found = Grant.scopes_of(session, client.id)

    assert sorted(found) == sorted(["", WIDE, NARROW, "teams:read users:read"])


@pytest.mark.usefixtures("small_batches")
def test_codes_that_are_over_go_with_those_that_are_too_wide(
    session: Session, anna: User, client: Client
) -> None:
    fill(session, client, 5, NARROW)
    codes = session.query(Code).filter(Code.grant_id.is_(None)).all()
    codes[0].expires_at = now() - timedelta(seconds=1)
    codes[1].scope = WIDE
    session.commit()

    finish(session, narrow(session, anna, client))

    left = session.scalars(select(Code.id).where(Code.grant_id.is_(None)).order_by(Code.id)).all()
    assert left == [code.id for code in codes[2:]]


@pytest.mark.usefixtures("small_batches")
def test_a_code_that_is_used_meanwhile_stays_with_its_grant(
    session: Session, anna: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = make_grant(session, client, anna)
    shared = {"client_id": client.id, "user_id": anna.id, "scope": NARROW, "code_challenge": ""}
    shared |= {"redirect_uri": "https://app.example/", "redirect_uri_given": True}
    session.add_all(
        Code(hash=digest(generate()), expires_at=now() + HOUR, **shared) for _ in range(3)
    )
    session.commit()
    first = session.scalars(select(Code).order_by(Code.id)).first()
    assert first
    find = ending._find

    def find_and_use(*arguments: Any) -> Any:
        rows = find(*arguments)
        if first.grant_id is None:
            first.used_at, first.grant_id = now(), grant.id
            session.commit()
        return rows

    monkeypatch.setattr(ending, "_find", find_and_use)
    finish(session, move(session, anna, client))

    assert session.scalars(select(Code.id)).all() == [first.id]


@pytest.mark.parametrize("end", ENDS)
def test_few_rows_are_left_to_the_last_step_which_is_one_transaction(
    session: Session, anna: User, client: Client, end: End
) -> None:
    fill(session, client, 10)

    steps = end(session, anna, client)

    # Nothing is committed on the way, and so nothing is lost where the end is refused.
    assert list(steps) == []
