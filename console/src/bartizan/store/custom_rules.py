"""The custom rules."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from bartizan.policy import CustomDefinition
from bartizan.store.database import Database
from bartizan.store.tables import custom_rules


class SqlCustomRules:
    """Implements `CustomRuleStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[CustomDefinition]:
        """Return all rules by their numbers."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(custom_rules.c.document).order_by(custom_rules.c.id)).scalars().all()
        return [msgspec.json.decode(row, type=CustomDefinition) for row in rows]

    def put(self, rule: CustomDefinition) -> None:
        """Add or replace a rule."""
        document = msgspec.json.encode(rule)
        statement = insert(custom_rules).values(id=rule.id, document=document)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"document": document}))

    def remove(self, number: int) -> None:
        """Remove a rule."""
        with self._database.write() as connection:
            connection.execute(custom_rules.delete().where(custom_rules.c.id == number))
