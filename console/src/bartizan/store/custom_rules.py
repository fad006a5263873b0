"""The custom rules, and what they were before."""

import msgspec
import sqlalchemy as sa

from bartizan.policy import CustomDefinition
from bartizan.services.interfaces import CustomRuleRevision
from bartizan.store.database import Database
from bartizan.store.tables import custom_rule_revisions, custom_rules

_MOST_OF_A_RULE = 200


class SqlCustomRules:
    """Implements `CustomRuleStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[CustomDefinition]:
        """Return all rules by their numbers."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(custom_rules.c.document).order_by(custom_rules.c.id)).scalars().all()
        return [msgspec.json.decode(row, type=CustomDefinition) for row in rows]

    def put(self, rule: CustomDefinition, *, now: int) -> None:
        """Add or replace a rule."""
        document = msgspec.json.encode(rule)
        with self._database.write() as connection:
            known = connection.execute(
                custom_rules.update().where(custom_rules.c.id == rule.id).values(document=document)
            )
            if not known.rowcount:
                connection.execute(custom_rules.insert().values(id=rule.id, document=document))
            _remember(connection, rule.id, document, author=rule.owner, now=now)

    def remove(self, number: int, *, author: str, now: int) -> None:
        """Remove a rule."""
        with self._database.write() as connection:
            connection.execute(custom_rules.delete().where(custom_rules.c.id == number))
            _remember(connection, number, None, author=author, now=now)

    def history(self, number: int, *, limit: int) -> list[CustomRuleRevision]:
        """Return the states of a rule, the newest first."""
        table = custom_rule_revisions
        query = sa.select(table).where(table.c.rule == number).order_by(table.c.revision.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            CustomRuleRevision(
                number=row.revision,
                rule=None if row.document is None else msgspec.json.decode(row.document, type=CustomDefinition),
                author=row.author,
                created=row.created,
            )
            for row in rows
        ]


def _remember(connection: sa.Connection, number: int, document: bytes | None, *, author: str, now: int) -> None:
    """Keep a state of a rule, and drop its oldest beyond what is kept."""
    table = custom_rule_revisions
    connection.execute(table.insert().values(rule=number, document=document, author=author, created=now))
    of_rule = sa.select(table.c.revision).where(table.c.rule == number).order_by(table.c.revision.desc())
    oldest = connection.execute(of_rule.offset(_MOST_OF_A_RULE).limit(1)).scalar()
    if oldest is not None:
        connection.execute(table.delete().where(table.c.rule == number, table.c.revision <= oldest))
