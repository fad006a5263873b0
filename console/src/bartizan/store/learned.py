"""The learned rules."""

import sqlalchemy as sa

from bartizan.policy.stages import Stage
from bartizan.services.learning import LearnedRule
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.tables import learned_rules


class SqlLearned:
    """Implements `LearnedStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[LearnedRule]:
        """Return all, by name."""
        with self._database.read() as connection:
            return [
                LearnedRule(
                    rule=row.rule,
                    model=row.model,
                    stage=Stage(row.stage),
                    since=row.since,
                    quiet_days=row.quiet_days,
                )
                for row in connection.execute(sa.select(learned_rules).order_by(learned_rules.c.rule))
            ]

    def put(self, learned: LearnedRule) -> None:
        """Add or replace one."""
        values = {
            "model": learned.model,
            "stage": learned.stage.value,
            "since": learned.since,
            "quiet_days": learned.quiet_days,
        }
        statement = insert(learned_rules).values(values | {"rule": learned.rule})
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["rule"], set_=values))

    def remove(self, rule: str) -> None:
        """Forget one."""
        with self._database.write() as connection:
            connection.execute(learned_rules.delete().where(learned_rules.c.rule == rule))
