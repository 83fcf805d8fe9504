"""Find by an index what has ended, and the next page of a user's clients.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What purging looks for is never among the used tokens and codes, which stay with their grant.
PARTIAL = {"tokens": ("unused", "used_at"), "codes": ("unredeemed", "grant_id")}


def upgrade() -> None:
    """Apply the revision."""
    op.create_index("ix_clients_user_id_id", "clients", ["user_id", "id"])
    op.drop_index("ix_clients_user_id", "clients")
    op.create_index("ix_grants_expires_at", "grants", ["expires_at"])
    for table, (name, column) in PARTIAL.items():
        where = sa.text(f"{column} IS NULL")
        op.create_index(
            f"ix_{table}_{name}_expires_at",
            table,
            ["expires_at"],
            sqlite_where=where,
            postgresql_where=where,
        )
        op.drop_index(f"ix_{table}_expires_at", table)


def downgrade() -> None:
    """Take the revision back."""
    for table, (name, _) in PARTIAL.items():
        op.create_index(f"ix_{table}_expires_at", table, ["expires_at"])
        op.drop_index(f"ix_{table}_{name}_expires_at", table)
    op.drop_index("ix_grants_expires_at", "grants")
    op.create_index("ix_clients_user_id", "clients", ["user_id"])
    op.drop_index("ix_clients_user_id_id", "clients")
