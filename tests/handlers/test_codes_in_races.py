"""Codes that are asked for while something ends them: none is stored just after, and lives on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import Caller, Client, Consent, User, accounts
from models.oauth import registration
from models.oauth.code import Code
from tests.serving import PASSWORD, SCOPES, Server, replace
from tests.signing_in import AUTHORIZE, CALLBACK, Browser, led_to, register
from tests.statements import after_reading


@dataclass(frozen=True)
class Between:
    """A user and a client in the database, for what happens to them meanwhile."""

    session: Session
    user: User
    client: Client

    def change_the_password(self) -> None:
        accounts.administer(self.session, self.user, password="another pass phrase")

    def deactivate_the_user(self) -> None:
        accounts.administer(self.session, self.user, is_active=False)

    def delete_the_user(self) -> None:
        accounts.delete_account(self.session, self.user)

    def withdraw(self) -> None:
        Consent.withdraw(self.session, self.user.id, self.client.client_id)

    def delete_the_client(self) -> None:
        registration.remove(self.session, self.client)

    def narrow_the_client(self) -> None:
        self._change(replace("/default_scopes", ["users:read"]))

    def move_the_client(self) -> None:
        self._change(replace("/redirect_uris", [CALLBACK + "2"]))

    def _change(self, operation: Any) -> None:
        owner = self.session.get_one(User, self.client.user_id)
        caller = Caller(owner, scopes=frozenset(SCOPES.split()))
        registration.change(
            self.session, self.client, [operation], caller, all_scopes=SCOPES.split()
        )


def codes(server: Server) -> int:
    with server.session() as session:
        return session.scalar(select(func.count()).select_from(Code)) or 0


EVERY = (
    Between.change_the_password,
    Between.deactivate_the_user,
    Between.delete_the_user,
    Between.delete_the_client,
    Between.narrow_the_client,
    Between.move_the_client,
)


# Who allows a client after a withdrawal has authorised it again: no matter where one is asked.
@pytest.mark.parametrize(
    ("asked", "change"),
    [*((True, each) for each in EVERY), *((False, each) for each in (*EVERY, Between.withdraw))],
)
def test_no_code_outlives_what_ends_it(
    server: Server, asked: bool, change: Callable[[Between], None]
) -> None:
    user_id = server.user("ada")
    client = register(server)
    browser = Browser(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in("ada", PASSWORD)
    if not asked:
        browser.allow("users:read", "teams:read")

    def act() -> None:
        with server.session() as session:
            found = Client.find(session, client.client_id)
            assert found
            change(Between(session, session.get_one(User, user_id), found))
            session.commit()

    with after_reading(server.app.engine, "browser_sessions" if asked else "consents", act):
        if asked:
            answer = browser.allow("users:read", "teams:read")
        else:
            answer = browser.open(AUTHORIZE, client.request())

    assert codes(server) == 0
    if answer.status_code == 303:
        assert led_to(answer)[1]["error"] == "invalid_scope"
    else:
        assert answer.status_code in {200, 400}
