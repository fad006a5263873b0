"""
The settings of the Console.

This file alone reads the environment; what it finds is frozen, and checked before any port is opened.
"""

import dataclasses
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bartizan.audit import Retention
from bartizan.database_address import AddressError, DatabaseAddress, parse_database_address

_HIGHEST_PORT = 65535


class SettingsError(ValueError):
    """A setting that cannot be right; the message names it."""


def package_version() -> str:
    """Return the version of Bartizan; Console and Defender of one version belong together."""
    try:
        return version("bartizan")
    except PackageNotFoundError:
        return "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What the Console is started with. A port 0 is chosen by the system.

    `database` is a PostgreSQL server; without one a file in the data directory is the database.
    `names` are host names and addresses to put into the certificate beside those that the machine knows of itself.
    `outgoing_allow` are the hosts and networks that alerts and log-ins may reach though they are not public.
    """

    data_directory: Path
    database: DatabaseAddress | None = None
    api_host: str = ""
    api_port: int = 8083
    channel_host: str = ""
    channel_port: int = 8084
    names: tuple[str, ...] = ()
    version: str = field(default_factory=package_version)
    defender_image: str = ""
    defender_amd64: Path | None = None
    defender_arm64: Path | None = None
    seccomp_profile: Path | None = None
    retention: Retention = field(default_factory=Retention)
    certificate_hours: int = 24
    heartbeat_seconds: int = 30
    hello_seconds: float = 5.0
    request_seconds: float = 15.0
    look_up_seconds: int = 60
    image_tag_seconds: int = 600
    outgoing_allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        if not self.defender_image:
            object.__setattr__(self, "defender_image", f"bartizan/defender:{self.version}")
        for name, port in (("api_port", self.api_port), ("channel_port", self.channel_port)):
            if not 0 <= port <= _HIGHEST_PORT:
                raise SettingsError(f"`{name}` is {port}, it has to be from 0 to {_HIGHEST_PORT}")
        if self.api_port == self.channel_port != 0:
            raise SettingsError(f"API and channel cannot share the port {self.api_port}")
        for name, number in (
            ("certificate_hours", self.certificate_hours),
            ("heartbeat_seconds", self.heartbeat_seconds),
            ("look_up_seconds", self.look_up_seconds),
            ("audit retention days", self.retention.days),
            ("audit retention number", self.retention.audits),
        ):
            if number < 1:
                raise SettingsError(f"`{name}` is {number}, it has to be at least 1")


def read_settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:  # noqa: ANN401 - checked by name below
    """
    Return the settings: `given` ones (None means not given) before those of the environment before the defaults.

    | variable | setting |
    |---|---|
    | `BARTIZAN_DATA` | data directory, default `~/.local/share/bartizan` |
    | `BARTIZAN_DATABASE` | `postgresql://user@host:port/name?sslmode=…`, default SQLite in the data directory |
    | `BARTIZAN_DATABASE_PASSWORD_FILE`, `BARTIZAN_DATABASE_PASSWORD` | its password, in a file or itself |
    | `BARTIZAN_API_ADDRESS`, `BARTIZAN_CHANNEL_ADDRESS` | `[host]:port` to listen on, default `:8083` and `:8084` |
    | `BARTIZAN_NAMES` | more names for the certificate, separated by commas |
    | `BARTIZAN_DEFENDER_IMAGE` | the sidecar's image |
    | `BARTIZAN_DEFENDER` | the Defender's binary for this machine's architecture |
    | `BARTIZAN_DEFENDER_AMD64`, `BARTIZAN_DEFENDER_ARM64` | the Defender's binaries by architecture |
    | `BARTIZAN_SECCOMP_PROFILE` | the seccomp profile of `run-task` |
    | `BARTIZAN_AUDIT_DAYS`, `BARTIZAN_AUDIT_LIMIT` | how long, and how many audits are kept |
    | `BARTIZAN_LOOK_UP_SECONDS` | how long one request may ask registries, default 60 |
    | `BARTIZAN_IMAGE_TAG_SECONDS` | for how long a tag is not asked for again, default 600; 0 asks each time |
    | `BARTIZAN_OUTGOING_ALLOW` | hosts, `*.names`, networks that alerts and log-ins reach though they are private |

    Raises SettingsError.
    """
    environment = os.environ if environment is None else environment
    home = environment.get("XDG_DATA_HOME") or str(Path(environment.get("HOME") or "/root") / ".local/share")
    found: dict[str, Any] = {"data_directory": Path(environment.get("BARTIZAN_DATA") or Path(home) / "bartizan")}
    if url := environment.get("BARTIZAN_DATABASE"):
        found["database"] = _database(url, environment)
    for part in ("api", "channel"):
        address = environment.get(f"BARTIZAN_{part.upper()}_ADDRESS")
        if address:
            found[f"{part}_host"], found[f"{part}_port"] = parse_address(address)
    found.update(_lists(environment))
    if image := environment.get("BARTIZAN_DEFENDER_IMAGE"):
        found["defender_image"] = image
    for variable, name in (
        ("BARTIZAN_DEFENDER", "defender_arm64" if platform.machine() == "aarch64" else "defender_amd64"),
        ("BARTIZAN_DEFENDER_AMD64", "defender_amd64"),
        ("BARTIZAN_DEFENDER_ARM64", "defender_arm64"),
        ("BARTIZAN_SECCOMP_PROFILE", "seccomp_profile"),
    ):
        if path := environment.get(variable):
            found[name] = Path(path)
    found["retention"] = _retention(environment)
    for name in ("look_up_seconds", "image_tag_seconds"):
        if environment.get(variable := f"BARTIZAN_{name.upper()}"):
            found[name] = _number(environment, variable, 0)
    found.update({name: value for name, value in given.items() if value is not None})
    known = {item.name for item in dataclasses.fields(Settings)}
    if unknown := set(found) - known:
        raise SettingsError(f"there is no setting `{min(unknown)}`")
    return Settings(**found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """
    How the command line reaches a Console, and where it keeps what it fetched.

    | variable | setting |
    |---|---|
    | `BARTIZAN_ADDRESS` | address of the API |
    | `BARTIZAN_USER`, `BARTIZAN_PASSWORD`, or `BARTIZAN_TOKEN` | credentials |
    | `BARTIZAN_CA_FILE` | the Console's certificate authority |
    | `BARTIZAN_SECCOMP_PROFILE` | the seccomp profile of `run-task` |
    | `BARTIZAN_DEFENDER` | the Defender's binary, which `waf test` asks |
    | `BARTIZAN_REGISTRY`, `BARTIZAN_REGISTRY_USER`, `BARTIZAN_REGISTRY_PASSWORD` | a registry and its credential |
    | `BARTIZAN_REGISTRY_CA_FILE` | the certificate authority of registries, in place of the system's |
    | `DOCKER_CONFIG` | the folder of Docker's `config.json`, `~/.docker` if not set; other credentials are in it |
    | `XDG_CACHE_HOME` | unpacked images lie in `bartizan/` there |
    """

    address: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_file: Path | None = None
    insecure: bool = False
    seccomp_profile: Path | None = None
    defender: Path | None = None
    registry: str = ""
    registry_user: str = ""
    registry_password: str = field(default="", repr=False)
    registry_ca_file: Path | None = None
    docker_config: Path | None = None
    cache_directory: Path = Path("/var/cache/bartizan")


def read_client_settings(environment: Mapping[str, str] | None = None, **given: Any) -> ClientSettings:  # noqa: ANN401 - options of commands
    """Return the settings of the command line: `given` ones (None and empty: not given) before the environment."""
    environment = os.environ if environment is None else environment
    home = Path(environment.get("HOME") or "/root")
    cache = environment.get("XDG_CACHE_HOME") or str(home / ".cache")
    docker = environment.get("DOCKER_CONFIG") or str(home / ".docker")
    found: dict[str, Any] = {
        "cache_directory": Path(cache) / "bartizan",
        "docker_config": Path(docker) / "config.json",
    }
    for name in ("address", "user", "password", "token", "registry", "registry_user", "registry_password"):
        found[name] = environment.get(f"BARTIZAN_{name.upper()}", "")
    for variable, name in (
        ("BARTIZAN_CA_FILE", "ca_file"),
        ("BARTIZAN_SECCOMP_PROFILE", "seccomp_profile"),
        ("BARTIZAN_DEFENDER", "defender"),
        ("BARTIZAN_REGISTRY_CA_FILE", "registry_ca_file"),
    ):
        if path := environment.get(variable):
            found[name] = Path(path)
    found.update({name: value for name, value in given.items() if value})
    return ClientSettings(**found)


def wants_colour(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether terminals may be written to in colour (https://no-color.org)."""
    environment = os.environ if environment is None else environment
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _lists(environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found = {}
    for name in ("names", "outgoing_allow"):
        if entries := environment.get(f"BARTIZAN_{name.upper()}"):
            found[name] = tuple(entry.strip() for entry in entries.split(",") if entry.strip())
    return found


def _database(url: str, environment: Mapping[str, str]) -> DatabaseAddress:
    password = environment.get("BARTIZAN_DATABASE_PASSWORD", "")
    if file := environment.get("BARTIZAN_DATABASE_PASSWORD_FILE"):
        try:
            password = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise SettingsError(f"`BARTIZAN_DATABASE_PASSWORD_FILE` `{file}` cannot be read: {error}") from None
    try:
        return parse_database_address(url, password=password)
    except AddressError as error:
        raise SettingsError(f"`BARTIZAN_DATABASE`: {error}") from None


def _retention(environment: Mapping[str, str]) -> Retention:
    plain = Retention()
    return Retention(
        days=_number(environment, "BARTIZAN_AUDIT_DAYS", plain.days),
        audits=_number(environment, "BARTIZAN_AUDIT_LIMIT", plain.audits),
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(f"`{name}` is `{text}`, it has to be a number")
    return int(text)


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `[host]:port`; an empty host means every address. Raises SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()):
        raise SettingsError(f"`{text}` is not an address `[host]:port`")
    return host.strip("[]"), int(port)
