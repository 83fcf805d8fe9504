"""The purges: what the server and the command delete from time to time, each in batches."""

from collections.abc import Callable, Iterator

from sqlalchemy.orm import Session

from models import idempotency
from models.audit import purge as audit
from models.oauth import purge as oauth
from roster.settings import Settings

# Rows that are purged at once: some milliseconds' work, after which the purge rests so many times
# as long. SQLite has one writer at a time, and who waits for its turn only looks now and then, at
# growing intervals: it has to find nobody at work most times.
PURGE_BATCH = 100
PURGE_REST = 3

# Delete in batches; yield the number of rows of each, which is then to be committed.
Purge = Callable[[Session, int], Iterator[int]]


def purges_of(settings: Settings) -> dict[str, Purge]:
    """Return every purge by the name that it has in the metrics; a new table adds a line here."""
    return {
        "oauth": oauth.purge,
        "idempotency": idempotency.purge,
        "audit": lambda session, batch: audit.purge(session, settings.audit_days, batch),
    }
