"""The audits."""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.services.events import EventKind
from bartizan.services.interfaces import AuditGroup, AuditQuery, NewAudit, NewFirewallAudit
from bartizan.store import event_counts, firewall_audits, incidents
from bartizan.store.bulk import insert_many
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.scope import covered
from bartizan.store.tables import audits, sources

COLUMNS: dict[str, sa.Column[Any]] = {
    "appID": audits.c.app_id,
    "attackType": audits.c.attack_type,
    "containerName": audits.c.container_name,
    "effect": audits.c.effect,
    "imageName": audits.c.image_name,
    "processPath": audits.c.process_path,
    "profileId": audits.c.profile_id,
    "reason": audits.c.reason,
    "ruleName": audits.c.rule_name,
    "severity": audits.c.severity,
    "type": audits.c.type,
    "user": audits.c.user,
}
_SORTS: dict[str, sa.Column[Any]] = {"time": audits.c.time, "_id": audits.c.id, **COLUMNS}
_TEXTS = (
    audits.c.msg,
    audits.c.process_path,
    audits.c.rule_name,
    audits.c.app_id,
    audits.c.image_name,
    audits.c.container_name,
)

_ONCE = insert(audits).on_conflict_do_nothing(index_elements=["bundle", "source", "seq"])

# What audits have in common that are shown as one.
_ALIKE = (
    audits.c.app_id,
    audits.c.image_name,
    audits.c.container_name,
    audits.c.profile_id,
    audits.c.rule_name,
    audits.c.type,
    audits.c.attack_type,
    audits.c.reason,
    audits.c.effect,
    audits.c.severity,
    audits.c.process_path,
    audits.c.user,
)


_COUNTED_BY = (audits.c.time, *(audits.c[name] for name in event_counts.NAMES[EventKind.RUNTIME]))

_MEASURED = 1000
# What is in the document is in columns as well, and some of it in indexes.
_TAKEN = 2
_ROW = 200


