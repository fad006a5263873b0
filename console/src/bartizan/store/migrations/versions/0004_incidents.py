"""Incidents with the audits that make them, fetched records, models and learned rules."""

import sqlalchemy as sa
from alembic import op

from bartizan.store.portable import Key

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    texts = ("category", "type", "custom_rule")
    whose = ("app_id", "profile_id", "image_name", "container_name", "resource_id", "instance")
    op.create_table(
        "incidents",
        sa.Column("id", Key, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("opened", "time", "last_time")),
        *(sa.Column(name, sa.Text, nullable=False) for name in whose),
        sa.Column("acknowledged", sa.Integer, nullable=False),
        sa.Column("collect", sa.BigInteger),
        sa.Column("audit_count", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("incidents_kind", "incidents", ["profile_id", "category", "opened"])
    op.create_index("incidents_time", "incidents", ["time", "id"])
    op.create_index("incidents_collect", "incidents", ["collect"])
    op.create_table(
        "incident_audits",
        sa.Column("incident", Key, sa.ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("audit", Key, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("app_id", sa.Text, nullable=False),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("container", sa.Text),
        sa.Column("image", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("incident", Key),
        sa.Column("state", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("events", "missed", "size")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "snapshot_pieces",
        sa.Column("snapshot", sa.Integer, sa.ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("piece", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("app_id", "image", "container", "reporter")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("started", "last", "changed", "overflow")),
        sa.UniqueConstraint("app_id", "image", "container", name="models_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "observations",
        sa.Column("model", sa.Integer, sa.ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("kind", "value", "detail")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("count", "first", "last")),
    )
    op.create_table(
        "learned_rules",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("model", sa.Integer, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("quiet_days", sa.Integer),
    )


def downgrade() -> None:
    """Remove the tables."""
    for table in (
        "learned_rules",
        "observations",
        "models",
        "snapshot_pieces",
        "snapshots",
        "incident_audits",
        "incidents",
    ):
        op.drop_table(table)
