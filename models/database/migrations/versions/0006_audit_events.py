"""Keep who did what to whom, from where and with which client.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PARTIAL = {
    "ix_audit_events_actor_id": (["actor_id", "id"], "actor_id IS NOT NULL"),
    "ix_audit_events_user_id": (["user_id", "id"], "user_id IS NOT NULL"),
    "ix_audit_events_target": (["target_id", "target_kind", "id"], "target_id IS NOT NULL"),
}


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "audit_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("actor_name", sa.String(length=80), nullable=True),
        sa.Column("client_id", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("target_kind", sa.String(length=32), nullable=True),
        sa.Column("target_id", sa.String(length=64), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_events_action_id", "audit_events", ["action", "id"])
    for name, (columns, condition) in PARTIAL.items():
        where = sa.text(condition)
        op.create_index(name, "audit_events", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Take the revision back."""
    op.drop_table("audit_events")
