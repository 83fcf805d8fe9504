"""Note since when a member belongs to its team, and find what a user leads by an index.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CONTRACT = "it came before the first release, beside which no older server runs"


def upgrade() -> None:
    """Apply the revision; the members of before count from the creation of their team."""
    op.add_column("members", sa.Column("created", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE members SET created ="
        " (SELECT teams.created FROM teams WHERE teams.id = members.team_id)"
    )
    with op.batch_alter_table("members") as members:
        members.alter_column("created", nullable=False)
    op.create_index(
        "ix_members_led",
        "members",
        ["user_id"],
        sqlite_where=sa.text("is_leader = 1"),
        postgresql_where=sa.text("is_leader"),
    )


def downgrade() -> None:
    """Take the revision back."""
    op.drop_index("ix_members_led", "members")
    op.drop_column("members", "created")
