"""What is known of people, and of their sessions; those of before end, as each did after half an hour."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("users", sa.Column("auth_type", sa.Text, nullable=False, server_default="basic"))
    op.add_column("users", sa.Column("collections", sa.Text, nullable=False, server_default="[]"))
    for name in ("created", "modified", "last_login"):
        op.add_column("users", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("user", sa.Text, sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created", "last_used", "expires", "idle")),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
    )
    op.create_index("sessions_user", "sessions", ["user", "created"])


def downgrade() -> None:
    """Go back to sessions that know less."""
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("user", sa.Text, sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("sessions_expires", "sessions", ["expires"])
    for name in ("auth_type", "collections", "created", "modified", "last_login"):
        op.drop_column("users", name)
