"""The history of the runtime policy, and how often its rules matched."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from bartizan.services.interfaces import Hits
from bartizan.store.database import Database
from bartizan.store.revisions import SqlRevisions
from bartizan.store.tables import policies, rule_hits


class SqlPolicies(SqlRevisions):
    """Implements `PolicyStore` for the runtime policy."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, policies)


class SqlRuleHits:
    """Implements `HitStore`; `policy` tells one kind of policy from the others."""

    def __init__(self, database: Database, policy: str) -> None:
        self._database = database
        self._policy = policy

    def all(self) -> dict[str, Hits]:
        """Return how often each rule matched, by its name."""
        query = sa.select(rule_hits).where(rule_hits.c.policy == self._policy)
        with self._database.read() as connection:
            return {row.rule: Hits(count=row.hits, last=row.last) for row in connection.execute(query)}

    def put(self, hits: Mapping[str, Hits]) -> None:
        """Replace what is kept of these rules."""
        rows = [
            {"policy": self._policy, "rule": name, "hits": item.count, "last": item.last} for name, item in hits.items()
        ]
        with self._database.write() as connection:
            connection.execute(self._of(hits))
            connection.execute(rule_hits.insert(), rows)

    def remove(self, rules: Collection[str]) -> None:
        """Forget rules."""
        with self._database.write() as connection:
            connection.execute(self._of(rules))

    def _of(self, rules: Collection[str]) -> sa.Delete:
        return rule_hits.delete().where(rule_hits.c.policy == self._policy, rule_hits.c.rule.in_(list(rules)))
