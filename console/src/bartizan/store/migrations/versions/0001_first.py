"""The first schema."""

import sqlalchemy as sa
from alembic import op

from bartizan.store.portable import Key

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    _accounts()
    op.create_table(
        "policies",
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "bundles",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revoked", sa.BigInteger),
    )
    op.create_table(
        "defenders",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "sources",
        sa.Column("bundle", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("instance", sa.Text, nullable=False),
    )
    _audits()


def downgrade() -> None:
    """Remove all tables."""
    for table in ("audits", "sources", "defenders", "bundles", "policies", "settings", "sessions", "users"):
        op.drop_table(table)


def _accounts() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("user", sa.Text, sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("sessions_expires", "sessions", ["expires"])
    op.create_table(
        "settings",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _audits() -> None:
    texts = (
        "app_id",
        "profile_id",
        "image_name",
        "container_name",
        "rule_name",
        "type",
        "attack_type",
        "effect",
        "severity",
        "process_path",
        "user",
        "msg",
    )
    op.create_table(
        "audits",
        sa.Column("id", Key, primary_key=True),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("bundle", "source", "seq", name="audits_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("audits_time", "audits", ["time", "id"])
    op.create_index("audits_app", "audits", ["app_id", "time"])
    op.create_index("audits_received", "audits", ["received"])
