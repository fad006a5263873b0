"""Credentials of registries, and what is known of images."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "credentials",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
    )
    names = ("host", "repository", "tag", "digest", "manifest_digest", "architecture", "reference")
    op.create_table(
        "images",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in names),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("recorded", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("host", "repository", "tag", "digest", "architecture", name="images_once"),
    )
    op.create_index("images_digest", "images", ["digest", "architecture"])
    op.create_index("images_manifest", "images", ["manifest_digest", "architecture"])
    op.create_index("images_recorded", "images", ["recorded"])


def downgrade() -> None:
    """Remove the two tables."""
    for table in ("images", "credentials"):
        op.drop_table(table)
