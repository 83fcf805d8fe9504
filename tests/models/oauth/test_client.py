import pytest
from sqlalchemy.orm import Session

from models import Client, User
from models.oauth.client import CONFIDENTIAL, PUBLIC
from models.oauth.secret import digest
from tests.models.factories import make_user


@pytest.fixture
def owner(session: Session) -> User:
    return make_user(session, "owner")


def create(session: Session, owner: User, **fields: object) -> tuple[Client, str | None]:
    return Client.create(session, user_id=owner.id, name="A client", **fields)  # type: ignore[arg-type]


def test_a_confidential_client_has_a_secret_that_is_told_once(
    session: Session, owner: User
) -> None:
    client, secret = create(session, owner)
    session.commit()
    session.refresh(client)
    assert secret is not None
    assert len(secret) >= 43
    assert client.secret_hash == digest(secret)
    assert client.client_type == CONFIDENTIAL
    assert not client.is_public


@pytest.mark.parametrize("with_secret", [False, True])
def test_a_public_client_may_have_a_secret(
    session: Session, owner: User, with_secret: bool
) -> None:
    client, secret = create(session, owner, client_type=PUBLIC, with_secret=with_secret)
    assert client.is_public
    assert (secret is not None) is (client.secret_hash is not None) is with_secret


def test_what_a_client_has_is_kept_in_order(session: Session, owner: User) -> None:
    uris = ["https://b.example/", "https://a.example/", "https://b.example/"]
    client, _ = create(
        session,
        owner,
        scopes=["users:read", "auth:read", "users:read"],
        grant_types=["refresh_token", "authorization_code"],
        redirect_uris=uris,
    )
    session.commit()
    session.refresh(client)
    assert client.scopes == ("auth:read", "users:read")
    assert client.grant_types == ("authorization_code", "refresh_token")
    assert client.redirect_uris == ("https://b.example/", "https://a.example/")
    assert (client.name, client.user_id) == ("A client", owner.id)


def test_a_client_may_have_nothing(session: Session, owner: User) -> None:
    client, _ = create(session, owner)
    session.commit()
    session.refresh(client)
    assert client.scopes == client.grant_types == client.redirect_uris == ()


def test_clients_are_found_by_their_identifier(session: Session, owner: User) -> None:
    client, other = create(session, owner)[0], create(session, owner)[0]
    assert client.client_id != other.client_id
    assert Client.find(session, client.client_id) is client
    for unknown in ("", client.client_id.swapcase(), "a" * 9999, "\0", "\ud800"):
        assert Client.find(session, unknown) is None


def test_only_its_own_secret_matches(session: Session, owner: User) -> None:
    client, secret = create(session, owner)
    assert secret is not None
    assert client.secret_matches(secret)
    for wrong in ("", secret + "a", secret[:-1], "ü", "\ud800\0"):
        assert not client.secret_matches(wrong)


def test_no_secret_matches_none(session: Session, owner: User) -> None:
    client, _ = create(session, owner, client_type=PUBLIC)
    assert not client.secret_matches("")


def test_no_new_id_begins_like_an_option(
    session: Session, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["-a", "--b", "c-"])
    monkeypatch.setattr("models.oauth.client.secrets.token_urlsafe", lambda _: next(ids))

    assert create(session, owner, client_type=PUBLIC)[0].client_id == "c-"
