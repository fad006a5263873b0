"""The generations of install bundles."""

import sqlalchemy as sa

from bartizan.services.interfaces import BundleGeneration
from bartizan.store.database import Database
from bartizan.store.tables import bundles


class SqlBundles:
    """Implements `BundleStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[BundleGeneration]:
        """Return all generations, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(bundles).order_by(bundles.c.number)).all()
        return [BundleGeneration(id=row.id, created=row.created, revoked=row.revoked) for row in rows]

    def add(self, generation: BundleGeneration) -> None:
        """Keep a new generation."""
        with self._database.write() as connection:
            connection.execute(
                bundles.insert().values(id=generation.id, created=generation.created, revoked=generation.revoked)
            )

    def revoke(self, bundle: str, *, now: int) -> None:
        """Mark a generation as revoked."""
        statement = bundles.update().where(bundles.c.id == bundle, bundles.c.revoked.is_(None)).values(revoked=now)
        with self._database.write() as connection:
            connection.execute(statement)