class SqlAudits:
    """Implements `AuditStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[NewAudit | NewFirewallAudit]) -> int:
        """Keep those that are new, durably, and return the highest id of a runtime audit."""
        runtime = [audit for audit in new if isinstance(audit, NewAudit)]
        with self._database.write() as connection:
            for plain, group in itertools.groupby(runtime, key=lambda audit: audit.incident is None):
                if plain:
                    event_counts.count_in(connection, EventKind.RUNTIME, _added(connection, list(map(_row, group))))
                    continue
                for audit in group:
                    # One that was here already must not be counted by its incident again.
                    row = _row(audit)
                    number = connection.execute(_ONCE.returning(audits.c.id), row).scalar()
                    if number is not None:
                        incidents.take_in(connection, number, audit)
                        event_counts.count_in(connection, EventKind.RUNTIME, [row])
            firewall_audits.take_in(connection, [audit for audit in new if isinstance(audit, NewFirewallAudit)])
            return self._database.highest_id(connection, audits)

    def newest_id(self) -> int:
        """Return the highest id ever given, 0 when there is none."""
        with self._database.read() as connection:
            return self._database.highest_id(connection, audits)

    def page(self, query: AuditQuery) -> list[tuple[int, bytes]]:
        """Return (id, JSON document) of one page; the id breaks ties, so that pages never overlap."""
        order = _ordered(_SORTS[query.sort], audits.c.id, query)
        statement = (
            sa.select(audits.c.id, audits.c.document)
            .where(*conditions(query))
            .order_by(*order)
            .offset(query.offset)
            .limit(query.limit)
        )
        with self._database.read() as connection:
            return [(row.id, row.document) for row in connection.execute(statement)]

    def count(self, query: AuditQuery) -> int:
        """Return how many audits match, whatever the page."""
        statement = sa.select(sa.func.count()).select_from(audits).where(*conditions(query))
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def groups(self, query: AuditQuery) -> list[AuditGroup]:
        """Return one page of groups of audits that are alike, each with its newest one."""
        newest, time = sa.func.max(audits.c.id), sa.func.max(audits.c.time)
        column = {"time": time, "_id": newest}.get(query.sort)
        order = COLUMNS[query.sort] if column is None else column
        grouped = (
            sa.select(newest.label("id"), sa.func.sum(audits.c.count).label("total"), sa.func.min(audits.c.time))
            .add_columns(sa.func.row_number().over(order_by=_ordered(order, newest, query)).label("place"))
            .where(*conditions(query))
            .group_by(*_ALIKE)
            .order_by("place")
            .offset(query.offset)
            .limit(query.limit)
            .subquery()
        )
        statement = sa.select(grouped, audits.c.document).join(audits, audits.c.id == grouped.c.id)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(grouped.c.place)).all()
        return [AuditGroup(id=row[0], count=row[1], first=row[2], document=row[4]) for row in rows]

    def count_groups(self, query: AuditQuery) -> int:
        """Return how many groups there are, whatever the page."""
        groups = sa.select(sa.literal(1)).select_from(audits).where(*conditions(query)).group_by(*_ALIKE).subquery()
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(groups)).scalar_one())

    def source_owner(self, bundle: str, source: str) -> str | None:
        """Return the instance whose certificate reports this source."""
        statement = sa.select(sources.c.instance).where(sources.c.bundle == bundle, sources.c.source == source)
        with self._database.read() as connection:
            return connection.execute(statement).scalar()

    def set_source_owner(self, bundle: str, source: str, instance: str) -> None:
        """Bind a source to the instance that reports it."""
        statement = insert(sources).values(bundle=bundle, source=source, instance=instance)
        statement = statement.on_conflict_do_update(index_elements=["bundle", "source"], set_={"instance": instance})
        with self._database.write() as connection:
            connection.execute(statement)

    def average_size(self) -> float:
        """Return about how many bytes one runtime audit takes; measured on the newest thousand."""
        newest = sa.select(audits.c.document).order_by(audits.c.id.desc()).limit(_MEASURED).subquery()
        with self._database.read() as connection:
            found = connection.execute(sa.select(sa.func.avg(sa.func.length(newest.c.document)))).scalar()
        return 0.0 if found is None else float(found) * _TAKEN + _ROW

    def prune(self, *, received_before: int, below_id: int, most: int) -> int:
        """Remove at most `most` audits that are too old, and return how many went."""
        old = (
            sa.select(audits.c.id)
            .where(sa.or_(audits.c.received < received_before, audits.c.id < below_id))
            .limit(most)
        )
        with self._database.write() as connection:
            removed = audits.delete().where(audits.c.id.in_(old)).returning(*_COUNTED_BY)
            gone = connection.execute(removed).mappings().all()
            event_counts.count_out(connection, EventKind.RUNTIME, gone, tidy=len(gone) < most)
            return len(gone)


def _added(connection: sa.Connection, rows: list[dict[str, Any]]) -> Sequence[event_counts.Kept]:
    """Keep those that are new, and return these."""
    newest = connection.execute(sa.select(sa.func.max(audits.c.id))).scalar() or 0
    if insert_many(connection, _ONCE, rows) == len(rows):
        return rows
    return connection.execute(sa.select(*_COUNTED_BY).where(audits.c.id > newest)).mappings().all()


def _ordered(
    column: sa.ColumnElement[Any], tie: sa.ColumnElement[Any], query: AuditQuery
) -> tuple[sa.UnaryExpression[Any], sa.UnaryExpression[Any]]:
    return (column.desc(), tie.desc()) if query.descending else (column.asc(), tie.asc())


def _is_technique(name: str) -> sa.ColumnElement[bool]:
    """Match a technique and each of its sub-techniques: T1059.004 is of T1059."""
    column = audits.c.techniques
    return sa.or_(*(column.contains(f" {name}{end}", autoescape=True) for end in (" ", ".")))


def _row(new: NewAudit) -> dict[str, Any]:
    audit = new.audit
    return {
        "bundle": new.bundle,
        "source": new.source,
        "seq": new.seq,
        "time": new.time,
        "received": new.received,
        "app_id": audit.app_id,
        "profile_id": audit.profile_id,
        "image_name": audit.image_name,
        "container_name": audit.container_name,
        "rule_name": audit.rule_name,
        "type": audit.type,
        "attack_type": audit.attack_type,
        "effect": audit.effect,
        "severity": audit.severity,
        "process_path": audit.process_path,
        "user": audit.user,
        "msg": audit.msg,
        "reason": audit.reason,
        "techniques": "".join(f" {technique} " for technique in audit.attack_techniques),
        "count": audit.count,
        "document": msgspec.json.encode(audit),
    }


def conditions(query: AuditQuery) -> list[sa.ColumnElement[bool]]:
    """Return what an audit has to fulfil."""
    found: list[sa.ColumnElement[bool]] = [sa.false()] if query.never else []
    found += covered(audits, query.within)
    if query.ids:
        found.append(audits.c.id.in_(query.ids))
    if query.start is not None:
        found.append(audits.c.time >= query.start)
    if query.end is not None:
        found.append(audits.c.time <= query.end)
    if query.after_id is not None:
        found.append(audits.c.id > query.after_id)
    found.extend(COLUMNS[name].in_(values) for name, values in query.equal.items() if values)
    if query.techniques:
        found.append(sa.or_(*(_is_technique(name) for name in query.techniques)))
    found.extend(sa.or_(*(column.icontains(word, autoescape=True) for column in _TEXTS)) for word in query.words)
    if query.message:
        found.append(audits.c.msg.icontains(query.message, autoescape=True))
    return found
