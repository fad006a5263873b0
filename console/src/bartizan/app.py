"""
The composition root: it builds everything, and decides nothing.

`run_console` starts API and channel in one event loop, with all state in one data directory:

    bartizan.db        audits, policies, users (SQLite)
    ca.pem, ca-key.pem the private authority
    server.pem         key and certificate of both ports
    bundle.key         from which the secrets of install bundles are derived
    setup-token        opens the one-time set-up; gone once it is done
    secrets.key        seals the credentials of registries in the database
    certificates.key   seals the certificates of protected applications there
    console.json       the real addresses while the Console runs, for tools
    lock               held while the Console runs
"""

import asyncio
import contextlib
import datetime as dt
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from bartizan import pki
from bartizan.api import ApiServices, create_api
from bartizan.api.patience import patient_for
from bartizan.channel.peer import identify_with
from bartizan.channel.server import ChannelServer
from bartizan.channel.session import Limits, Services
from bartizan.data_directory import ConsoleError, locked, setup_token
from bartizan.services.accounts import Accounts
from bartizan.services.audit_sources import AuditSources
from bartizan.services.audits import Audits
from bartizan.services.bundles import Bundles
from bartizan.services.credentials import Credentials
from bartizan.services.custom_rules import CustomRules
from bartizan.services.defenders import Defenders
from bartizan.services.discoveries import Discoveries
from bartizan.services.embed_dockerfile import EmbedDockerfile
from bartizan.services.embedding import TaskEmbedder
from bartizan.services.enrolment import Enrolment
from bartizan.services.errors import InvalidError
from bartizan.services.firewall import Firewall
from bartizan.services.firewall_audits import FirewallAudits
from bartizan.services.forensics import Forensics
from bartizan.services.housekeeping import Housekeeping
from bartizan.services.image_lookup import Ask, ImageLookUp, ImageRecord, LookUpLimits, RegistryReader
from bartizan.services.incidents import Incidents
from bartizan.services.ingest import AuditFeed, Ingest
from bartizan.services.learning import Learning
from bartizan.services.models import Models
from bartizan.services.names import Names
from bartizan.services.policies import Policies
from bartizan.services.protect_task import Embedder, ProtectTask
from bartizan.services.registries import ImageName, Registries
from bartizan.services.rulesets import Rulesets
from bartizan.settings import Settings
from bartizan.store import (
    Database,
    SqlAccounts,
    SqlAudits,
    SqlBundles,
    SqlCredentials,
    SqlCustomRules,
    SqlDefenders,
    SqlDiscoveries,
    SqlFirewall,
    SqlFirewallAudits,
    SqlImages,
    SqlIncidents,
    SqlLearned,
    SqlModels,
    SqlPolicies,
    SqlRulesets,
    SqlSettings,
    SqlSnapshots,
)

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningConsole:
    """A Console that accepts connections: real ports, and how to trust it."""

    api_port: int
    channel_port: int
    ca_file: Path
    ca_pin: str
    setup_token: str | None
    names: Sequence[str]


def serve_console(settings: Settings, *, announce: Announce) -> None:
    """Run a Console on the quick event loop until SIGTERM or SIGINT. Raises ConsoleError when it cannot start."""
    uvloop.run(run_console(settings, announce=announce))


