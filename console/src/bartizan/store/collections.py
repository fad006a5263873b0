"""The collections."""

import msgspec
import sqlalchemy as sa

from bartizan.policy.model import Collection
from bartizan.store.database import Database
from bartizan.store.tables import collections


class SqlCollections:
    """Implements `CollectionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Collection]:
        """Return all of them, by their names."""
        query = sa.select(collections.c.document).order_by(collections.c.name)
        with self._database.read() as connection:
            rows = connection.execute(query).scalars().all()
        return [msgspec.json.decode(row, type=Collection) for row in rows]

    def put(self, collection: Collection) -> None:
        """Add or replace one."""
        name, document = collection.name, msgspec.json.encode(collection)
        with self._database.write() as connection:
            connection.execute(collections.delete().where(collections.c.name == name))
            connection.execute(collections.insert().values(name=name, document=document))

    def remove(self, name: str) -> None:
        """Remove one."""
        with self._database.write() as connection:
            connection.execute(collections.delete().where(collections.c.name == name))
