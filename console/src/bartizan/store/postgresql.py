"""
PostgreSQL, by an address.

One Console writes to a database: it holds an advisory lock there, as it holds a file in its data directory. Reads see
one state (REPEATABLE READ); a peer that is gone is noticed by TCP within half a minute.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pg8000.dbapi
import sqlalchemy
from sqlalchemy import event

from bartizan.database_address import DatabaseAddress

_CONNECT_SECONDS = 10.0
_LOCK = 0x626172746A6F6E  # any number, but the same one for every version
_NUMERIC = 1700
_SETTINGS = {
    "application_name": "bartizan",
    "client_min_messages": "warning",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10min",
    "synchronous_commit": "on",
}


class PostgresEngine:
    """
    Implements `Engine` for a server.

    Raises ValueError when another Console uses the database or when it does not keep UTF-8.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        self.name = str(address)
        self._address = address
        self._tls = address.tls_context()
        self.engine = sqlalchemy.create_engine(
            "postgresql+pg8000://", creator=self._connect, pool_size=4, max_overflow=4, pool_pre_ping=True
        )
        # Rows of one statement travel together, not one by one.
        self.engine.dialect.use_insertmanyvalues_wo_returning = True
        event.listen(self.engine, "connect", _prepare)
        self._holding = self._hold()

    def begin_read(self, connection: sqlalchemy.Connection) -> None:
        """Let all statements of this transaction see one state."""
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def begin_write(self, connection: sqlalchemy.Connection) -> None:
        """Do nothing: the transaction begins with its first statement."""

    def highest_id(self, connection: sqlalchemy.Connection, table: str) -> int:
        """Return the highest id ever given in a table."""
        # A sequence counts those, too, that were given to rows which did not come to be: none is given twice.
        return self._last(connection, f"{table}_id_seq")

    def counters(self, connection: sqlalchemy.Connection) -> dict[str, int]:
        """Return the highest id ever given in each table that counts."""
        return {table: self._last(connection, sequence) for table, _, sequence in _sequences(connection)}

    def set_counters(self, connection: sqlalchemy.Connection, counters: Mapping[str, int]) -> None:
        """Go on counting behind these ids and behind the rows that are there."""
        for table, column, sequence in _sequences(connection):
            query = f'SELECT coalesce(max("{column}"), 0) FROM "{table}"'  # noqa: S608 - names of the catalogue
            highest = max(int(connection.exec_driver_sql(query).scalar_one()), counters.get(table, 0))
            if highest:
                connection.execute(sqlalchemy.select(sqlalchemy.func.setval(sequence, highest)))

    def _last(self, connection: sqlalchemy.Connection, sequence: str) -> int:
        query = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"  # noqa: S608 - as above
        return int(connection.exec_driver_sql(query).scalar_one())

    def size(self, connection: sqlalchemy.Connection) -> int:
        """Return the bytes that the database takes."""
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

    def close(self) -> None:
        """Close all connections, and let another Console have the database."""
        with contextlib.suppress(sqlalchemy.exc.DBAPIError):
            self._holding.close()
        self.engine.dispose()

    def _hold(self) -> sqlalchemy.Connection:
        holding = self.engine.connect()
        if (wrong := self._refused(holding)) is not None:
            holding.close()
            self.engine.dispose()
            raise ValueError(wrong)
        # Not to be given to others by the pool, nor closed with it: it is the lock.
        holding.detach()
        return holding

    def _refused(self, holding: sqlalchemy.Connection) -> str | None:
        encoding = holding.exec_driver_sql("SHOW server_encoding").scalar_one()
        free = holding.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})").scalar_one()
        holding.commit()
        if not free:
            return f"another Console is running on the database `{self.name}`"
        if encoding != "UTF8":
            return f"`{self.name}` keeps text as {encoding}, it has to be made with the encoding UTF8"
        return None

    def _connect(self) -> pg8000.dbapi.Connection:
        address = self._address
        who: dict[str, Any] = {"database": address.database, "password": address.password or None}
        who["ssl_context"] = self._tls or False
        if address.socket_directory:
            who["unix_sock"] = address.socket_path
        else:
            who |= {"host": address.host, "sock": _socket(address)}
        try:
            return _Connection(address.user, **who)
        except pg8000.dbapi.InterfaceError as error:
            raise pg8000.dbapi.OperationalError(_why(address, error)) from None


class _Connection(pg8000.dbapi.Connection):  # type: ignore[misc]
    """A connection whose socket ends with it; the driver leaves one that the server ended to the garbage collector."""

    _usock: socket.socket | None = None

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - the driver has no types
        try:
            super().__init__(*given, **named)
        except BaseException:
            self._drop(self._usock)
            raise

    def handle_messages(self, context: object) -> None:
        """Read the server's answer. Raises InterfaceError, by which SQLAlchemy knows a connection to be over."""
        try:
            super().handle_messages(context)
        except OSError as error:
            raise pg8000.dbapi.InterfaceError("network error") from error

    def close(self) -> None:
        """Close the connection. Raises InterfaceError when the server cannot be told."""
        used = self._usock
        try:
            super().close()
        finally:
            self._drop(used)

    def _drop(self, used: socket.socket | None) -> None:
        # Closing would wait for the driver's buffer, which can no longer be written.
        if used is not None and (number := used.detach()) >= 0:
            os.close(number)


def _why(address: DatabaseAddress, error: Exception) -> str:
    """Return more than the driver says: it loses the last words of a server that ends a connection."""
    if str(error) == "network error":
        asked = f"is the password right, does `{address.database}` exist, may `{address.user}` use it?"
        return f"the server ended the connection: {asked}"
    return f"no connection: {error.__cause__ or error}"


def _sequences(connection: sqlalchemy.Connection) -> list[tuple[str, str, str]]:
    """Return (table, column, sequence) of all columns that count."""
    query = """
        SELECT t.relname, a.attname, s.relname FROM pg_class s
        JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'a'
        JOIN pg_class t ON t.oid = d.refobjid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        WHERE s.relkind = 'S' AND s.relnamespace = current_schema()::regnamespace
    """
    return [(row[0], row[1], row[2]) for row in connection.exec_driver_sql(query)]


def _socket(address: DatabaseAddress) -> socket.socket:
    try:
        made = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
    except OSError as error:
        raise pg8000.dbapi.OperationalError(f"no connection: {error.strerror or error}") from None
    for option, value in (
        (socket.TCP_KEEPIDLE, 10),
        (socket.TCP_KEEPINTVL, 5),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, 25_000),
        (socket.TCP_NODELAY, 1),
    ):
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.settimeout(None)
    return made


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver has no types
    # PostgreSQL keeps no NUL in text, and what a Defender reports may have one: it must not stop all that follow.
    connection.register_out_adapter(str, lambda text: text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    # Sums of whole numbers are whole numbers, as SQLite has them.
    connection.register_in_adapter(_NUMERIC, _number)
    cursor = connection.cursor()
    for name, value in _SETTINGS.items():
        cursor.execute(f"SET {name} = '{value}'")
    cursor.close()
    connection.commit()


def _number(text: str) -> int | Decimal:
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)
