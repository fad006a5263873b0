"""A real PostgreSQL for tests: its own cluster, on a unix socket in a temporary folder, as a user who is not root."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pg8000.native

from bartizan.database_address import DatabaseAddress

Where = Path | DatabaseAddress
PASSWORD = "postgres pass'word \\ %40"
_PORT = 5432
_EMPTY = """
DO $$ DECLARE name text; BEGIN
SET LOCAL session_replication_role = replica;
FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', name);
END LOOP;
FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    PERFORM setval(name::regclass, 1, false);
END LOOP;
END $$
"""


@dataclass
class Server:
    """A running cluster, and how many databases it was asked for."""

    directory: Path
    _made: int = field(default=0)

    def address(self, database: str, *, password: str = PASSWORD) -> DatabaseAddress:
        """Return the address of a database."""
        return DatabaseAddress(
            host="", port=_PORT, database=database, user="tester", password=password,
            socket_directory=str(self.directory), tls="disable",
        )  # fmt: skip

    def new_database(self, *, options: str = "") -> DatabaseAddress:
        """Make a database."""
        self._made += 1
        name = f"test_{self._made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return self.address(name)

    def empty(self, database: str) -> None:
        """Remove all rows of a migrated database, and begin with 1 again; many times quicker than a new database."""
        self.execute(_EMPTY, database=database)

    def execute(self, statement: str, *, database: str = "postgres") -> list[list[object]]:
        """Run a statement as the cluster's owner."""
        address = self.address(database)
        with contextlib.closing(
            pg8000.native.Connection(
                address.user, unix_sock=address.socket_path, database=database, password=address.password
            )
        ) as connection:
            return list(connection.run(statement) or [])


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a cluster until the block ends."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    user = _unprivileged()
    if user is not None:
        os.chown(directory, user, -1)
    secret = directory / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o644)
    data = str(directory / "data")
    given = {"user": user, "cwd": directory, "stdout": subprocess.DEVNULL}
    subprocess.run(
        [programs / "initdb", "-D", data, "--no-sync", "--username=tester", f"--pwfile={secret}", "--encoding=UTF8",
         "--locale=C", "--auth=scram-sha-256", "--no-instructions"],
        check=True, **given,
    )  # fmt: skip
    options = {
        "listen_addresses": "", "unix_socket_directories": str(directory), "fsync": "off", "shared_buffers": "16MB",
        "autovacuum": "off", "max_connections": "50", "log_min_messages": "fatal",
    }  # fmt: skip
    process = subprocess.Popen(
        [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
        stderr=subprocess.DEVNULL, **given,
    )  # fmt: skip
    try:
        _wait(programs, directory)
        yield Server(directory)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        shutil.rmtree(directory)


def _wait(programs: Path, directory: Path) -> None:
    """Wait for connections: `pg_isready` asks once, so it is asked until it says yes."""
    for _ in range(200):
        ready = [programs / "pg_isready", "--quiet", "--host", directory, "--timeout", "5"]
        if subprocess.run(ready, check=False).returncode == 0:
            return
    raise TimeoutError("PostgreSQL did not start")


def _unprivileged() -> int | None:
    """Return whom to start the server as; PostgreSQL refuses to run for root."""
    return pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else None
