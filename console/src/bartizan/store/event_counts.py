"""
How many events of which facets there were in each quarter of an hour, kept in the transactions that keep the events.

So counts over millions need not look at each of them: the whole quarters of a span are counted here, and what is left
of a quarter at both ends among the events themselves.
"""

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from bartizan.services.events import QUARTER, EventKind
from bartizan.store.bulk import insert_many
from bartizan.store.portable import insert
from bartizan.store.tables import metadata

NAMES = {
    EventKind.RUNTIME: ("effect", "severity", "type", "reason", "app_id", "container_name", "image_name", "rule_name"),
    EventKind.WAAS: (
        "effect", "type", "protection", "app_id", "container_name", "image_name", "rule_name", "country",
    ),
}  # fmt: skip
"""The columns of the events that their facets are in."""
MOST_FACETS = 20_000
MOST_COUNTS = 1_000_000
"""With more combinations of facets, or more counts of the span asked for, counting here would take too long."""

event_facets = Table(
    "event_facets",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    *(Column(name, Text, nullable=False, server_default="")
      for name in ("effect", "severity", "type", "reason", "protection", "app_id", "container_name", "image_name",
                   "rule_name", "country")),
)  # fmt: skip

event_counts = Table(
    "event_counts",
    metadata,
    # The facets first: sums over long times are read in their order.
    Column("facets", LargeBinary, primary_key=True),
    Column("quarter", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

FACET_COLUMNS: dict[str, sa.Column[Any]] = {
    "effect": event_facets.c.effect,
    "severity": event_facets.c.severity,
    "type": event_facets.c.type,
    "reason": event_facets.c.reason,
    "protection": event_facets.c.protection,
    "appID": event_facets.c.app_id,
    "containerName": event_facets.c.container_name,
    "imageName": event_facets.c.image_name,
    "ruleName": event_facets.c.rule_name,
    "country": event_facets.c.country,
}

Kept = Mapping[str, Any] | sa.RowMapping
"""The columns of one event: `time` and those that its facets are in."""

_KNOWN = insert(event_facets).on_conflict_do_nothing(index_elements=["digest"])
_COUNTED = insert(event_counts)
_ADDED = _COUNTED.on_conflict_do_update(
    index_elements=["facets", "quarter"], set_={"count": event_counts.c.count + _COUNTED.excluded.count}
)


def count_in(connection: sa.Connection, kind: EventKind, rows: Iterable[Kept]) -> None:
    """Count events that were just kept."""
    counts = _counts(kind, rows)
    facets = {values for values, _ in counts}
    insert_many(connection, _KNOWN, [_facets_row(kind, values) for values in facets])
    added = [
        {"facets": _digest(kind, values), "quarter": quarter, "count": count}
        for (values, quarter), count in counts.items()
    ]
    insert_many(connection, _ADDED, added)


def count_out(connection: sa.Connection, kind: EventKind, rows: Iterable[Kept], *, tidy: bool) -> None:
    """Take back the counts of events that were just removed; `tidy` also removes facets that nothing has any more."""
    gone = [
        {"f": _digest(kind, values), "q": quarter, "n": count}
        for (values, quarter), count in _counts(kind, rows).items()
    ]
    if gone:
        one = sa.and_(event_counts.c.facets == sa.bindparam("f"), event_counts.c.quarter == sa.bindparam("q"))
        taken = event_counts.update().where(one).values(count=event_counts.c.count - sa.bindparam("n"))
        connection.execute(taken, gone)
        keys = [{"f": row["f"], "q": row["q"]} for row in gone]
        connection.execute(event_counts.delete().where(one, event_counts.c.count <= 0), keys)
    if tidy:
        used = sa.select(event_counts.c.facets).distinct()
        connection.execute(event_facets.delete().where(event_facets.c.digest.not_in(used)))


def too_many(connection: sa.Connection, kind: EventKind, first: int, last: int) -> bool:
    """Return whether counting these quarters (both inclusive) would take too long."""
    of_kind = sa.select(event_facets.c.digest).where(event_facets.c.kind == kind.value).limit(MOST_FACETS + 1)
    facets = connection.execute(sa.select(sa.func.count()).select_from(of_kind.subquery())).scalar_one()
    if facets > MOST_FACETS:
        return True
    if facets * (last + 1 - first) <= MOST_COUNTS:
        return False
    counts = sa.select(event_counts.c.quarter).where(event_counts.c.quarter.between(first, last))
    return connection.execute(counts.offset(MOST_COUNTS).limit(1)).first() is not None


def tally(
    connection: sa.Connection, kind: EventKind, names: Sequence[str], equal: Mapping[str, tuple[str, ...]],
    first: int, last: int,
) -> dict[tuple[str, ...], int]:  # fmt: skip
    """Return the counts of these quarters (both inclusive) by the values of these facets."""
    columns = [FACET_COLUMNS[name] for name in names]
    summed = (
        sa.select(event_counts.c.facets, sa.func.sum(event_counts.c.count).label("total"))
        .where(event_counts.c.quarter.between(first, last))
        .group_by(event_counts.c.facets)
        .subquery()
    )
    statement = sa.select(*columns, summed.c.total).join(summed, summed.c.facets == event_facets.c.digest)
    found: Counter[tuple[str, ...]] = Counter()
    for row in connection.execute(statement.where(*_conditions(kind, equal))):
        found[tuple(row[:-1])] += int(row[-1])
    return dict(found)


def slices(
    connection: sa.Connection, kind: EventKind, equal: Mapping[str, tuple[str, ...]], *,
    first: int, last: int, start: int, width: int,
) -> dict[tuple[int, str], int]:  # fmt: skip
    """Return the counts of these quarters by bucket and effect; buckets begin at `start`, all numbers are quarters."""
    begin, step = (sa.literal_column(str(int(value)), sa.BigInteger) for value in (start, width))
    bucket = (event_counts.c.quarter - begin) // step
    statement = (
        sa.select(bucket, event_facets.c.effect, sa.func.sum(event_counts.c.count))
        .join_from(event_facets, event_counts, event_counts.c.facets == event_facets.c.digest)
        .where(event_counts.c.quarter.between(first, last), *_conditions(kind, equal))
        .group_by(bucket, event_facets.c.effect)
    )
    return {(int(row[0]), row[1]): int(row[2]) for row in connection.execute(statement)}


def _conditions(kind: EventKind, equal: Mapping[str, tuple[str, ...]]) -> list[sa.ColumnElement[bool]]:
    chosen = [FACET_COLUMNS[name].in_(values) for name, values in equal.items() if values]
    return [event_facets.c.kind == kind.value, *chosen]


def _counts(kind: EventKind, rows: Iterable[Kept]) -> Counter[tuple[tuple[str, ...], int]]:
    values = operator.itemgetter(*NAMES[kind])
    return Counter([(values(row), row["time"] // QUARTER) for row in rows])


@lru_cache(maxsize=4096)
def _facets_row(kind: EventKind, values: tuple[str, ...]) -> dict[str, Any]:
    """Return the row of a kind and the values of its facets; the digest stands for them, whatever these are."""
    named = dict(zip(NAMES[kind], values, strict=True))
    return {
        "digest": blake2b(msgspec.json.encode((kind.value, *values)), digest_size=16).digest(),
        "kind": kind.value,
        **{column.name: named.get(column.name, "") for column in FACET_COLUMNS.values()},
    }


def _digest(kind: EventKind, values: tuple[str, ...]) -> bytes:
    digest: bytes = _facets_row(kind, values)["digest"]
    return digest
