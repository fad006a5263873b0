"""Comments on revisions of policies, the history of custom rules, and how often rules matched."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the tables."""
    for table in ("policies", "waas_policies"):
        op.add_column(table, sa.Column("comment", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "custom_rule_revisions",
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("rule", sa.Integer, nullable=False),
        sa.Column("document", sa.LargeBinary),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Index("custom_rule_revisions_rule", "rule", "revision"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rule_hits",
        sa.Column("policy", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("rule_hits")
    op.drop_table("custom_rule_revisions")
    for table in ("policies", "waas_policies"):
        op.drop_column(table, "comment")
