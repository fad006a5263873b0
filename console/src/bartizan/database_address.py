"""The address of a PostgreSQL database, as one setting gives it."""

import ssl
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

_SCHEMES = ("postgresql", "postgres")
_MODES = ("disable", "require", "verify-full")
_OPTIONS = ("host", "sslmode", "sslrootcert")
_LONGEST = 2048
_LOCAL = ("localhost", "127.0.0.1", "::1")


class AddressError(ValueError):
    """A database's address that cannot be right; the message never has its password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAddress:
    """
    Where a PostgreSQL server is and who asks it.

    `socket_directory` is the folder of its unix socket, empty for TCP. `tls` is one of `disable`, `require` (encrypted,
    but whoever answers is believed) and `verify-full`.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(default="", repr=False)
    socket_directory: str = ""
    tls: str = "verify-full"
    ca_file: Path | None = None

    def __str__(self) -> str:
        """Return the address as it may be shown."""
        where = self.socket_directory or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"postgresql://{self.user}@{where}:{self.port}/{self.database}"

    @property
    def socket_path(self) -> str:
        """The unix socket, as PostgreSQL names it in its folder."""
        return f"{self.socket_directory}/.s.PGSQL.{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return how to speak TLS, None for not at all. Raises AddressError for a file that has no certificates."""
        if self.tls == "disable":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise AddressError(f"the database's `sslrootcert` `{self.ca_file}` cannot be used: {error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.tls == "require":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse_database_address(text: str, *, password: str = "") -> DatabaseAddress:
    """
    Return the address in a URL like `postgresql://user@host:5432/name?sslmode=verify-full`.

    `host=/run/postgresql` as an option names the folder of a unix socket. A server that is not on this machine has to
    prove its name unless `sslmode` says otherwise. `password` is taken when the URL has none. Raises AddressError.
    """
    if len(text) > _LONGEST:
        raise AddressError(f"the database's address has {len(text)} characters, {_LONGEST} is the most")
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port or 5432
    except ValueError:
        raise AddressError("the database's address is not a URL `postgresql://user@host:port/name`") from None
    if parts.scheme not in _SCHEMES:
        raise AddressError("the database's address has to begin with `postgresql://`")
    options = _options(parts.query)
    socket_directory = options.get("host", "")
    if socket_directory and not socket_directory.startswith("/"):
        raise AddressError("`host` in the database's address has to be the folder of a socket, like `/run/postgresql`")
    host = "" if socket_directory else parts.hostname or ""
    if not host and not socket_directory:
        raise AddressError("the database's address names no host")
    database, user = (urllib.parse.unquote(part) for part in (parts.path.removeprefix("/"), parts.username or ""))
    if not database or not user:
        raise AddressError(f"the database's address names no {'user' if database else 'database'}")
    ca_file = options.get("sslrootcert")
    return DatabaseAddress(
        host=host,
        port=port,
        database=database,
        user=user,
        password=urllib.parse.unquote(parts.password) if parts.password else password,
        socket_directory=socket_directory,
        tls=_mode(options, local=bool(socket_directory) or host in _LOCAL),
        ca_file=Path(ca_file) if ca_file else None,
    )


def _options(query: str) -> dict[str, str]:
    try:
        options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise AddressError("the options of the database's address are not `name=value`") from None
    for name in options:
        if name not in _OPTIONS:
            raise AddressError(f"the database's address has no option `{name}`; there are {', '.join(_OPTIONS)}")
    return options


def _mode(options: dict[str, str], *, local: bool) -> str:
    mode = options.get("sslmode") or ("disable" if local else "verify-full")
    if mode not in _MODES:
        raise AddressError(f"`sslmode` in the database's address is none of {', '.join(_MODES)}")
    return mode
