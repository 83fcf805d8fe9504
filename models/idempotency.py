"""Requests with an `Idempotency-Key`: those under way, and the answers to the others."""

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, LargeBinary, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database.base import Base, now
from models.errors import Conflict, Unprocessable

# How long an answer is kept.
KEPT = timedelta(hours=24)
# How long a request may be under way. Its process has ended by then; if not, it writes nothing.
LONGEST = timedelta(minutes=1)

UNDER_WAY = "A request with this Idempotency-Key is under way. Try again shortly."
_OTHER_BODY = "This Idempotency-Key was used for another request."


class IdempotentRequest(Base):
    """A request with a key: under way while it has no answer, and free again when it expires.

    `id` is derived from caller and key, `fingerprint` from parameters and body. `claim` names the
    run of the request that may write the answer. `answer` is encrypted: see the caller of `finish`.
    """

    __tablename__ = "idempotent_requests"

    id: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    claim: Mapped[bytes] = mapped_column(LargeBinary(16))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    answer: Mapped[bytes | None]


def find_answer(connection: Connection, id: bytes, fingerprint: bytes) -> bytes | None:
    """Return the answer that a request was given, or None for the first one with its key.

    :raises Unprocessable: where the key belongs to another request.
    :raises Conflict: where the request is under way.
    """
    table = IdempotentRequest
    lives = table.expires_at > now()
    row = connection.execute(
        select(table.fingerprint, table.answer).where(table.id == id, lives)
    ).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise Unprocessable(_OTHER_BODY)
    if row.answer is None:
        raise Conflict(UNDER_WAY)
    return bytes(row.answer)


def begin(connection: Connection, id: bytes, fingerprint: bytes) -> bytes | None:
    """Claim a key for a request; return the claim, to be committed, or None for one in use."""
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    table = IdempotentRequest
    row: dict[str, Any] = {
        "fingerprint": fingerprint,
        "claim": secrets.token_bytes(16),
        "expires_at": now() + LONGEST,
        "answer": None,
    }
    claimed = (
        kind.insert(table)
        .values(id=id, **row)
        .on_conflict_do_update(index_elements=[table.id], set_=row, where=table.expires_at <= now())
        .returning(table.claim)
    )
    found: bytes | None = connection.scalar(claimed)
    return found


def finish(connection: Connection, id: bytes, claim: bytes, answer: bytes) -> None:
    """Keep the answer to a request, in the transaction in which it writes.

    :raises Conflict: where the claim has expired, and another run may have done the same.
    """
    table = IdempotentRequest
    kept = (
        update(table)
        .where(table.id == id, table.claim == claim)
        .values(answer=answer, expires_at=now() + KEPT)
    )
    if connection.execute(kept).rowcount == 0:
        raise Conflict(UNDER_WAY)


def release(connection: Connection, id: bytes, claim: bytes) -> None:
    """Free the key of a request that was refused, which changed nothing: it may be tried again."""
    table = IdempotentRequest
    under_way = (table.id == id, table.claim == claim, table.answer.is_(None))
    connection.execute(delete(table).where(*under_way))


def purge(session: Session, batch: int = 100) -> Iterator[int]:
    """Delete what has expired; yield the number of each batch, which is then to be committed.

    Locked rows are left to the next purge: this one does not wait.
    """
    table = IdempotentRequest
    ended = select(table.id, table.expires_at).where(table.expires_at <= now())
    ended = ended.order_by(table.expires_at).limit(batch).with_for_update(skip_locked=True)
    while rows := session.execute(ended).all():
        session.execute(delete(table).where(table.id.in_([row.id for row in rows])))
        # PostgreSQL's index keeps deleted rows for a while: they are not read again.
        ended = ended.where(table.expires_at >= rows[-1].expires_at)
        yield len(rows)
