"""How Alembic runs the migrations: on a connection that it is given, or on DATABASE_URL."""

import os
from typing import Literal

from alembic import context
from alembic.operations.ops import MigrationScript
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Text, TypeDecorator

from models import Base
from models.database.base import UTCDateTime
from models.database.connections import connect


def plain_type(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write column types of our own as SQLAlchemy's, so that a revision stays as it was."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, TypeDecorator) and isinstance(item.impl_instance, Text):
        return "sa.Text()"
    return False


def numbered(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
    """Give a new revision the number after the newest one."""
    newest = ScriptDirectory.from_config(context.config).get_current_head() or "0"
    for each in directives:
        each.rev_id = f"{int(newest) + 1:04}"


def run(connection: Connection) -> None:
    """Run the migrations that are due, in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=plain_type,
        process_revision_directives=numbered,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with connect(os.environ.get("DATABASE_URL", "sqlite:///roster.db")).begin() as connection:
        run(connection)
