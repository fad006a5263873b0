"""The WAAS events, made in the same transaction as the audits that come with them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.audit.firewall_audit import ALIKE_SPAN, alike, packed
from bartizan.services.events import EventKind
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.interfaces import AuditGroup, NewFirewallAudit
from bartizan.store import event_counts
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.scope import covered
from bartizan.store.tables import waas_audits as events

COLUMNS: dict[str, sa.Column[Any]] = {
    "appID": events.c.app_id,
    "containerName": events.c.container_name,
    "country": events.c.country,
    "effect": events.c.effect,
    "eventID": events.c.event_id,
    "imageName": events.c.image_name,
    "method": events.c.method,
    "msg": events.c.msg,
    "owaspAPITop10": events.c.owasp_api,
    "owaspTop10": events.c.owasp,
    "protection": events.c.protection,
    "requestHost": events.c.host,
    "ruleAppID": events.c.rule_app_id,
    "ruleName": events.c.rule_name,
    "type": events.c.type,
    "url": events.c.url,
    "urlPath": events.c.path,
    "urlQuery": events.c.query,
    "userAgentHeader": events.c.user_agent,
    "attackTechniques": events.c.techniques,
    "connectingIPs": events.c.connecting_ips,
    "requestHeaderNames": events.c.header_names,
}
_SORTS: dict[str, sa.Column[Any]] = {
    "time": events.c.time, "_id": events.c.id, "subnet": events.c.address,
    **{name: COLUMNS[name] for name in ("appID", "country", "effect", "method", "requestHost", "ruleName", "type",
                                         "urlPath", "protection")},
}  # fmt: skip
SORTS = tuple(_SORTS)
_TEXTS = (
    events.c.msg,
    events.c.url,
    events.c.user_agent,
    events.c.subnet,
    events.c.event_id,
    events.c.rule_name,
    events.c.app_id,
    events.c.image_name,
    events.c.container_name,
)


def take_in(connection: sa.Connection, new: Sequence[NewFirewallAudit]) -> None:
    """Keep those that are new, each with the group of like events less than 5 minutes apart that it belongs to."""
    once = insert(events).on_conflict_do_nothing(index_elements=["bundle", "source", "seq"])
    kept = []
    for audit in new:
        row = _row(audit)
        group = connection.execute(
            sa.select(events.c.group)
            .where(
                events.c.alike == row["alike"],
                events.c.time > audit.time - ALIKE_SPAN,
                events.c.time < audit.time + ALIKE_SPAN,
            )
            .order_by(events.c.time.desc())
            .limit(1)
        ).scalar()
        number = connection.execute(once.returning(events.c.id), {**row, "group": group or 0}).scalar()
        if number is not None and group is None:
            connection.execute(events.update().where(events.c.id == number).values(group=number))
        if number is not None:
            kept.append(row)
    event_counts.count_in(connection, EventKind.WAAS, kept)


_COUNTED_BY = (events.c.time, *(events.c[name] for name in event_counts.NAMES[EventKind.WAAS]))
_MEASURED = 1000
# What is in the document is in columns as well, and some of it in indexes.
_TAKEN = 2
_ROW = 200


class SqlFirewallAudits:
    """Implements `FirewallAuditStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_id(self) -> int:
        """Return the highest id ever given, 0 when there is none."""
        with self._database.read() as connection:
            return self._database.highest_id(connection, events)

    def page(self, query: FirewallQuery) -> list[tuple[int, bytes]]:
        """Return (id, JSON document) of one page; the id breaks ties, so that pages never overlap."""
        statement = sa.select(events.c.id, events.c.document).where(*conditions(query))
        statement = statement.order_by(*_ordered(_SORTS[query.sort], events.c.id, query))
        with self._database.read() as connection:
            rows = connection.execute(statement.offset(query.offset).limit(query.limit))
            return [(row.id, row.document) for row in rows]

    def count(self, query: FirewallQuery) -> int:
        """Return how many events match, whatever the page."""
        statement = sa.select(sa.func.count()).select_from(events).where(*conditions(query))
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def groups(self, query: FirewallQuery) -> list[AuditGroup]:
        """Return one page of groups of events, each with its newest one."""
        newest, time = sa.func.max(events.c.id), sa.func.max(events.c.time)
        column = {"time": time, "_id": newest}.get(query.sort)
        order = sa.func.max(_SORTS[query.sort]) if column is None else column
        grouped = (
            sa.select(newest.label("id"), sa.func.sum(events.c.count).label("total"), sa.func.min(events.c.time))
            .add_columns(sa.func.row_number().over(order_by=_ordered(order, newest, query)).label("place"))
            .where(*conditions(query))
            .group_by(events.c.group)
            .order_by("place")
            .offset(query.offset)
            .limit(query.limit)
            .subquery()
        )
        statement = sa.select(grouped, events.c.document).join(events, events.c.id == grouped.c.id)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(grouped.c.place)).all()
        return [AuditGroup(id=row[0], count=row[1], first=row[2], document=row[4]) for row in rows]

    def count_groups(self, query: FirewallQuery) -> int:
        """Return how many groups there are, whatever the page."""
        statement = sa.select(sa.func.count(sa.distinct(events.c.group))).where(*conditions(query))
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def span(self, query: FirewallQuery) -> tuple[int, int] | None:
        """Return the times of the first and the last event that match."""
        statement = sa.select(sa.func.min(events.c.time), sa.func.max(events.c.time)).where(*conditions(query))
        with self._database.read() as connection:
            first, last = connection.execute(statement).one()
        return None if first is None else (first, last)

    def buckets(self, query: FirewallQuery, *, start: int, width: int) -> dict[int, int]:
        """Return how many events lie in each bucket of `width` milliseconds from `start` on, by its number."""
        # Written into the statement: PostgreSQL takes two parameters of the same value for two expressions.
        first, step = (sa.literal_column(str(int(value)), sa.BigInteger) for value in (start, width))
        number = (events.c.time - first) // step
        statement = sa.select(number, sa.func.sum(events.c.count)).where(*conditions(query)).group_by(number)
        with self._database.read() as connection:
            return {int(row[0]): int(row[1]) for row in connection.execute(statement)}

    def average_size(self) -> float:
        """Return about how many bytes one event takes; measured on the newest thousand."""
        newest = sa.select(events.c.document).order_by(events.c.id.desc()).limit(_MEASURED).subquery()
        with self._database.read() as connection:
            found = connection.execute(sa.select(sa.func.avg(sa.func.length(newest.c.document)))).scalar()
        return 0.0 if found is None else float(found) * _TAKEN + _ROW

    def prune(self, *, received_before: int, below_id: int, most: int) -> int:
        """Remove at most `most` events that are too old, and return how many went."""
        old = sa.select(events.c.id).where(sa.or_(events.c.received < received_before, events.c.id < below_id))
        with self._database.write() as connection:
            removed = events.delete().where(events.c.id.in_(old.limit(most))).returning(*_COUNTED_BY)
            gone = connection.execute(removed).mappings().all()
            event_counts.count_out(connection, EventKind.WAAS, gone, tidy=len(gone) < most)
            return len(gone)


def _ordered(
    column: sa.ColumnElement[Any], tie: sa.ColumnElement[Any], query: FirewallQuery
) -> tuple[sa.UnaryExpression[Any], sa.UnaryExpression[Any]]:
    return (column.desc(), tie.desc()) if query.descending else (column.asc(), tie.asc())


def _row(new: NewFirewallAudit) -> dict[str, Any]:
    audit = new.audit
    return {
        "bundle": new.bundle,
        "source": new.source,
        "seq": new.seq,
        "time": new.time,
        "received": new.received,
        "count": audit.count,
        "alike": alike(audit),
        "app_id": audit.app_id,
        "image_name": audit.image_name,
        "container_name": audit.container_name,
        "rule_name": audit.rule_name,
        "rule_app_id": audit.rule_app_id,
        "type": audit.type,
        "effect": audit.effect,
        "protection": audit.protection,
        "event_id": audit.event_id,
        "subnet": audit.subnet,
        "country": audit.country,
        "user_agent": audit.user_agent_header,
        "host": audit.request_host,
        "url": audit.url,
        "path": audit.url_path,
        "query": audit.url_query,
        "method": audit.method,
        "header_names": _words(audit.request_header_names),
        "connecting_ips": _words(audit.connecting_ips),
        "msg": audit.msg,
        "techniques": _words(audit.attack_techniques),
        "owasp": audit.owasp_top10,
        "owasp_api": audit.owasp_api_top10,
        "address": packed(audit.subnet),
        "document": msgspec.json.encode(audit),
    }


def _words(names: Sequence[str]) -> str:
    """Return a list so that each of its members is found between blanks, in lower case."""
    return "".join(f" {'_'.join(name.lower().split())} " for name in names)


def conditions(query: FirewallQuery) -> list[sa.ColumnElement[bool]]:
    """Return what an event has to fulfil."""
    found: list[sa.ColumnElement[bool]] = [sa.false()] if query.never else []
    found += covered(events, query.within)
    if query.ids:
        found.append(events.c.id.in_(query.ids))
    if query.start is not None:
        found.append(events.c.time >= query.start)
    if query.end is not None:
        found.append(events.c.time <= query.end)
    if query.after_id is not None:
        found.append(events.c.id > query.after_id)
    found.extend(COLUMNS[name].in_(values) for name, values in query.equal.items() if values)
    found.extend(
        sa.or_(*(COLUMNS[name].icontains(value, autoescape=True) for value in values))
        for name, values in query.parts.items()
        if values
    )
    found.extend(
        sa.or_(*(COLUMNS[name].contains(f" {value.lower()} ", autoescape=True) for value in values))
        for name, values in query.words.items()
        if values
    )
    found.extend(sa.or_(*(column.icontains(word, autoescape=True) for column in _TEXTS)) for word in query.text)
    if query.spans:
        found.append(sa.or_(*(events.c.address.between(first, last) for first, last in query.spans)))
    return found
