"""Alert profiles with how far each has got, and the events that they tell of."""

from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.alerts import AlertKind
from bartizan.services.alert_events import EventFilter, EventRow
from bartizan.services.alert_profiles import SealedProfile
from bartizan.store.database import Database
from bartizan.store.tables import alert_profiles, alert_states, audits, incidents, waas_audits

_TABLES = {AlertKind.RUNTIME: audits, AlertKind.FIREWALL: waas_audits, AlertKind.INCIDENT: incidents}


class SqlAlertProfiles:
    """Implements `ProfileStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[SealedProfile]:
        """Return all profiles by their names."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(alert_profiles).order_by(alert_profiles.c.name)).all()
        return [SealedProfile(name=row.name, document=row.document, secrets=row.secrets) for row in rows]

    def put(self, profile: SealedProfile) -> None:
        """Add or replace a profile."""
        with self._database.write() as connection:
            connection.execute(alert_profiles.delete().where(alert_profiles.c.name == profile.name))
            connection.execute(
                alert_profiles.insert().values(name=profile.name, document=profile.document, secrets=profile.secrets)
            )

    def remove(self, name: str) -> None:
        """Remove a profile with its state."""
        with self._database.write() as connection:
            connection.execute(alert_profiles.delete().where(alert_profiles.c.name == name))
            connection.execute(alert_states.delete().where(alert_states.c.name == name))

    def states(self) -> dict[str, bytes]:
        """Return the kept states by the names of profiles."""
        with self._database.read() as connection:
            return {row.name: row.document for row in connection.execute(sa.select(alert_states))}

    def put_state(self, name: str, state: bytes) -> None:
        """Keep a state."""
        with self._database.write() as connection:
            changed = connection.execute(
                alert_states.update().where(alert_states.c.name == name).values(document=state)
            )
            if changed.rowcount == 0:
                connection.execute(alert_states.insert().values(name=name, document=state))


class SqlAlertEvents:
    """Implements `EventSource`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> dict[str, int]:
        """Return the highest id of each kind that there is, 0 when there is none."""
        with self._database.read() as connection:
            return {
                kind.value: int(connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0)
                for kind, table in _TABLES.items()
            }

    def after(self, kind: AlertKind, number: int, wanted: EventFilter, *, most: int) -> list[EventRow]:
        """Return the next events above an id that fit, in order."""
        table = _TABLES[kind]
        conditions = [table.c.id > number]
        if wanted.rules:
            conditions.append(table.c.rule_name.in_(wanted.rules))
        if wanted.effects:
            conditions.append(table.c.effect.in_(wanted.effects))
        statement = sa.select(table).where(*conditions).order_by(table.c.id).limit(most)
        with self._database.read() as connection:
            return [_row(kind, row) for row in connection.execute(statement)]


def _row(kind: AlertKind, row: Any) -> EventRow:  # noqa: ANN401 - a row of any of these tables
    document = _incident(row) if kind is AlertKind.INCIDENT else row.document
    return EventRow(id=row.id, time=row.time, document=document)


def _incident(row: Any) -> bytes:  # noqa: ANN401 - a row of this table
    """Return an incident in few words; what belongs to it has a page of its own."""
    return msgspec.json.encode(
        {
            "category": row.category,
            "type": row.type,
            "appID": row.app_id,
            "profileID": row.profile_id,
            "containerName": row.container_name,
            "imageName": row.image_name,
            "customRuleName": row.custom_rule,
            "resourceID": row.resource_id,
        }
    )
