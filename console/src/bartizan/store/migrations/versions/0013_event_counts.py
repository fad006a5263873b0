"""Counts of events by their facets for each quarter of an hour, made from the events that are there."""

from collections import Counter
from hashlib import blake2b

import msgspec
import sqlalchemy as sa
from alembic import op

from bartizan.store.portable import insert

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_QUARTER = 900_000
_AT_ONCE = 50_000
_SOURCES = {
    "runtime": (
        "audits",
        ("effect", "severity", "type", "reason", "app_id", "container_name", "image_name", "rule_name"),
    ),
    "waas": (
        "waas_audits",
        ("effect", "type", "protection", "app_id", "container_name", "image_name", "rule_name", "country"),
    ),
}
_FACETS = (
    "effect", "severity", "type", "reason", "protection", "app_id", "container_name", "image_name", "rule_name",
    "country",
)  # fmt: skip


def upgrade() -> None:
    """Create the tables and count what is there; of five million events that takes about a minute."""
    facets = op.create_table(
        "event_facets",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False, server_default="") for name in _FACETS),
    )
    counts = op.create_table(
        "event_counts",
        sa.Column("facets", sa.LargeBinary, primary_key=True),
        sa.Column("quarter", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    for kind, (table, names) in _SOURCES.items():
        _count(kind, sa.table(table, sa.column("id"), sa.column("time"), *map(sa.column, names)), names, facets, counts)


def _count(kind: str, events: sa.TableClause, names: tuple[str, ...], facets: sa.Table, counts: sa.Table) -> None:
    connection = op.get_bind()
    statement = sa.select(events.c.id, events.c.time, *(events.c[name] for name in names)).order_by(events.c.id)
    known = insert(facets).on_conflict_do_nothing(index_elements=["digest"])
    more = insert(counts)
    added = more.on_conflict_do_update(
        index_elements=["facets", "quarter"], set_={"count": counts.c.count + more.excluded.count}
    )
    after = -1
    while rows := connection.execute(statement.where(events.c.id > after).limit(_AT_ONCE)).all():
        after = rows[-1][0]
        found = Counter((tuple(row[2:]), row[1] // _QUARTER) for row in rows)
        digests = {
            values: blake2b(msgspec.json.encode((kind, *values)), digest_size=16).digest() for values, _ in found
        }
        connection.execute(
            known,
            [
                {"digest": digest, "kind": kind, **dict(zip(names, values, strict=True))}
                for values, digest in digests.items()
            ],
        )
        connection.execute(
            added,
            [
                {"facets": digests[values], "quarter": quarter, "count": count}
                for (values, quarter), count in found.items()
            ],
        )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("event_counts")
    op.drop_table("event_facets")
