"""SQL that SQLite and PostgreSQL both take: what is the same in both is spelt here for both."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

__all__ = ["Key", "greatest", "insert", "least", "total"]

# Numbers that are given to rows and never run out. SQLite counts by itself only in a column that it calls INTEGER.
Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class least(GenericFunction[Any]):  # noqa: N801 - the name of the function in SQL
    """The smallest of several values of one row."""

    inherit_cache = True
    type = sa.BigInteger()


class greatest(GenericFunction[Any]):  # noqa: N801 - the name of the function in SQL
    """The largest of several values of one row."""

    inherit_cache = True
    type = sa.BigInteger()


class total(GenericFunction[Any]):  # noqa: N801 - the name of the function in SQLite
    """The sum of a column, 0 of none; beyond 2^53 SQLite gives about the sum, but never fails."""

    inherit_cache = True
    type = sa.Numeric()


@compiles(least, "sqlite")
def _least(element: least, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"min({compiler.process(element.clauses, **options)})"


@compiles(total, "postgresql")
def _total(element: total, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"coalesce(sum({compiler.process(element.clauses, **options)}), 0)"


@compiles(greatest, "sqlite")
def _greatest(element: greatest, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"max({compiler.process(element.clauses, **options)})"
