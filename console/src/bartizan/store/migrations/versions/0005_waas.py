"""The WAAS policy with what it refers to, its audits, and sets of rules."""

import sqlalchemy as sa
from alembic import op

from bartizan.store.portable import Key

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "waas_policies",
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    for name, key, content in (("waas_certificates", "id", "sealed"), ("waas_networks", "name", "document")):
        op.create_table(
            name,
            sa.Column(key, sa.Text, primary_key=True),
            sa.Column(content, sa.LargeBinary, nullable=False),
        )
    op.create_table(
        "waas_rulesets",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    _audits()


def _audits() -> None:
    numbers = ("seq", "time", "received", "count")
    texts = (
        "alike", "app_id", "image_name", "container_name", "rule_name", "rule_app_id", "type", "effect", "protection",
        "event_id", "subnet", "country", "user_agent", "host", "url", "path", "query", "method", "header_names",
        "connecting_ips", "msg", "techniques", "owasp", "owasp_api",
    )  # fmt: skip
    op.create_table(
        "waas_audits",
        sa.Column("id", Key, primary_key=True),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in numbers),
        sa.Column("group", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("address", sa.LargeBinary),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("bundle", "source", "seq", name="waas_audits_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("waas_audits_time", "waas_audits", ["time", "id"])
    op.create_index("waas_audits_alike", "waas_audits", ["alike", "time"])
    op.create_index("waas_audits_group", "waas_audits", ["group"])
    op.create_index("waas_audits_event", "waas_audits", ["event_id"])
    op.create_index("waas_audits_received", "waas_audits", ["received"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("waas_audits", "waas_rulesets", "waas_networks", "waas_certificates", "waas_policies"):
        op.drop_table(name)
