"""The library of custom rules; techniques, reasons and counts of audits."""

import sqlalchemy as sa
from alembic import op

from bartizan.store.portable import Key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the columns; audits that are there keep the count that their document tells."""
    op.create_table(
        "custom_rules",
        sa.Column("id", Key, primary_key=True, autoincrement=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    for name in ("reason", "techniques"):
        op.add_column("audits", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("audits", sa.Column("count", sa.BigInteger, nullable=False, server_default="1"))
    told = {
        "sqlite": "json_extract(CAST(document AS TEXT), '$.count')",
        "postgresql": "(convert_from(document, 'UTF8')::json ->> 'count')::bigint",
    }[op.get_bind().dialect.name]
    op.execute(f"UPDATE audits SET count = COALESCE({told}, 1)")  # noqa: S608 - one of the two above


def downgrade() -> None:
    """Remove them."""
    for name in ("count", "techniques", "reason"):
        op.drop_column("audits", name)
    op.drop_table("custom_rules")
