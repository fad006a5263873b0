"""The models."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bartizan.audit.wire import Observed, ObservedKind
from bartizan.services.models import ModelKey, ModelQuery, ModelRow
from bartizan.services.trial import SeenThing
from bartizan.store.database import Database
from bartizan.store.portable import greatest, insert, least
from bartizan.store.tables import models, observations

_ONE = ("model", "kind", "value", "detail")
_LARGEST = 2**62


class SqlModels:
    """Implements `ModelStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def merge(
        self,
        key: ModelKey,
        observed: Sequence[Observed],
        *,
        overflow: int,
        reporter: str,
        now: int,
        most_of_a_kind: int,
    ) -> None:
        """Add observations to a model, which is made if it is not there."""
        with self._database.write() as connection:
            model = _model(connection, key, now)
            present = _counts(connection, [model]).get(model, {})
            rooms = {kind.value: most_of_a_kind - present.get(kind.value, 0) for kind in ObservedKind}
            new = 0
            for item in observed:
                if _add_to(connection, model, item, now):
                    continue
                if rooms[item.kind.value] <= 0:
                    overflow += item.count
                    continue
                rooms[item.kind.value] -= 1
                connection.execute(insert(observations).values(_row(model, item, now)))
                new += 1
            changes: dict[str, Any] = {
                "last": now,
                "reporter": reporter,
                "overflow": least(models.c.overflow + overflow, _LARGEST),
            }
            if new or overflow:
                changes["changed"] = now
            connection.execute(models.update().where(models.c.id == model).values(changes))

    def page(self, *, wanted: ModelQuery) -> tuple[list[ModelRow], int]:
        """Return one page, the latest first, and how many match in all."""
        conditions: list[sa.ColumnElement[bool]] = [
            column.in_(values)
            for column, values in (
                (models.c.id, wanted.ids),
                (models.c.reporter, wanted.app_ids),
                (models.c.image, wanted.images),
                (models.c.container, wanted.containers),
            )
            if values
        ]
        if wanted.search:
            names = (models.c.reporter, models.c.image, models.c.container)
            conditions.append(sa.or_(*(name.icontains(wanted.search, autoescape=True) for name in names)))
        statement = sa.select(models).where(*conditions).order_by(models.c.last.desc(), models.c.id.desc())
        count = sa.select(sa.func.count()).select_from(models).where(*conditions)
        with self._database.read() as connection:
            rows = connection.execute(statement.offset(wanted.offset).limit(wanted.limit)).all()
            counts = _counts(connection, [row.id for row in rows])
            total = int(connection.execute(count).scalar_one())
        return [_read(row, counts.get(row.id, {})) for row in rows], total

    def get(self, number: int) -> ModelRow | None:
        """Return a model."""
        rows, _ = self.page(wanted=ModelQuery(ids=(number,), limit=1))
        return rows[0] if rows else None

    def observations(self, number: int) -> list[Observed]:
        """Return everything in a model, by kind, the most frequent first."""
        statement = sa.select(observations).where(observations.c.model == number)
        order = (observations.c.kind, observations.c.count.desc(), observations.c.value, observations.c.detail)
        with self._database.read() as connection:
            return [_observed(row) for row in connection.execute(statement.order_by(*order))]

    def seen_since(self, since: int, *, limit: int) -> list[SeenThing]:
        """Return what was seen from this time on, the latest first."""
        columns = (models.c.reporter, models.c.image, models.c.container, observations)
        statement = (
            sa.select(*columns)
            .join(observations, observations.c.model == models.c.id)
            .where(observations.c.last >= since)
            .order_by(observations.c.last.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [
                SeenThing(app_id=row.reporter, image=row.image, container=row.container, observed=_observed(row))
                for row in connection.execute(statement)
            ]

    def forget(self, number: int) -> bool:
        """Remove a model; False when there is none of this id."""
        with self._database.write() as connection:
            return connection.execute(models.delete().where(models.c.id == number)).rowcount > 0

    def prune(self, *, most: int) -> int:
        """Remove the models that were not heard of for longest beyond `most`; return how many went."""
        old = sa.select(models.c.id).order_by(models.c.last.desc(), models.c.id.desc()).offset(most)
        with self._database.read() as connection:
            gone = list(connection.execute(old).scalars())
        if not gone:
            return 0
        with self._database.write() as connection:
            return connection.execute(models.delete().where(models.c.id.in_(gone))).rowcount


def _observed(row: sa.Row[Any]) -> Observed:
    return Observed(
        kind=ObservedKind(row.kind),
        value=row.value,
        detail=row.detail,
        count=row._mapping["count"],  # noqa: SLF001 - its public name; `count` is a method of rows
        first=row.first,
        last=row.last,
    )


def _model(connection: sa.Connection, key: ModelKey, now: int) -> int:
    whose = {"app_id": key.app_id, "image": key.image, "container": key.container}
    fresh = {"reporter": "", "started": now, "last": now, "changed": now, "overflow": 0}
    connection.execute(insert(models).values(whose | fresh).on_conflict_do_nothing())
    statement = sa.select(models.c.id).where(*(models.c[name] == value for name, value in whose.items()))
    return int(connection.execute(statement).scalar_one())


def _add_to(connection: sa.Connection, model: int, item: Observed, now: int) -> bool:
    """Add to what is known already; False when it is not."""
    row = _row(model, item, now)
    statement = (
        observations.update()
        .where(*(observations.c[name] == row[name] for name in _ONE))
        .values(
            count=least(observations.c.count + row["count"], _LARGEST),
            first=least(observations.c.first, row["first"]),
            last=greatest(observations.c.last, row["last"]),
        )
    )
    return connection.execute(statement).rowcount > 0


def _row(model: int, item: Observed, now: int) -> dict[str, Any]:
    # A Defender's clock may be wrong; nothing is seen in the future.
    return {
        "model": model,
        "kind": item.kind.value,
        "value": item.value,
        "detail": item.detail,
        "count": min(item.count, _LARGEST),
        "first": min(item.first, now),
        "last": min(item.last, now),
    }


def _counts(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, dict[str, int]]:
    statement = (
        sa.select(observations.c.model, observations.c.kind, sa.func.count().label("things"))
        .where(observations.c.model.in_(numbers))
        .group_by(observations.c.model, observations.c.kind)
    )
    found: dict[int, dict[str, int]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.model, {})[row.kind] = row.things
    return found


def _read(row: sa.Row[Any], counts: dict[str, int]) -> ModelRow:
    return ModelRow(
        id=row.id,
        key=ModelKey(app_id=row.app_id, image=row.image, container=row.container),
        reporter=row.reporter,
        started=row.started,
        last=row.last,
        changed=row.changed,
        overflow=row.overflow,
        counts=counts,
    )
