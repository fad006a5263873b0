"""Discovered interfaces."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.policy.discovery import MOST_OPERATIONS, Discovered, Operation, OperationKey, Shape, combined
from bartizan.services.discoveries import DiscoveredApplication, DiscoveryKey, DiscoveryQuery
from bartizan.store.database import Database
from bartizan.store.portable import insert, least, total
from bartizan.store.tables import waas_interfaces as interfaces
from bartizan.store.tables import waas_operations as operations

_FLAGS = ("sensitive", "unauthenticated", "unencrypted")
_LARGEST = 2**62
# SQLite has a most of variables for one statement.
_AT_ONCE = 500


class _Document(msgspec.Struct, frozen=True, omit_defaults=True):
    statuses: dict[str, int]
    query: Shape = Shape()
    body: Shape = Shape()


class SqlDiscoveries:
    """Implements `DiscoveryStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def merge(self, key: DiscoveryKey, news: Discovered, *, rule: str, now: int, most_names: int) -> None:
        """Add what was learnt of an application, which is made if it is not there."""
        with self._database.write() as connection:
            number, wide = _interface(connection, key, now)
            known = _known(connection, number, wide, news)
            both = combined(known, news)
            gone = known.operations.keys() - both.operations.keys()
            changed = [item for place, item in both.operations.items() if item != known.operations.get(place)]
            _remove(connection, number, gone)
            _put(connection, number, changed, known, most_names)
            dropped = news.dropped + _drop_oldest(connection, number)
            values = {
                "rule": rule,
                "last": now,
                "wide": msgspec.json.encode(sorted(both.wide)),
                "dropped": least(interfaces.c.dropped + dropped, _LARGEST),
            }
            connection.execute(interfaces.update().where(interfaces.c.id == number).values(values))

    def applications(self, query: DiscoveryQuery) -> list[DiscoveredApplication]:
        """Return the applications that match, by App ID and name."""
        statement = (
            sa.select(
                interfaces,
                sa.func.count(operations.c.id).label("operations"),
                total(operations.c.hits).label("hits"),
                sa.func.coalesce(sa.func.min(operations.c.first_seen), interfaces.c.started).label("first_seen"),
                sa.func.coalesce(sa.func.max(operations.c.last_seen), interfaces.c.last).label("last_seen"),
            )
            .join(operations, operations.c.interface == interfaces.c.id, isouter=True)
            .where(*_whose(query))
            .group_by(interfaces.c.id)
            .order_by(interfaces.c.app_id, interfaces.c.application)
        )
        with self._database.read() as connection:
            return [
                DiscoveredApplication(
                    key=DiscoveryKey(app_id=row.app_id, application=row.application),
                    rule=row.rule,
                    first_seen=row.first_seen,
                    last_seen=row.last_seen,
                    operations=row.operations,
                    hits=int(row.hits),
                    dropped=row.dropped,
                )
                for row in connection.execute(statement)
            ]

    def places(self, query: DiscoveryQuery) -> list[tuple[int, DiscoveryKey, str, str, str]]:
        """Return (number, application, its rule, path, method) of all operations that match, in this order."""
        conditions = _whose(query)
        if query.methods:
            conditions.append(operations.c.method.in_(query.methods))
        if query.path:
            conditions.append(operations.c.path.contains(query.path, autoescape=True))
        conditions.extend(operations.c[risk] == 1 for risk in query.risks)
        order = (interfaces.c.app_id, interfaces.c.application, operations.c.path, operations.c.method)
        statement = (
            sa.select(operations.c.id, *order, interfaces.c.rule)
            .join(interfaces, operations.c.interface == interfaces.c.id)
            .where(*conditions)
            .order_by(*order)
        )
        with self._database.read() as connection:
            return [
                (row.id, DiscoveryKey(app_id=row.app_id, application=row.application), row.rule, row.path, row.method)
                for row in connection.execute(statement)
            ]

    def operations(self, numbers: Sequence[int]) -> dict[int, Operation]:
        """Return operations by their numbers."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(operations).where(operations.c.id.in_(numbers)))
            return {row.id: _read(row) for row in rows}

    def of_application(self, key: DiscoveryKey) -> list[Operation]:
        """Return all operations of an application."""
        statement = (
            sa.select(operations)
            .join(interfaces, operations.c.interface == interfaces.c.id)
            .where(interfaces.c.app_id == key.app_id, interfaces.c.application == key.application)
            .order_by(operations.c.path, operations.c.method)
        )
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(statement)]

    def forget(self, key: DiscoveryKey) -> bool:
        """Remove an application; False when it is not there."""
        statement = interfaces.delete().where(
            interfaces.c.app_id == key.app_id, interfaces.c.application == key.application
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0

    def prune(self, *, most: int) -> int:
        """Remove the applications that were not heard of for longest beyond `most`; return how many went."""
        old = sa.select(interfaces.c.id).order_by(interfaces.c.last.desc(), interfaces.c.id.desc())
        with self._database.read() as connection:
            gone = list(connection.execute(old.offset(most)).scalars())
        if not gone:
            return 0
        with self._database.write() as connection:
            return connection.execute(interfaces.delete().where(interfaces.c.id.in_(gone))).rowcount


def _whose(query: DiscoveryQuery) -> list[sa.ColumnElement[bool]]:
    pairs = ((interfaces.c.app_id, query.app_ids), (interfaces.c.application, query.applications))
    return [column.in_(values) for column, values in pairs if values]


def _interface(connection: sa.Connection, key: DiscoveryKey, now: int) -> tuple[int, frozenset[str]]:
    whose = {"app_id": key.app_id, "application": key.application}
    fresh = {"rule": "", "started": now, "last": now, "dropped": 0, "wide": b"[]"}
    connection.execute(insert(interfaces).values(whose | fresh).on_conflict_do_nothing())
    conditions = (interfaces.c[name] == value for name, value in whose.items())
    row = connection.execute(sa.select(interfaces.c.id, interfaces.c.wide).where(*conditions)).one()
    return row.id, frozenset(msgspec.json.decode(row.wide, type=list[str]))


def _known(connection: sa.Connection, number: int, wide: frozenset[str], news: Discovered) -> Discovered:
    """Return what the news may change: all operations when paths are wide that were not, else those they speak of."""
    statement = sa.select(operations).where(operations.c.interface == number)
    rows: list[sa.Row[Any]] = []
    if news.wide <= wide:
        paths = sorted({path for path, _ in combined(Discovered(wide=wide), news).operations})
        for start in range(0, len(paths), _AT_ONCE):
            rows += connection.execute(statement.where(operations.c.path.in_(paths[start : start + _AT_ONCE])))
    else:
        rows += connection.execute(statement)
    found = map(_read, rows)
    return Discovered(operations={operation.key: operation for operation in found}, wide=wide)


def _remove(connection: sa.Connection, number: int, gone: set[OperationKey]) -> None:
    for path, method in gone:
        which = (operations.c.interface == number, operations.c.path == path, operations.c.method == method)
        connection.execute(operations.delete().where(*which))


def _put(
    connection: sa.Connection, number: int, changed: Sequence[Operation], known: Discovered, most_names: int
) -> None:
    """Write operations; one whose shapes find no room keeps those that it had."""
    taken = sa.select(sa.func.coalesce(sa.func.sum(operations.c.names), 0)).where(operations.c.interface == number)
    room = most_names - int(connection.execute(taken).scalar_one())
    for given in changed:
        before = known.operations.get(given.key)
        had = 0 if before is None else before.names
        operation = given
        if given.names > had and given.names - had > room:
            query, body = (Shape(), Shape()) if before is None else (before.query, before.body)
            operation = msgspec.structs.replace(given, query=query, body=body)
        room -= operation.names - had
        row = _row(number, operation)
        statement = insert(operations).values(row)
        connection.execute(statement.on_conflict_do_update(index_elements=["interface", "path", "method"], set_=row))


def _drop_oldest(connection: sa.Connection, number: int) -> int:
    """Remove the operations that were not asked for for longest beyond what is kept; return the requests they had."""
    order = (operations.c.last_seen.desc(), operations.c.path.desc(), operations.c.method.desc())
    kept = sa.select(operations.c.id, operations.c.hits).where(operations.c.interface == number).order_by(*order)
    old = connection.execute(kept.offset(MOST_OPERATIONS)).all()
    for row in old:
        connection.execute(operations.delete().where(operations.c.id == row.id))
    return min(sum(int(row.hits) for row in old), _LARGEST // 2)


def _row(number: int, operation: Operation) -> dict[str, Any]:
    document = _Document(statuses=operation.statuses, query=operation.query, body=operation.body)
    return {
        "interface": number,
        "path": operation.path,
        "method": operation.method,
        "hits": operation.hits,
        "first_seen": operation.first_seen,
        "last_seen": operation.last_seen,
        **{flag: int(getattr(operation, flag)) for flag in _FLAGS},
        "names": operation.names,
        "document": msgspec.json.encode(document),
    }


def _read(row: sa.Row[Any]) -> Operation:
    document = msgspec.json.decode(row.document, type=_Document)
    return Operation(
        path=row.path,
        method=row.method,
        hits=row.hits,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        statuses=document.statuses,
        query=document.query,
        body=document.body,
        **{flag: bool(row._mapping[flag]) for flag in _FLAGS},  # noqa: SLF001 - its public name
    )
