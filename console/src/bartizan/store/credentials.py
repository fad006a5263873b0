"""The credentials; secrets come here sealed and leave sealed."""

from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.services.credentials import Credential, SealedCredential
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.tables import credentials


class SqlCredentials:
    """Implements `CredentialStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[SealedCredential]:
        """Return all credentials by their ids."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(credentials).order_by(credentials.c.id)).all()
        return [_read(row) for row in rows]

    def one(self, credential: str) -> SealedCredential | None:
        """Return a credential."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(credentials).where(credentials.c.id == credential)).first()
        return None if row is None else _read(row)

    def put(self, sealed: SealedCredential) -> None:
        """Add or replace a credential."""
        values = {"document": msgspec.json.encode(sealed.credential), "secret": sealed.secret}
        statement = insert(credentials).values(id=sealed.credential.id, **values)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))

    def remove(self, credential: str) -> None:
        """Remove a credential."""
        with self._database.write() as connection:
            connection.execute(credentials.delete().where(credentials.c.id == credential))


def _read(row: Any) -> SealedCredential:  # noqa: ANN401 - a row of this table
    return SealedCredential(
        credential=msgspec.json.decode(row.document, type=Credential), secret=row.secret, key=row.id
    )
