"""
Runtime audits and WAAS events side by side.

Every question first finds the place in the index by time that it looks no further than, so that its work is bounded
whatever its conditions are, and an index for each condition, which ingest would pay for, is not needed. For somebody
who is limited to collections that place is found among the events that they see: the answer tells it, and it must not
tell of others' events.
"""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from bartizan.policy.model import Within
from bartizan.services.events import EventKind, Scan, Tally
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.interfaces import AuditQuery
from bartizan.store import audits as runtime
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
        """Count the newest `most` events by their values of these facets."""
        columns = [_columns(kind)[name] for name in names]
        with self._database.read() as connection:
            bound, end = _newest(connection, kind, query, most)
            statement = sa.select(*columns, sa.func.count()).where(*_conditions(query), *bound)
            counts = {tuple(row[:-1]): int(row[-1]) for row in connection.execute(statement.group_by(*columns))}
        return Tally(counts=counts, end=end)

    def slices(
        self, kind: EventKind, query: Query, *, start: int, width: int, most: int
    ) -> tuple[dict[tuple[int, str], int], int | None]:
        """Count the newest `most` events by bucket and effect; and how far back was looked (None: to the end)."""
        table = _TABLES[kind]
        # Written into the statement: PostgreSQL takes two parameters of the same value for two expressions.
        first, step = (sa.literal_column(str(int(value)), sa.BigInteger) for value in (start, width))
        bucket = (table.c.time - first) // step
        with self._database.read() as connection:
            bound, end = _newest(connection, kind, query, most)
            statement = sa.select(bucket, table.c.effect, sa.func.count()).where(*_conditions(query), *bound)
            rows = connection.execute(statement.group_by(bucket, table.c.effect)).all()
        return {(int(row[0]), row[1]): int(row[2]) for row in rows}, end

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
