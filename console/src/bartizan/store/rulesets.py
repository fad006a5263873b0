"""The sets of rules that were brought in."""

import zlib

import sqlalchemy as sa

from bartizan.services.rulesets import KeptRuleset
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.tables import waas_rulesets as rulesets


class SqlRulesets:
    """Implements `RulesetStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[KeptRuleset]:
        """Return all, the latest first."""
        columns = (rulesets.c.hash, rulesets.c.version, rulesets.c.files, rulesets.c.author, rulesets.c.created)
        query = sa.select(*columns).order_by(rulesets.c.created.desc(), rulesets.c.hash)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            KeptRuleset(hash=row.hash, version=row.version, files=row.files, author=row.author, created=row.created)
            for row in rows
        ]

    def content(self, hash_: str) -> bytes | None:
        """Return the content of a set."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(rulesets.c.content).where(rulesets.c.hash == hash_)).scalar()
        return None if found is None else zlib.decompress(found)

    def add(self, kept: KeptRuleset, content: bytes) -> None:
        """Keep a set; one that is there already stays as it is."""
        statement = insert(rulesets).values(
            hash=kept.hash,
            version=kept.version,
            files=kept.files,
            author=kept.author,
            created=kept.created,
            content=zlib.compress(content),
        )
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_nothing(index_elements=["hash"]))

    def remove(self, hash_: str) -> bool:
        """Remove a set; False when it is not there."""
        with self._database.write() as connection:
            return connection.execute(rulesets.delete().where(rulesets.c.hash == hash_)).rowcount > 0
