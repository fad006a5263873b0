"""The fetched records."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bartizan.services.forensics import SnapshotRow
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.tables import snapshot_pieces, snapshots


class SqlSnapshots:
    """Implements `SnapshotStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: SnapshotRow) -> int:
        """Keep a new one and return its id."""
        statement = insert(snapshots).values(_values(row) | {"size": 0}).returning(snapshots.c.id)
        with self._database.write() as connection:
            return int(connection.execute(statement).scalar_one())

    def put_piece(self, row: SnapshotRow, *, piece: int, content: bytes) -> None:
        """Keep a piece together with the present state of its snapshot."""
        with self._database.write() as connection:
            changed = connection.execute(
                snapshots.update()
                .where(snapshots.c.id == row.id)
                .values(_values(row) | {"size": snapshots.c.size + len(content)})
            )
            # It may have been pruned meanwhile.
            if changed.rowcount:
                connection.execute(insert(snapshot_pieces).values(snapshot=row.id, piece=piece, content=content))

    def set_state(self, row: SnapshotRow) -> None:
        """Keep the present state of a snapshot."""
        with self._database.write() as connection:
            connection.execute(snapshots.update().where(snapshots.c.id == row.id).values(_values(row)))

    def get(self, number: int) -> SnapshotRow | None:
        """Return a snapshot."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(snapshots).where(snapshots.c.id == number)).first()
        return _read(row) if row is not None else None

    def page(self, *, app_ids: Sequence[str], offset: int, limit: int) -> tuple[list[SnapshotRow], int]:
        """Return one page, the newest first, and how many there are in all."""
        conditions = [snapshots.c.app_id.in_(app_ids)] if app_ids else []
        statement = sa.select(snapshots).where(*conditions).order_by(snapshots.c.id.desc())
        count = sa.select(sa.func.count()).select_from(snapshots).where(*conditions)
        with self._database.read() as connection:
            rows = connection.execute(statement.offset(offset).limit(limit)).all()
            total = int(connection.execute(count).scalar_one())
        return [_read(row) for row in rows], total

    def around(self, *, incident: int, instance: str, container: str | None, since: int) -> list[SnapshotRow]:
        """Return those of an incident, and those of its workload that were asked for since then, the newest first."""
        same = snapshots.c.container.is_(None) if container is None else snapshots.c.container == container
        of_workload = sa.and_(snapshots.c.instance == instance, same, snapshots.c.time >= since)
        wanted = sa.or_(snapshots.c.incident == incident, of_workload)
        statement = sa.select(snapshots).where(wanted).order_by(snapshots.c.id.desc())
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(statement)]

    def piece(self, number: int, *, piece: int) -> bytes | None:
        """Return a piece of a snapshot, None behind the last."""
        statement = sa.select(snapshot_pieces.c.content).where(
            snapshot_pieces.c.snapshot == number, snapshot_pieces.c.piece == piece
        )
        with self._database.read() as connection:
            return connection.execute(statement).scalar()

    def abandon(self) -> None:
        """Mark those that are still being fetched as partial or failed: the Console was stopped meanwhile."""
        state = sa.case((snapshots.c.events > 0, "partial"), else_="failed")
        with self._database.write() as connection:
            connection.execute(snapshots.update().where(snapshots.c.state == "fetching").values(state=state))

    def prune(self, *, most: int, most_bytes: int) -> int:
        """Remove the oldest until at most `most` with `most_bytes` are left; return how many went."""
        newer = sa.func.sum(snapshots.c.size).over(order_by=snapshots.c.id.desc())
        rank = sa.func.row_number().over(order_by=snapshots.c.id.desc())
        ranked = sa.select(snapshots.c.id, newer.label("bytes"), rank.label("rank")).subquery()
        old = sa.select(sa.func.max(ranked.c.id)).where(sa.or_(ranked.c.rank > most, ranked.c.bytes > most_bytes))
        with self._database.read() as connection:
            newest = connection.execute(old).scalar()
        if newest is None:
            return 0
        with self._database.write() as connection:
            return connection.execute(snapshots.delete().where(snapshots.c.id <= newest)).rowcount


def _values(row: SnapshotRow) -> dict[str, Any]:
    names = ("time", "app_id", "instance", "container", "image", "reason", "incident", "state", "events", "missed")
    return {name: getattr(row, name) for name in names}


def _read(row: sa.Row[Any]) -> SnapshotRow:
    return SnapshotRow(
        id=row.id,
        time=row.time,
        app_id=row.app_id,
        instance=row.instance,
        container=row.container,
        image=row.image,
        reason=row.reason,
        incident=row.incident,
        state=row.state,
        events=row.events,
        missed=row.missed,
    )
