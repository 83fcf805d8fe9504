"""The rows on which a code for a signed-in user depends: session, user, client and consent."""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, select
from sqlalchemy.orm import aliased

from models.database.base import now
from models.database.prepared import Prepared
from models.oauth.browser_session import BrowserSession, SessionLifetimes, SignedIn
from models.oauth.client import CLIENT_COLUMNS, CLIENTS_WITH_OWNERS, Client, ClientRow
from models.oauth.consent import Consent
from models.oauth.secret import digest
from models.users.user import User


class AuthorizationRows(NamedTuple):
    """What they hold: no user, where the session has ended or the user is inactive.

    `remembered` are the scopes that the user has allowed the client already.
    """

    user: SignedIn | None = None
    client: ClientRow | None = None
    remembered: frozenset[str] = frozenset()


def hold(
    connection: Connection,
    user_id: int,
    client_id: int,
    session: str,
    lifetimes: SessionLifetimes,
) -> AuthorizationRows:
    """Lock user, client and consent until the transaction ends; return what there is now.

    `session` is the id of the user's browser session. The transaction begins here, unless it has
    begun. On PostgreSQL all of it is one message.
    """
    moment = now()
    locks = [*User.locks({user_id: False}), *ClientRow.locks(client_id)]
    rows = _ROWS.begin(
        connection,
        [*locks, *Consent.locks(user_id, client_id)],
        client=client_id,
        user=user_id,
        hashed=digest(session),
        moment=moment,
        seen_after=moment - timedelta(seconds=lifetimes.idle),
    )
    if not rows:
        return AuthorizationRows()
    [found] = rows
    return AuthorizationRows(
        SignedIn(found.signed_in, found.username) if found.is_active else None,
        ClientRow(*found[: len(CLIENT_COLUMNS)]),
        frozenset((found.remembered or "").split()),
    )


_person = aliased(User)
# The row that was locked before may have been replaced while its lock was waited for.
_remembered = (
    select(Consent.user_id, Consent.scope)
    .where(Consent.user_id == bindparam("user"), Consent.client_id == bindparam("client"))
    .with_for_update()
    .subquery("remembered")
)
_ROWS = Prepared(
    CLIENTS_WITH_OWNERS.add_columns(
        _person.id.label("signed_in"),
        _person.username,
        _person.is_active,
        _remembered.c.scope.label("remembered"),
    )
    .outerjoin(
        BrowserSession,
        and_(
            BrowserSession.hash == bindparam("hashed"),
            BrowserSession.expires_at > bindparam("moment"),
            BrowserSession.seen_at > bindparam("seen_after"),
        ),
    )
    .outerjoin(_person, _person.id == BrowserSession.user_id)
    .outerjoin(_remembered, _remembered.c.user_id == _person.id)
    .where(Client.id == bindparam("client"))
)
