"""Create the tables of authorization codes, browser sessions and consents.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply the revision; who has tokens already is an authorised client from then on."""
    op.create_table(
        "codes",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("redirect_uri_given", sa.Boolean(), nullable=False),
        sa.Column("code_challenge", sa.String(43), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.Column("grant_id", ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_codes"),
        sa.UniqueConstraint("hash", name="uq_codes_hash"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_codes_client_id_clients", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_codes_user_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grants.id"], name="fk_codes_grant_id_grants", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    for column in ("client_id", "user_id", "grant_id", "expires_at"):
        op.create_index(f"ix_codes_{column}", "codes", [column])

    op.create_table(
        "browser_sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_browser_sessions"),
        sa.UniqueConstraint("hash", name="uq_browser_sessions_hash"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_browser_sessions_user_id_users", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    for column in ("user_id", "expires_at"):
        op.create_index(f"ix_browser_sessions_{column}", "browser_sessions", [column])

    op.create_table(
        "consents",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
        sa.UniqueConstraint("user_id", "client_id", name="uq_consents_user_id_client_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_consents_user_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_consents_client_id_clients", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consents_client_id", "consents", ["client_id"])
    op.execute(
        "INSERT INTO consents (user_id, client_id, scope, created)"
        " SELECT user_id, client_id, '', MIN(created) FROM grants"
        " WHERE user_id IS NOT NULL GROUP BY user_id, client_id ORDER BY MIN(created)"
    )


def downgrade() -> None:
    """Take the revision back."""
    for table in ("consents", "browser_sessions", "codes"):
        op.drop_table(table)