async def run_console(
    settings: Settings, *, announce: Announce, stop: asyncio.Event | None = None, embedder: Embedder | None = None
) -> None:
    """
    Run a Console until SIGTERM, SIGINT or `stop`.

    `announce` gets lines for people: the addresses and, until it is done, the one-time set-up command.
    Raises ConsoleError when it cannot start.
    """
    # They tell what the Console tells better, and botocore, when it is asked for details, the passwords of ECR.
    for name in ("alembic", "uvicorn.error", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    ending = stop or asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with open_console(settings, embedder=embedder or TaskEmbedder()) as console:
        for line in _greeting(console):
            announce(line)
        await ending.wait()


@asynccontextmanager
async def open_console(settings: Settings, *, embedder: Embedder) -> AsyncIterator[RunningConsole]:
    """Start everything, and stop it in the reverse order. Raises ConsoleError when it cannot start."""
    with locked(settings.data_directory) as directory:
        try:
            parts = _Parts(settings, directory, embedder)
        except (pki.LooseModeError, InvalidError, OSError, ValueError) as error:
            raise ConsoleError(str(error)) from None
        try:
            with _listener(settings.api_host, settings.api_port) as api:  # noqa: SIM117 - one line each
                with _listener(settings.channel_host, settings.channel_port) as channel:
                    async with parts.running(api, channel) as console:
                        _write_addresses(directory, console, settings.version)
                        try:
                            yield console
                        finally:
                            (directory / "console.json").unlink(missing_ok=True)
        finally:
            parts.close()


class _Parts:
    """All parts of one Console, built but not running."""

    def __init__(self, settings: Settings, directory: Path, embedder: Embedder) -> None:
        self._settings = settings
        self._directory = directory
        self._contexts: list[ssl.SSLContext] = []
        self.authority = pki.Authority(directory)
        bundle_key = pki.BundleKey(directory / "bundle.key")
        box = pki.SecretBox(directory / "secrets.key")
        self.database = Database(directory / "bartizan.db")
        stored, audits = SqlSettings(self.database), SqlAudits(self.database)
        accounts = SqlAccounts(self.database)
        self.setup_token = None if accounts.has_users() else setup_token(directory / "setup-token")
        self.accounts = Accounts(
            accounts, setup_token=self.setup_token, on_set_up=self._forget_setup_token, clock=_milliseconds
        )
        self.names = Names(stored, defaults=pki.machine_names(), added=settings.names, reissue=self._reissue)
        library = SqlCustomRules(self.database)
        self.policies = Policies(
            SqlPolicies(self.database),
            on_change=self._push_policies,
            clock=_milliseconds,
            library={rule.id: rule for rule in library.all()},
        )
        self.custom_rules = CustomRules(library, self.policies)
        self.firewall = Firewall(
            SqlFirewall(self.database),
            pki.SecretBox(directory / "certificates.key"),
            box_error=pki.SealError,
            check_pair=pki.check_pair,
            on_change=self._push_firewall,
            clock=_milliseconds,
        )
        self.defenders = Defenders(SqlDefenders(self.database), stored, clock=_milliseconds)
        self.bundles = Bundles(
            SqlBundles(self.database),
            bundle_key,
            self.names,
            self.defenders,
            pin=self.authority.pin,
            clock=_milliseconds,
        )
        life = settings.certificate_hours * 3_600_000
        self.enrolment = Enrolment(self.bundles, self.defenders, self.authority, life=life, clock=_milliseconds)
        self.feed = AuditFeed(audits.newest_id())
        self.ingest = Ingest(audits, self.feed)
        self.audits = Audits(audits, self.feed)
        self.rulesets = Rulesets(SqlRulesets(self.database), stored, on_change=self._push_rules, clock=_milliseconds)
        self.firewall_audits = FirewallAudits(
            SqlFirewallAudits(self.database), retention=settings.retention, clock=_milliseconds
        )
        self.discoveries = Discoveries(
            SqlDiscoveries(self.database), policy=lambda: self.firewall.current, clock=_milliseconds
        )
        incidents = SqlIncidents(self.database)
        self.incidents = Incidents(incidents)
        self.forensics = Forensics(SqlSnapshots(self.database), incidents, self.defenders, clock=_milliseconds)
        self.models = Models(SqlModels(self.database), clock=_milliseconds)
        self.learning = Learning(SqlLearned(self.database), self.models, self.policies, audits, clock=_milliseconds)
        self.sources = AuditSources(audits, self.defenders)
        self.credentials = Credentials(SqlCredentials(self.database), box, box_error=pki.SealError, clock=_milliseconds)
        self.registries = Registries(stored, self.credentials, check_certificates=pki.check_certificates)
        self.image_lookup = ImageLookUp(
            SqlImages(self.database),
            self.registries,
            self.credentials,
            _LateReader(),
            limits=LookUpLimits(request_seconds=settings.look_up_seconds, tag_seconds=settings.image_tag_seconds),
            clock=_milliseconds,
        )
        self.protect_task = ProtectTask(
            self.bundles, embedder, self.image_lookup, defender_image=settings.defender_image, version=settings.version
        )
        self.embed_dockerfile = EmbedDockerfile(
            self.bundles, _binaries(settings), self.image_lookup, version=settings.version
        )
        self.housekeeping = Housekeeping(
            self.defenders,
            audits,
            self.feed,
            self.names,
            retention=settings.retention,
            clock=_milliseconds,
            prompt=(self.forensics.tick,),
            chores=(
                self.incidents.prune,
                self.forensics.prune,
                self.models.prune,
                self.learning.tick,
                self.firewall_audits.prune,
                self.discoveries.prune,
            ),
        )

    @asynccontextmanager
    async def running(self, api: socket.socket, channel: socket.socket) -> AsyncIterator[RunningConsole]:
        """Serve on two listening sockets."""
        api_port, channel_port = api.getsockname()[1], channel.getsockname()[1]
        self.names.set_ports(api=api_port, channel=channel_port)
        await self.credentials.reseal()
        writer = asyncio.create_task(self.ingest.run())
        keeper = asyncio.create_task(self.housekeeping.run())
        gateway = ChannelServer(self._channel_services(), identify_with(pki.identity_of), self._channel_limits())
        server = _ApiServer(self._api_config())
        serving = asyncio.create_task(server.serve(sockets=[api]))
        try:
            await gateway.start(channel, self._channel_context())
            await _started(server, serving)
            yield RunningConsole(
                api_port=api_port,
                channel_port=channel_port,
                ca_file=self.authority.ca_path,
                ca_pin=self.authority.pin,
                setup_token=self.setup_token,
                names=self.names.all(),
            )
        finally:
            await gateway.stop()
            self.feed.close()
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            self.ingest.close()
            keeper.cancel()
            await asyncio.gather(writer, keeper, return_exceptions=True)
            await self.defenders.flush()
            await self.discoveries.flush()

    def close(self) -> None:
        """Close what is open beside the listeners."""
        self.accounts.close()
        self.image_lookup.close()
        self.database.close()

    def _channel_services(self) -> Services:
        return Services(
            bundles=self.bundles,
            defenders=self.defenders,
            discoveries=self.discoveries,
            enrolment=self.enrolment,
            firewall=self.firewall,
            forensics=self.forensics,
            ingest=self.ingest,
            models=self.models,
            policies=self.policies,
            rulesets=self.rulesets,
            sources=self.sources,
            clock=_milliseconds,
        )

    def _channel_limits(self) -> Limits:
        return Limits(hello_seconds=self._settings.hello_seconds, heartbeat_seconds=self._settings.heartbeat_seconds)

    def _channel_context(self) -> ssl.SSLContext:
        server = self._directory / "server.pem"
        context = pki.channel_context(server, self.authority.ca_path)
        self._contexts.append(context)
        return context

    def _api_config(self) -> uvicorn.Config:
        context = pki.api_context(self._directory / "server.pem")
        self._contexts.append(context)
        services = ApiServices(
            accounts=self.accounts,
            audits=self.audits,
            bundles=self.bundles,
            credentials=self.credentials,
            custom_rules=self.custom_rules,
            defenders=self.defenders,
            discoveries=self.discoveries,
            embed_dockerfile=self.embed_dockerfile,
            firewall=self.firewall,
            firewall_audits=self.firewall_audits,
            forensics=self.forensics,
            image_lookup=self.image_lookup,
            incidents=self.incidents,
            learning=self.learning,
            models=self.models,
            names=self.names,
            policies=self.policies,
            protect_task=self.protect_task,
            registries=self.registries,
            rulesets=self.rulesets,
            ca_pem=self.authority.ca_pem,
            ca_expiration=self.authority.ca_expiration,
            version=self._settings.version,
            binaries=_binaries(self._settings),
        )
        return uvicorn.Config(
            create_api(services),
            ssl_context_factory=lambda _config, _default: context,
            http=patient_for(self._settings.request_seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=3,
            limit_concurrency=1000,
        )

    def _reissue(self, names: Sequence[str]) -> None:
        server = self.authority.server_certificate(names, now=dt.datetime.now(dt.UTC))
        for context in self._contexts:
            pki.swap_certificate(context, server)

    def _push_policies(self) -> None:
        for session in self.defenders.sessions():
            session.policy_changed()

    def _push_firewall(self) -> None:
        for session in self.defenders.sessions():
            session.waas_changed()

    def _push_rules(self) -> None:
        for session in self.defenders.sessions():
            session.rules_changed()

    def _forget_setup_token(self) -> None:
        (self._directory / "setup-token").unlink(missing_ok=True)


class _LateReader:
    """Implements `RegistryReader`; what talks to registries is imported when the first image is asked for."""

    def name(self, reference: str) -> ImageName:
        """Return a reference in its parts. Raises InvalidError."""
        return self._reader.name(reference)

    def look_up(self, ask: Ask) -> ImageRecord:
        """Return what a registry says of an image. Raises ServiceError."""
        return self._reader.look_up(ask)

    def privileged(self, ask: Ask) -> tuple[str, ...]:
        """Return the programs of an image that gain rights. Raises ServiceError."""
        return self._reader.privileged(ask)

    @cached_property
    def _reader(self) -> RegistryReader:
        from bartizan.registry import reader  # noqa: PLC0415 - keeps the start quick

        return reader.RegistryReader()


class _ApiServer(uvicorn.Server):
    """Uvicorn without its own signal handlers: the Console has one way to stop."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise ConsoleError("the API did not start")
        await asyncio.sleep(0.005)


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    """Give a listening socket; an empty host is every address of IPv4 and IPv6."""
    try:
        if not host and socket.has_dualstack_ipv6():
            listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConsoleError(f"cannot listen on `{host}:{port}`: {error.strerror}") from None
    with contextlib.closing(listener):
        yield listener


def _binaries(settings: Settings) -> dict[str, Path]:
    found = {"amd64": settings.defender_amd64, "arm64": settings.defender_arm64}
    return {architecture: path for architecture, path in found.items() if path is not None}


def _write_addresses(directory: Path, console: RunningConsole, version: str) -> None:
    document = {
        "version": version,
        "pid": os.getpid(),
        "api": f"https://localhost:{console.api_port}",
        "channel": f"wss://localhost:{console.channel_port}",
        "apiPort": console.api_port,
        "channelPort": console.channel_port,
        "caFile": str(console.ca_file),
        "caPin": console.ca_pin,
    }
    pki.write_atomically(directory / "console.json", msgspec.json.encode(document) + b"\n")


def _greeting(console: RunningConsole) -> list[str]:
    api = f"https://localhost:{console.api_port}"
    lines = [
        f"Console: {api} (API), wss://localhost:{console.channel_port} (Defenders)",
        f"Certificate authority: {console.ca_file}, SHA-256 {console.ca_pin}",
    ]
    if console.setup_token is None:
        return lines
    return [
        *lines,
        "There is no administrator yet. Set the password (at least 12 characters), once:",
        f"  bartizan signup --address {api} --ca-file {console.ca_file} --username admin --token {console.setup_token}",
    ]


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
