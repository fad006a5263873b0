"""
Runtime audits and WAAS events side by side.

Every question first finds the place in the index by time that it looks no further than, so that its work is bounded
whatever its conditions are, and an index for each condition, which ingest would pay for, is not needed. For somebody
who is limited to collections that place is found among the events that they see: the answer tells it, and it must not
tell of others' events. Counts of more events than that come from those which are kept for each quarter of an hour
(`event_counts`), where they can; never for the limited, whose events these do not tell apart.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from bartizan.policy.model import Within
from bartizan.services.events import QUARTER, RUNTIME_FACETS, WAAS_FACETS, EventKind, Scan, Tally
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.interfaces import AuditQuery
from bartizan.store import audits as runtime
from bartizan.store import event_counts
from bartizan.store import firewall_audits as waas
from bartizan.store.database import Database
from bartizan.store.scope import covered
from bartizan.store.tables import audits, waas_audits

Query = AuditQuery | FirewallQuery
_TABLES: dict[EventKind, sa.Table] = {EventKind.RUNTIME: audits, EventKind.WAAS: waas_audits}


class SqlEvents:
    """Implements `EventStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def scan(
        self, kind: EventKind, query: Query, *, beyond: tuple[int, int] | None, older: bool, limit: int, most: int
    ) -> Scan:
        """Return the next events beyond a (time, id), at most `limit`, looking at no more than `most`."""
        table = _TABLES[kind]
        key = sa.tuple_(table.c.time, table.c.id)
        order = (table.c.time.desc(), table.c.id.desc()) if older else (table.c.time.asc(), table.c.id.asc())
        after = [] if beyond is None else [key < sa.tuple_(*beyond) if older else key > sa.tuple_(*beyond)]
        with self._database.read() as connection:
            end = _place(connection, table, [*_span(table, query), *after], order, most - 1)
            statement = sa.select(table.c.time, table.c.id, table.c.document).where(*_conditions(query), *after)
            if end is not None:
                statement = statement.where(key >= sa.tuple_(*end) if older else key <= sa.tuple_(*end))
            rows = connection.execute(statement.order_by(*order).limit(limit)).all()
        found = [(row.time, row.id, row.document) for row in rows]
        return Scan(rows=found, end=(found[-1][0], found[-1][1]) if len(found) == limit else end)

    def tally(self, kind: EventKind, query: Query, *, names: Sequence[str], most: int) -> Tally:
        """Count events by their values of these facets: all by the kept counts, or the newest `most`."""
        with self._database.read() as connection:
            bound, end = _newest(connection, kind, query, most)
            whole = None if end is None else _whole(connection, kind, query, most)
            if whole is None:
                return Tally(counts=_tally(connection, kind, names, [*_conditions(query), *bound]), end=end)
            counts = Counter(event_counts.tally(connection, kind, names, query.equal, whole.first, whole.last))
            for edge in whole.edges:
                counts.update(_tally(connection, kind, names, _conditions(edge)))
        return Tally(counts=dict(counts))

    def counted(self, kind: EventKind, query: Query, *, most: int) -> bool:
        """Return whether there are more than `most` events and these can be taken from the kept counts."""
        with self._database.read() as connection:
            crowded = _newest(connection, kind, query, most)[1] is not None
            return crowded and _whole(connection, kind, query, most) is not None

    def slices(
        self, kind: EventKind, query: Query, *, start: int, width: int, most: int
    ) -> tuple[dict[tuple[int, str], int], int | None]:
        """Count events by bucket and effect; and return how far back was looked (None: to the end)."""
        with self._database.read() as connection:
            bound, end = _newest(connection, kind, query, most)
            in_quarters = end is not None and start % QUARTER == 0 and width % QUARTER == 0
            whole = _whole(connection, kind, query, most) if in_quarters else None
            if whole is None:
                return _slices(connection, kind, [*_conditions(query), *bound], start, width), end
            counts = Counter(
                event_counts.slices(
                    connection, kind, query.equal,
                    first=whole.first, last=whole.last, start=start // QUARTER, width=width // QUARTER,
                )
            )  # fmt: skip
            for edge in whole.edges:
                counts.update(_slices(connection, kind, _conditions(edge), start, width))
        return dict(counts), None

    def oldest(self, within: Within) -> int | None:
        """Return the time of the oldest event, None when there is none."""
        with self._database.read() as connection:
            times = [_extreme(connection, sa.func.min, table.c.time, within) for table in _TABLES.values()]
        return min((time for time in times if time is not None), default=None)

    def newest_ids(self, within: Within) -> tuple[int, int]:
        """Return the highest ids that there are, of both kinds."""
        with self._database.read() as connection:
            found = [_extreme(connection, sa.func.max, table.c.id, within) for table in _TABLES.values()]
        return found[0] or 0, found[1] or 0

    def since(self, kind: EventKind, query: Query, *, limit: int) -> list[tuple[int, bytes]]:
        """Return (id, document) of the events with ids above the query's `after_id`, in their order."""
        table = _TABLES[kind]
        statement = sa.select(table.c.id, table.c.document).where(*_conditions(query))
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(table.c.id).limit(limit))
            return [(row.id, row.document) for row in rows]

    def one(self, kind: EventKind, number: int, within: Within) -> bytes | None:
        """Return the document of one event."""
        table = _TABLES[kind]
        with self._database.read() as connection:
            wanted = (table.c.id == number, *covered(table, within))
            return connection.execute(sa.select(table.c.document).where(*wanted)).scalar()


def _extreme(
    connection: sa.Connection, function: Callable[..., sa.ColumnElement[Any]], column: sa.Column[Any], within: Within
) -> int | None:
    found = connection.execute(sa.select(function(column)).where(*covered(column.table, within))).scalar()
    return None if found is None else int(found)


@dataclass(frozen=True, slots=True)
class _Whole:
    """The whole quarters of a question's time, both inclusive, and the questions for what is left of it."""

    first: int
    last: int
    edges: tuple[Query, ...]


def _whole(connection: sa.Connection, kind: EventKind, query: Query, most: int) -> _Whole | None:
    """Return how the kept counts answer a question; None when they do not, or not soon."""
    nothing_else = replace(query, start=None, end=None, equal={}, sort="time", descending=True, offset=0, limit=50)
    named = {name for name, values in query.equal.items() if values}
    if nothing_else != type(query)() or not named <= set(RUNTIME_FACETS if kind is EventKind.RUNTIME else WAAS_FACETS):
        return None
    table = _TABLES[kind]
    oldest, newest = (
        int(connection.execute(sa.select(of(table.c.time))).scalar() or 0) for of in (sa.func.min, sa.func.max)
    )
    start = oldest if query.start is None else max(oldest, query.start)
    end = newest if query.end is None else min(newest, query.end)
    # Before the oldest and behind the newest event there is nothing: those quarters are whole.
    first = start // QUARTER if start == oldest else -(-start // QUARTER)
    last = end // QUARTER if end == newest else (end + 1) // QUARTER - 1
    if first > last or event_counts.too_many(connection, kind, first, last):
        return None
    edges = []
    for begin, until in ((start, first * QUARTER - 1), ((last + 1) * QUARTER, end)):
        if begin <= until:
            edge = replace(query, start=begin, end=until)
            if _newest(connection, kind, edge, most)[1] is not None:
                return None
            edges.append(edge)
    return _Whole(first, last, tuple(edges))


def _tally(
    connection: sa.Connection, kind: EventKind, names: Sequence[str], conditions: Sequence[sa.ColumnElement[bool]]
) -> dict[tuple[str, ...], int]:
    columns = [_columns(kind)[name] for name in names]
    statement = sa.select(*columns, sa.func.count()).where(*conditions).group_by(*columns)
    return {tuple(row[:-1]): int(row[-1]) for row in connection.execute(statement)}


def _slices(
    connection: sa.Connection, kind: EventKind, conditions: Sequence[sa.ColumnElement[bool]], start: int, width: int
) -> dict[tuple[int, str], int]:
    table = _TABLES[kind]
    # Written into the statement: PostgreSQL takes two parameters of the same value for two expressions.
    first, step = (sa.literal_column(str(int(value)), sa.BigInteger) for value in (start, width))
    bucket = (table.c.time - first) // step
    statement = sa.select(bucket, table.c.effect, sa.func.count()).where(*conditions)
    rows = connection.execute(statement.group_by(bucket, table.c.effect))
    return {(int(row[0]), row[1]): int(row[2]) for row in rows}


def _newest(
    connection: sa.Connection, kind: EventKind, query: Query, most: int
) -> tuple[list[sa.ColumnElement[bool]], int | None]:
    """Return the condition that leaves the newest `most` events of the query's time, and the time where they begin."""
    table = _TABLES[kind]
    place = _place(connection, table, _span(table, query), (table.c.time.desc(), table.c.id.desc()), most - 1)
    return ([], None) if place is None else ([table.c.time >= place[0]], place[0])


def _place(
    connection: sa.Connection,
    table: sa.Table,
    conditions: Sequence[sa.ColumnElement[bool]],
    order: tuple[sa.UnaryExpression[Any], ...],
    offset: int,
) -> tuple[int, int] | None:
    """Return the (time, id) so many events on, None when there are fewer; the index alone is read."""
    statement = sa.select(table.c.time, table.c.id).where(*conditions).order_by(*order).offset(offset).limit(1)
    row = connection.execute(statement).first()
    return None if row is None else (row.time, row.id)


def _span(table: sa.Table, query: Query) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that an index serves (the time, and the application where it is one), and what hides."""
    found = covered(table, query.within)
    if query.start is not None:
        found.append(table.c.time >= query.start)
    if query.end is not None:
        found.append(table.c.time <= query.end)
    apps = query.equal.get("appID", ())
    if len(apps) == 1 and table is audits:
        found.append(table.c.app_id == apps[0])
    return found


def _columns(kind: EventKind) -> dict[str, sa.Column[Any]]:
    return runtime.COLUMNS if kind is EventKind.RUNTIME else waas.COLUMNS


def _conditions(query: Query) -> list[sa.ColumnElement[bool]]:
    if isinstance(query, AuditQuery):
        return runtime.conditions(query)
    return waas.conditions(query)
