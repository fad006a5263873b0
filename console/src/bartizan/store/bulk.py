"""Many rows at once, by the shortest way that the driver has."""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa


def insert_many(connection: sa.Connection, statement: sa.Insert, rows: Sequence[Mapping[str, Any]]) -> int:
    """
    Insert rows that all have the same columns; return how many were, -1 where the driver does not tell.

    SQLAlchemy prepares each parameter of each row anew, which costs SQLite more than the inserting: there the driver
    gets the compiled statement and plain tuples. Other drivers lose more by going row by row.
    """
    if not rows:
        return 0
    if connection.dialect.name != "sqlite":
        connection.execute(statement, list(rows))
        return -1
    text, ordered = _compiled(statement, tuple(rows[0]), connection.dialect)
    return connection.exec_driver_sql(text, [ordered(row) for row in rows]).rowcount


@lru_cache(maxsize=16)
def _compiled(
    statement: sa.Insert, names: tuple[str, ...], dialect: sa.Dialect
) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    compiled = statement.values(dict.fromkeys(names)).compile(dialect=dialect)
    return str(compiled), operator.itemgetter(*(compiled.positiontup or names))
