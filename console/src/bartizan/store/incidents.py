"""Incidents, made in the same transaction as the audits that make them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.audit.incidents import MOST_EMBEDDED, SPAN, worse
from bartizan.policy.model import Within
from bartizan.services.incidents import COLLECT_AFTER, Care, DueIncident, IncidentQuery, IncidentRow, NoteRow
from bartizan.services.interfaces import NewAudit
from bartizan.store.database import Database
from bartizan.store.portable import greatest, insert
from bartizan.store.scope import covered
from bartizan.store.tables import incident_audits, incident_notes, incidents

_MOST_VALUES = 100
_FILTERS: dict[str, sa.Column[Any]] = {
    "appID": incidents.c.app_id,
    "category": incidents.c.category,
    "containerName": incidents.c.container_name,
    "customRuleName": incidents.c.custom_rule,
    "imageName": incidents.c.image_name,
    "profileID": incidents.c.profile_id,
    "severity": incidents.c.severity,
    "type": incidents.c.type,
}
_SORTS: dict[str, sa.Column[Any]] = {"time": incidents.c.time, "_id": incidents.c.id, **_FILTERS}


def take_in(connection: sa.Connection, number: int, new: NewAudit) -> None:
    """Put an audit that was just kept under `number` into its incident, a new one if none of the last day is there."""
    kind, audit = new.incident, new.audit
    if kind is None:
        return
    found = connection.execute(
        sa.select(incidents.c.id, incidents.c.audit_count, incidents.c.severity).where(
            incidents.c.profile_id == audit.profile_id,
            # Two workloads may have one `profileId`; an incident is of one, or who sees only that one sees the other.
            incidents.c.app_id == audit.app_id,
            incidents.c.container_name == audit.container_name,
            incidents.c.image_name == audit.image_name,
            incidents.c.category == kind.category,
            incidents.c.type == kind.type,
            incidents.c.custom_rule == kind.custom_rule,
            incidents.c.opened > new.received - SPAN,
        )
    ).first()
    if found is None:
        row = _row(new, collect=new.received + COLLECT_AFTER)
        incident = connection.execute(insert(incidents).values(row).returning(incidents.c.id)).scalar_one()
        before, severity = 0, audit.severity
    else:
        incident, before, severity = found.id, found.audit_count, worse(found.severity, audit.severity)
    document = msgspec.json.encode(audit)
    kept = before < MOST_EMBEDDED
    if kept:
        connection.execute(insert(incident_audits).values(incident=incident, audit=number, document=document))
    connection.execute(
        incidents.update()
        .where(incidents.c.id == incident)
        .values(
            audit_count=incidents.c.audit_count + 1,
            last_time=greatest(incidents.c.last_time, new.time),
            size=incidents.c.size + (len(document) if kept else 0),
            severity=severity,
            prevented=incidents.c.prevented + int(audit.effect == "prevent"),
            # It goes on: whoever put it away has to know.
            archived=None,
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
        statement = sa.select(incidents).where(*_conditions(query), *_behind(query)).order_by(*order)
        statement = statement.offset(query.offset).limit(query.limit)
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
            embedded = _embedded(connection, [row.id for row in rows])
            notes = _note_counts(connection, [row.id for row in rows])
        return [_read(row, embedded.get(row.id, ()), notes.get(row.id, 0)) for row in rows]

    def count(self, query: IncidentQuery) -> int:
        """Return how many incidents match, whatever the page."""
        statement = sa.select(sa.func.count()).select_from(incidents).where(*_conditions(query))
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def care(self, numbers: Sequence[int], care: Care, *, author: str, now: int, within: Within = None) -> int:
        """Note what was done with incidents, if all of them are there; return how many are."""
        changes: dict[str, Any] = {}
        if care.acknowledged is not None:
            seen = care.acknowledged
            changes |= {"acknowledged": int(seen), "seen_by": author if seen else "", "seen_at": now if seen else None}
        if care.archived is not None:
            changes["archived"] = now if care.archived else None
        wanted = sa.and_(incidents.c.id.in_(numbers), *covered(incidents, within))
        with self._database.write() as connection:
            count = sa.select(sa.func.count()).select_from(incidents).where(wanted)
            found = int(connection.execute(count).scalar_one())
            if found == len(numbers):
                connection.execute(incidents.update().where(wanted).values(changes))
            return found

    def facets(self, query: IncidentQuery) -> dict[str, dict[str, int]]:
        """Return how many of the incidents that match have each value of what they can be filtered by."""
        # Written into the statement: PostgreSQL takes two parameters of the same value for two expressions.
        archived: sa.ColumnElement[str] = sa.literal_column("'archived'")
        seen: sa.ColumnElement[str] = sa.literal_column("'acknowledged'")
        fresh: sa.ColumnElement[str] = sa.literal_column("'open'")
        one: sa.ColumnElement[int] = sa.literal_column("1")
        state = sa.case(
            (incidents.c.archived.is_not(None), archived), (incidents.c.acknowledged == one, seen), else_=fresh
        )
        columns: dict[str, sa.ColumnElement[Any]] = {
            "category": incidents.c.category,
            "severity": incidents.c.severity,
            "appID": incidents.c.app_id,
            "type": incidents.c.type,
            "state": state,
        }
        number = sa.func.count().label("number")
        with self._database.read() as connection:
            return {
                name: {
                    row.value: row.number
                    for row in connection.execute(
                        sa.select(column.label("value"), number)
                        .where(*_conditions(query))
                        # By the names in the answer: PostgreSQL does not see that two spellings of a case are one.
                        .group_by("value")
                        .order_by(number.desc(), "value")
                        .limit(_MOST_VALUES)
                    )
                }
                for name, column in columns.items()
            }

    def notes(self, number: int) -> list[NoteRow]:
        """Return the notes of an incident, the oldest first."""
        statement = sa.select(incident_notes).where(incident_notes.c.incident == number).order_by(incident_notes.c.id)
        with self._database.read() as connection:
            return [
                NoteRow(id=row.id, time=row.time, author=row.author, text=row.text)
                for row in connection.execute(statement)
            ]

    def add_note(self, number: int, text: str, *, author: str, now: int, most: int) -> int | None:
        """Keep a note and return its id; None when there is no such incident, 0 when it has `most` already."""
        values = {"incident": number, "time": now, "author": author, "text": text}
        with self._database.write() as connection:
            if connection.execute(sa.select(incidents.c.id).where(incidents.c.id == number)).first() is None:
                return None
            if _note_counts(connection, [number]).get(number, 0) >= most:
                return 0
            statement = insert(incident_notes).values(values).returning(incident_notes.c.id)
            return int(connection.execute(statement).scalar_one())

    def remove_note(self, number: int, note: int) -> bool:
        """Remove a note; False when the incident has none of this id."""
        wanted = sa.and_(incident_notes.c.id == note, incident_notes.c.incident == number)
        with self._database.write() as connection:
            return connection.execute(incident_notes.delete().where(wanted)).rowcount > 0

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
        "severity": audit.severity,
    }


def _read(row: sa.Row[Any], audits: Sequence[tuple[int, bytes]], notes: int) -> IncidentRow:
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
        instance=row.instance,
        severity=row.severity,
        acknowledged=bool(row.acknowledged),
        seen_by=row.seen_by,
        seen_at=row.seen_at,
        archived=row.archived,
        audit_count=row.audit_count,
        prevented=row.prevented,
        notes=notes,
        audits=tuple(audits),
    )


def _embedded(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, list[tuple[int, bytes]]]:
    found: dict[int, list[tuple[int, bytes]]] = {}
    statement = sa.select(incident_audits).where(incident_audits.c.incident.in_(numbers))
    for row in connection.execute(statement.order_by(incident_audits.c.audit)):
        found.setdefault(row.incident, []).append((row.audit, row.document))
    return found


def _note_counts(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, int]:
    statement = (
        sa.select(incident_notes.c.incident, sa.func.count().label("number"))
        .where(incident_notes.c.incident.in_(numbers))
        .group_by(incident_notes.c.incident)
    )
    return {row.incident: row.number for row in connection.execute(statement)}


def _behind(query: IncidentQuery) -> list[sa.ColumnElement[bool]]:
    """Match what comes behind the last one that a reader saw, in the order of time."""
    if query.after is None:
        return []
    here = sa.tuple_(incidents.c.time, incidents.c.id)
    last = sa.tuple_(*(sa.literal(part, sa.BigInteger) for part in query.after))
    return [here < last if query.descending else here > last]


def _conditions(query: IncidentQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = covered(incidents, query.within)
    if query.ids:
        found.append(incidents.c.id.in_(query.ids))
    if query.start is not None:
        found.append(incidents.c.time >= query.start)
    if query.end is not None:
        found.append(incidents.c.time <= query.end)
    if query.acknowledged is not None:
        found.append(incidents.c.acknowledged == int(query.acknowledged))
    if query.archived is not None:
        found.append(incidents.c.archived.is_not(None) if query.archived else incidents.c.archived.is_(None))
    if query.stopped is not None:
        stopped = incidents.c.prevented == incidents.c.audit_count
        found.append(stopped if query.stopped else ~stopped)
    if query.search:
        names = (incidents.c.app_id, incidents.c.container_name, incidents.c.image_name, incidents.c.category)
        found.append(sa.or_(*(name.icontains(query.search, autoescape=True) for name in names)))
    found.extend(_FILTERS[name].in_(values) for name, values in query.equal.items() if values)
    return found
