"""Incidents, made in the same transaction as the audits that make them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from bartizan.audit.incidents import MOST_EMBEDDED, SPAN
from bartizan.services.incidents import COLLECT_AFTER, DueIncident, IncidentQuery, IncidentRow
from bartizan.services.interfaces import NewAudit
from bartizan.store.database import Database
from bartizan.store.tables import incident_audits, incidents

_FILTERS: dict[str, sa.Column[Any]] = {
    "appID": incidents.c.app_id,
    "category": incidents.c.category,
    "containerName": incidents.c.container_name,
    "customRuleName": incidents.c.custom_rule,
    "imageName": incidents.c.image_name,
    "profileID": incidents.c.profile_id,
    "type": incidents.c.type,
}
_SORTS: dict[str, sa.Column[Any]] = {"time": incidents.c.time, "_id": incidents.c.id, **_FILTERS}


def take_in(connection: sa.Connection, number: int, new: NewAudit) -> None:
    """Put an audit that was just kept under `number` into its incident, a new one if none of the last day is there."""
    kind, audit = new.incident, new.audit
    if kind is None:
        return
    found = connection.execute(
        sa.select(incidents.c.id, incidents.c.audit_count).where(
            incidents.c.profile_id == audit.profile_id,
            incidents.c.category == kind.category,
            incidents.c.type == kind.type,
            incidents.c.custom_rule == kind.custom_rule,
            incidents.c.opened > new.received - SPAN,
        )
    ).first()
    if found is None:
        row = _row(new, collect=new.received + COLLECT_AFTER)
        incident, before = connection.execute(insert(incidents).values(row).returning(incidents.c.id)).scalar_one(), 0
    else:
        incident, before = found.id, found.audit_count
    document = msgspec.json.encode(audit)
    kept = before < MOST_EMBEDDED
    if kept:
        connection.execute(insert(incident_audits).values(incident=incident, audit=number, document=document))
    connection.execute(
        incidents.update()
        .where(incidents.c.id == incident)
        .values(
            audit_count=incidents.c.audit_count + 1,
            last_time=sa.func.max(incidents.c.last_time, new.time),
            size=incidents.c.size + (len(document) if kept else 0),
        )
    )


class SqlIncidents:
    """Implements `IncidentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: IncidentQuery) -> list[IncidentRow]:
        """Return one page; the id breaks ties, so that pages never overlap."""
        column = _SORTS[query.sort]
        order = (column.desc(), incidents.c.id.desc()) if query.descending else (column.asc(), incidents.c.id.asc())
        statement = sa.select(incidents).where(*_conditions(query)).order_by(*order)
        statement = statement.offset(query.offset).limit(query.limit)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
            embedded = _embedded(connection, [row.id for row in rows])
        return [_read(row, embedded.get(row.id, ())) for row in rows]

    def count(self, query: IncidentQuery) -> int:
        """Return how many incidents match, whatever the page."""
        statement = sa.select(sa.func.count()).select_from(incidents).where(*_conditions(query))
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def acknowledge(self, number: int, *, acknowledged: bool) -> bool:
        """Set whether an incident was seen to; False when there is none of this id."""
        statement = incidents.update().where(incidents.c.id == number).values(acknowledged=int(acknowledged))
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0

    def due(self, *, now: int, most: int) -> list[DueIncident]:
        """Return incidents whose forensics are to be collected by now, the oldest first."""
        statement = sa.select(incidents).where(incidents.c.collect <= now).order_by(incidents.c.collect).limit(most)
        with self._database.read() as connection:
            return [
                DueIncident(
                    id=row.id,
                    instance=row.instance,
                    container=row.container_name or None,
                    category=row.category,
                    due=row.opened + COLLECT_AFTER,
                )
                for row in connection.execute(statement)
            ]

    def postpone(self, number: int, *, until: int) -> None:
        """Let an incident's forensics be asked for again at this time."""
        with self._database.write() as connection:
            connection.execute(incidents.update().where(incidents.c.id == number).values(collect=until))

    def collected(self, number: int) -> None:
        """Note that an incident's forensics need not be asked for any more."""
        with self._database.write() as connection:
            connection.execute(incidents.update().where(incidents.c.id == number).values(collect=None))

    def prune(self, *, most: int, most_bytes: int) -> int:
        """Remove the oldest until at most `most` with `most_bytes` of audits are left; return how many went."""
        newer = sa.func.sum(incidents.c.size).over(order_by=incidents.c.id.desc())
        rank = sa.func.row_number().over(order_by=incidents.c.id.desc())
        ranked = sa.select(incidents.c.id, newer.label("bytes"), rank.label("rank")).subquery()
        old = sa.select(ranked.c.id).where(sa.or_(ranked.c.rank > most, ranked.c.bytes > most_bytes))
        with self._database.read() as connection:
            gone = list(connection.execute(old).scalars())
        if not gone:
            return 0
        with self._database.write() as connection:
            return connection.execute(incidents.delete().where(incidents.c.id <= max(gone))).rowcount


def _row(new: NewAudit, *, collect: int) -> dict[str, Any]:
    kind, audit = new.incident, new.audit
    if kind is None:
        raise TypeError("the audit makes no incident")
    return {
        "category": kind.category,
        "type": kind.type,
        "custom_rule": kind.custom_rule,
        "opened": new.received,
        "time": new.time,
        "last_time": new.time,
        "app_id": audit.app_id,
        "profile_id": audit.profile_id,
        "image_name": audit.image_name,
        "container_name": audit.container_name,
        "resource_id": audit.resource_id,
        "instance": audit.defender_id,
        "acknowledged": 0,
        "collect": collect,
        "audit_count": 0,
        "size": 0,
    }


def _read(row: sa.Row[Any], audits: Sequence[tuple[int, bytes]]) -> IncidentRow:
    return IncidentRow(
        id=row.id,
        category=row.category,
        type=row.type,
        custom_rule=row.custom_rule,
        time=row.time,
        last_time=row.last_time,
        app_id=row.app_id,
        profile_id=row.profile_id,
        image_name=row.image_name,
        container_name=row.container_name,
        resource_id=row.resource_id,
        acknowledged=bool(row.acknowledged),
        audit_count=row.audit_count,
        audits=tuple(audits),
    )


def _embedded(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, list[tuple[int, bytes]]]:
    found: dict[int, list[tuple[int, bytes]]] = {}
    statement = sa.select(incident_audits).where(incident_audits.c.incident.in_(numbers))
    for row in connection.execute(statement.order_by(incident_audits.c.audit)):
        found.setdefault(row.incident, []).append((row.audit, row.document))
    return found


def _conditions(query: IncidentQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.ids:
        found.append(incidents.c.id.in_(query.ids))
    if query.start is not None:
        found.append(incidents.c.time >= query.start)
    if query.end is not None:
        found.append(incidents.c.time <= query.end)
    if query.acknowledged is not None:
        found.append(incidents.c.acknowledged == int(query.acknowledged))
    found.extend(_FILTERS[name].in_(values) for name, values in query.equal.items() if values)
    return found
