"""Who saw to an incident, notes, what was prevented, and putting it away."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what people do with incidents."""
    with op.batch_alter_table("incidents") as table:
        table.add_column(sa.Column("severity", sa.Text, nullable=False, server_default=""))
        table.add_column(sa.Column("prevented", sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("seen_by", sa.Text, nullable=False, server_default=""))
        table.add_column(sa.Column("seen_at", sa.BigInteger))
        table.add_column(sa.Column("archived", sa.BigInteger))
    op.create_table(
        "incident_notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("incident", sa.Integer, sa.ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Index("incident_notes_incident", "incident"),
        sqlite_autoincrement=True,
    )
    _tell_of_present_ones(op.get_bind())


def _tell_of_present_ones(connection: sa.Connection) -> None:
    """Fill in what the audits that are kept with the incidents say."""
    audits = sa.table("incident_audits", sa.column("incident"), sa.column("audit"), sa.column("document"))
    incidents = sa.table("incidents", sa.column("id"), sa.column("severity"), sa.column("prevented"))
    found: dict[int, dict[str, Any]] = {}
    for row in connection.execute(sa.select(audits).order_by(audits.c.incident, audits.c.audit)):
        audit = json.loads(row.document)
        known = found.setdefault(row.incident, {"severity": audit.get("severity", ""), "prevented": 0})
        known["prevented"] += audit.get("effect") == "prevent"
    for number, values in found.items():
        connection.execute(incidents.update().where(incidents.c.id == number).values(values))


def downgrade() -> None:
    """Take it away."""
    op.drop_table("incident_notes")
    with op.batch_alter_table("incidents", recreate="never") as table:
        for name in ("severity", "prevented", "seen_by", "seen_at", "archived"):
            table.drop_column(name)
