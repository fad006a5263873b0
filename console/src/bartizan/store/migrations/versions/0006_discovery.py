"""Discovered interfaces of applications."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "waas_interfaces",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("app_id", "application", "rule")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("started", "last", "dropped")),
        sa.Column("wide", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("app_id", "application", name="waas_interfaces_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "waas_operations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("interface", sa.Integer, sa.ForeignKey("waas_interfaces.id", ondelete="CASCADE"), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("path", "method")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("hits", "first_seen", "last_seen")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("sensitive", "unauthenticated", "unencrypted")),
        sa.Column("names", sa.Integer, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("interface", "path", "method", name="waas_operations_once"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("waas_operations")
    op.drop_table("waas_interfaces")
