"""The log of changes."""

from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.services.changes import Change, ChangeQuery, Head
from bartizan.store.access_tables import changes
from bartizan.store.database import Database
from bartizan.store.tables import settings

_HEAD = "changes.head"
_REFUSED = 400


class SqlChanges:
    """Implements `ChangeStore`; the head is among the settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, change: Change, head: Head) -> None:
        """Keep an entry, and that it is the last."""
        text = msgspec.json.encode(head).decode()
        values = {name: getattr(change, name) for name in change.__slots__}
        with self._database.write() as connection:
            connection.execute(changes.insert().values(values))
            moved = connection.execute(settings.update().where(settings.c.key == _HEAD).values(value=text))
            if not moved.rowcount:
                connection.execute(settings.insert().values(key=_HEAD, value=text))

    def head(self) -> Head | None:
        """Return where the chain ends; None for one that cannot be read."""
        with self._database.read() as connection:
            text = connection.execute(sa.select(settings.c.value).where(settings.c.key == _HEAD)).scalar()
        try:
            return msgspec.json.decode(text, type=Head) if text is not None else None
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None

    def page(self, query: ChangeQuery) -> list[Change]:
        """Return the newest matching entries."""
        wanted = sa.select(changes).where(*_conditions(query)).order_by(changes.c.id.desc()).limit(query.limit)
        with self._database.read() as connection:
            return [_change(row) for row in connection.execute(wanted)]

    def after(self, change: int, *, most: int) -> list[Change]:
        """Return the entries of greater ids, in order."""
        wanted = sa.select(changes).where(changes.c.id > change).order_by(changes.c.id).limit(most)
        with self._database.read() as connection:
            return [_change(row) for row in connection.execute(wanted)]


def _conditions(query: ChangeQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.before is not None:
        found.append(changes.c.id < query.before)
    if query.users:
        found.append(changes.c.user.in_(query.users))
    if query.types:
        found.append(changes.c.type.in_(query.types))
    if query.since is not None:
        found.append(changes.c.time >= query.since)
    if query.until is not None:
        found.append(changes.c.time <= query.until)
    if query.refused is not None:
        found.append(changes.c.status >= _REFUSED if query.refused else changes.c.status < _REFUSED)
    if query.text:
        found.append(changes.c.path.icontains(query.text, autoescape=True))
    return found


def _change(row: Any) -> Change:  # noqa: ANN401 - a row of this table
    return Change(
        id=row.id,
        time=row.time,
        user=row.user,
        type=row.type,
        source=row.source,
        method=row.method,
        path=row.path,
        status=row.status,
        document=row.document,
        hash=row.hash,
    )
