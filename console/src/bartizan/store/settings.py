"""Settings that are changed over the API."""

import sqlalchemy as sa

from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.tables import settings


class SqlSettings:
    """Implements `SettingStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        """Return a setting's text."""
        with self._database.read() as connection:
            return connection.execute(sa.select(settings.c.value).where(settings.c.key == key)).scalar()

    def put(self, key: str, value: str) -> None:
        """Set a setting's text."""
        statement = insert(settings).values(key=key, value=value)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
