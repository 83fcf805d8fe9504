"""Mark the clients that an operator made, and find by an index what ends with a client.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The indexes that are new, and those that were there before and are parts of them.
INDEXES = {
    "ix_grants_client_id_scope_id": ("grants", ["client_id", "scope", "id"]),
    "ix_grants_user_id_client_id_expires_at": ("grants", ["user_id", "client_id", "expires_at"]),
    "ix_consents_client_id_id": ("consents", ["client_id", "id"]),
    "ix_browser_sessions_user_id_expires_at": ("browser_sessions", ["user_id", "expires_at"]),
}
PARTS = {
    "ix_grants_client_id": ("grants", ["client_id"]),
    "ix_grants_user_id": ("grants", ["user_id"]),
    "ix_consents_client_id": ("consents", ["client_id"]),
    "ix_browser_sessions_user_id": ("browser_sessions", ["user_id"]),
}
PARTIAL = {
    "ix_consents_remembered_client_id": ("consents", ["client_id", "id"], "scope != ''"),
    "ix_codes_unredeemed_client_id": (
        "codes",
        ["client_id", "user_id", "id"],
        "grant_id IS NULL",
    ),
}


def upgrade() -> None:
    """Apply the revision; of the clients that exist, the development data's is an operator's."""
    # The default stays: to take it away SQLite would need a new table, and when the old one goes,
    # so do all grants.
    op.add_column(
        "clients",
        sa.Column("by_operator", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE clients SET by_operator = true WHERE client_id = 'documentation'")
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)
    for name, (table, columns, condition) in PARTIAL.items():
        where = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
    for name, (table, _) in PARTS.items():
        op.drop_index(name, table)


def downgrade() -> None:
    """Take the revision back."""
    for name, (table, columns) in PARTS.items():
        op.create_index(name, table, columns)
    for name, (table, *_) in (PARTIAL | INDEXES).items():
        op.drop_index(name, table)
    op.drop_column("clients", "by_operator")
