"""The two servers of a Console: the API for people and tools, the channel for Defenders."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from bartizan import pki
from bartizan.api import ApiServices, create_api
from bartizan.api.context import About
from bartizan.api.patience import patient_for
from bartizan.app.parts import Parts
from bartizan.channel.peer import identify_with
from bartizan.channel.server import ChannelServer
from bartizan.channel.session import Limits, Services
from bartizan.data_directory import ConsoleError
from bartizan.store.database import NEWEST_SCHEMA


@contextmanager
def listener(host: str, port: int) -> Iterator[socket.socket]:
    """Give a listening socket; an empty host is every address of IPv4 and IPv6. Raises ConsoleError."""
    try:
        if not host and socket.has_dualstack_ipv6():
            listening = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConsoleError(f"cannot listen on `{host}:{port}`: {error.strerror}") from None
    with contextlib.closing(listening):
        yield listening


@asynccontextmanager
async def serving(parts: Parts, api: socket.socket, channel: socket.socket) -> AsyncIterator[None]:
    """Serve on two listening sockets until the block ends. Raises ConsoleError when the API does not start."""
    settings = parts.base.settings
    limits = Limits(hello_seconds=settings.hello_seconds, heartbeat_seconds=settings.heartbeat_seconds)
    gateway = ChannelServer(_channel_services(parts), identify_with(pki.identity_of), limits)
    server = _ApiServer(_api_config(parts))
    answering = asyncio.create_task(server.serve(sockets=[api]))
    try:
        await gateway.start(channel, parts.base.channel_context())
        await _started(server, answering)
        yield
    finally:
        parts.fleet.defenders.console_ends()
        await gateway.stop()
        parts.events.feed.close()
        server.should_exit = True
        await asyncio.gather(answering, return_exceptions=True)


class _ApiServer(uvicorn.Server):
    """Uvicorn without its own signal handlers: the Console has one way to stop."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _started(server: uvicorn.Server, answering: asyncio.Task[None]) -> None:
    while not server.started:
        if answering.done():
            await answering
            raise ConsoleError("the API did not start")
        await asyncio.sleep(0.005)


def _api_config(parts: Parts) -> uvicorn.Config:
    context = parts.base.api_context()
    return uvicorn.Config(
        create_api(_api_services(parts)),
        ssl_context_factory=lambda _config, _default: context,
        http=patient_for(parts.base.settings.request_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        limit_concurrency=1000,
    )


def _api_services(parts: Parts) -> ApiServices:
    base, fleet, policy, events, embedding = parts.base, parts.fleet, parts.policy, parts.events, parts.embedding
    return ApiServices(
        accounts=parts.access.accounts,
        changes=parts.access.changes,
        oidc=parts.access.oidc,
        users=parts.access.users,
        alert_profiles=parts.alerts.profiles,
        audits=events.audits,
        backups=parts.backups,
        bundles=fleet.bundles,
        collections=policy.collections,
        credentials=embedding.credentials,
        custom_rules=policy.custom_rules,
        defenders=fleet.defenders,
        deployed=policy.deployed,
        discoveries=events.discoveries,
        embed_dockerfile=embedding.embed_dockerfile,
        event_allowance=policy.event_allowance,
        events=events.list,
        firewall=policy.firewall,
        firewall_audits=events.firewall_audits,
        forensics=events.forensics,
        health=parts.health,
        image_lookup=embedding.image_lookup,
        incidents=events.incidents,
        investigation=events.investigation,
        learning=events.learning,
        models=events.models,
        names=base.names,
        overview=parts.overview,
        policies=policy.policies,
        protect_task=embedding.protect_task,
        proxy=base.proxy,
        registries=embedding.registries,
        firewall_hits=policy.firewall_hits,
        rule_hits=policy.rule_hits,
        retentions=base.retentions,
        rulesets=policy.rulesets,
        scrubbing=base.scrubbing,
        trials=events.trials,
        ca_pem=base.authority.ca_pem,
        ca_expiration=base.authority.ca_expiration,
        version=base.settings.version,
        binaries=base.binaries,
        about=About(database=base.database.name, database_kind=base.database.kind, schema=NEWEST_SCHEMA),
    )


def _channel_services(parts: Parts) -> Services:
    fleet, policy, events = parts.fleet, parts.policy, parts.events
    return Services(
        bundles=fleet.bundles,
        defenders=fleet.defenders,
        discoveries=events.discoveries,
        enrolment=fleet.enrolment,
        firewall=policy.firewall,
        forensics=events.forensics,
        ingest=events.ingest,
        models=events.models,
        policies=policy.policies,
        rulesets=policy.rulesets,
        scrubbing=parts.base.scrubbing,
        sources=events.sources,
        clock=parts.base.clock,
    )
