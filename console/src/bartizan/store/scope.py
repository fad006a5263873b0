"""
Which rows are of workloads that collections cover, as a condition of SQL.

It says what `policy.match.covers` says (a property test holds the two against each other). Both databases fold the case
of ASCII alone alike: a name with other letters passes only a field that takes every name, so that a row is rather
hidden than shown. That is no loss for images and containers, whose names have no other letters.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from bartizan.policy.match import covers
from bartizan.policy.model import ANY, Collection, Workload

_Text = sa.ColumnElement[str]
_ESCAPE = "/"


class ascii_lower(GenericFunction[str]):  # noqa: N801 - the name of a function in SQL
    """A text with its ASCII letters in lower case, and all others as they are."""

    inherit_cache = True
    type = sa.Text()


class byte_length(GenericFunction[int]):  # noqa: N801 - the name of a function in SQL
    """How many bytes a text has in UTF-8."""

    inherit_cache = True
    type = sa.Integer()


class other_image(GenericFunction[str]):  # noqa: N801 - the name of a function in SQL
    """The other spelling of an image's name (`policy.match.image_names`), or the same one."""

    inherit_cache = True
    type = sa.Text()


_OTHER_IMAGE = (
    "CASE WHEN {0} = '' THEN '' WHEN substr({0}, 1, 18) = 'docker.io/library/' THEN substr({0}, 19) "
    "WHEN substr({0}, 1, 10) = 'docker.io/' THEN substr({0}, 11) "
    "WHEN {1}({0}, '/') = 0 THEN 'docker.io/library/' || {0} "
    "WHEN substr({0}, 1, 10) = 'localhost/' OR {1}(substr({0}, 1, {1}({0}, '/')), '.') > 0 "
    "OR {1}(substr({0}, 1, {1}({0}, '/')), ':') > 0 THEN {0} ELSE 'docker.io/' || {0} END"
)


@compiles(ascii_lower, "sqlite")
def _lower_of_sqlite(element: ascii_lower, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(ascii_lower, "postgresql")
def _lower_of_postgresql(element: ascii_lower, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f'lower(({compiler.process(element.clauses, **options)}) COLLATE "C")'


@compiles(byte_length, "sqlite")
def _bytes_of_sqlite(element: byte_length, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


@compiles(byte_length, "postgresql")
def _bytes_of_postgresql(element: byte_length, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"octet_length({compiler.process(element.clauses, **options)})"


@compiles(other_image, "sqlite")
def _other_of_sqlite(element: other_image, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"({_OTHER_IMAGE.format(compiler.process(element.clauses, **options), 'instr')})"


@compiles(other_image, "postgresql")
def _other_of_postgresql(element: other_image, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the compiler's own
    return f"({_OTHER_IMAGE.format(compiler.process(element.clauses, **options), 'strpos')})"


def covered(table: sa.FromClause, within: Sequence[Collection] | None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a row's workload lies in one of these collections; None is no condition."""
    if within is None:
        return []
    return [_any([_covered_by(table, collection) for collection in dict.fromkeys(within)])]


def _covered_by(table: sa.FromClause, collection: Collection) -> sa.ColumnElement[bool]:
    # What a row does not tell has the same answer for all of them.
    rest = dataclasses.replace(collection, images=ANY, containers=ANY, app_ids=ANY)
    if not covers(rest, Workload(app_id="")):
        return sa.false()
    image: _Text = table.c.image_name
    return sa.and_(
        _field(collection.app_ids, table.c.app_id),
        _field(collection.containers, table.c.container_name),
        _field(collection.images, image, lambda: other_image(image)),
    )


def _field(patterns: Iterable[str], name: _Text, other: Callable[[], _Text] | None = None) -> sa.ColumnElement[bool]:
    given = list(dict.fromkeys(patterns))
    excluded = [pattern[1:].casefold() for pattern in given if pattern.startswith("-")]
    included = [pattern.casefold() for pattern in given if not pattern.startswith("-")]
    if not excluded and any(_takes_all(pattern) for pattern in included):
        return sa.true()
    lowered = [ascii_lower(spelling) for spelling in ((name,) if other is None else (name, other()))]
    return sa.and_(
        byte_length(name) == sa.func.length(name),
        sa.not_(_any(_matches(lowered, excluded)).self_group()),
        _any(_matches(lowered, included)),
    )


def _matches(names: Sequence[_Text], patterns: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    """Return conditions of which one holds where one of these names matches one of these patterns."""
    possible = [pattern for pattern in patterns if pattern.isascii()]
    whole = [pattern for pattern in possible if "*" not in pattern]
    globs = [pattern for pattern in possible if "*" in pattern]
    if any(map(_takes_all, globs)):
        return [sa.true()]
    found: list[sa.ColumnElement[bool]] = [name.in_(whole) for name in names if whole]
    return found + [name.like(_like(pattern), escape=_ESCAPE) for pattern in globs for name in names]


def _any(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    """Return that one of them holds, as a tree that is not deep: SQLite takes no more than a thousand levels."""
    if not conditions:
        return sa.false()
    if len(conditions) <= 2:  # noqa: PLR2004 - a pair
        return sa.or_(*conditions)
    middle = len(conditions) // 2
    return sa.or_(*(_any(half).self_group() for half in (conditions[:middle], conditions[middle:])))


def _takes_all(pattern: str) -> bool:
    return bool(pattern) and not pattern.strip("*")


def _like(pattern: str) -> str:
    escaped = pattern.replace(_ESCAPE, _ESCAPE * 2).replace("%", f"{_ESCAPE}%").replace("_", f"{_ESCAPE}_")
    return escaped.replace("*", "%")
