"""What all parts of a Console stand on: its keys, its database, its names, its way out."""

import datetime as dt
import shutil
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from bartizan import pki
from bartizan.outgoing.late import LateClient
from bartizan.outgoing.proxy import EgressProxy
from bartizan.outgoing.reach import parse_reach
from bartizan.services.egress import OutgoingProxy
from bartizan.services.names import Names
from bartizan.services.retention import Retentions
from bartizan.services.scrubbing import Scrubbing
from bartizan.settings import Settings
from bartizan.store import Database, SqlSettings


def milliseconds() -> int:
    """Return the time since 1970; the Console's clock."""
    return time.time_ns() // 1_000_000


class Base:
    """
    The data directory, opened.

    Raises LooseModeError, InvalidError, OSError or ValueError when something in it cannot be used.
    """

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self.directory = directory
        self.clock = milliseconds
        self.authority = pki.Authority(directory)
        self.database = Database(settings.database or directory / "bartizan.db")
        self.stored = SqlSettings(self.database)
        self.retentions = Retentions(self.stored, given=settings.retention, clock=self.clock)
        self.scrubbing = Scrubbing(self.stored)
        self.proxy = OutgoingProxy(self.stored, pki.SecretBox(directory / "proxy.key"), box_error=pki.SealError)
        self.outgoing = LateClient(parse_reach(settings.outgoing_allow), proxy=self._egress)
        self._contexts: list[ssl.SSLContext] = []
        self.names = Names(self.stored, defaults=pki.machine_names(), added=settings.names, reissue=self._reissue)

    @property
    def binaries(self) -> dict[str, Path]:
        """The Defender's file for each architecture that has one."""
        found = {"amd64": self.settings.defender_amd64, "arm64": self.settings.defender_arm64}
        return {architecture: path for architecture, path in found.items() if path is not None}

    def free_bytes(self) -> int:
        """Return the bytes that are left beside the data directory."""
        return shutil.disk_usage(self.directory).free

    def expirations(self) -> dict[str, int]:
        """Return the ends (unix ms) of the Console's certificates."""
        return {"authority": self.authority.ca_expiration, "server": self.authority.server_expiration}

    def api_context(self) -> ssl.SSLContext:
        """Return the TLS context of the API; it gets each new certificate."""
        return self._followed(pki.api_context(self.directory / "server.pem"))

    def channel_context(self) -> ssl.SSLContext:
        """Return the TLS context of the channel; it gets each new certificate."""
        return self._followed(pki.channel_context(self.directory / "server.pem", self.authority.ca_path))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _followed(self, context: ssl.SSLContext) -> ssl.SSLContext:
        self._contexts.append(context)
        return context

    def _egress(self) -> EgressProxy:
        proxy = self.proxy.current
        return EgressProxy(
            url=proxy.url, user=proxy.user, password=proxy.password, ca_pem=proxy.ca_pem, bypass=proxy.bypass
        )

    def _reissue(self, names: Sequence[str]) -> None:
        server = self.authority.server_certificate(names, now=dt.datetime.now(dt.UTC))
        for context in self._contexts:
            pki.swap_certificate(context, server)
