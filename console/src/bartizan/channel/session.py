"""
One Defender's session on `/channel`.

    hello → welcome, policies → (status | audits | renew)* → goodbye

Everything that comes in is treated as hostile: typed, bounded, and no field is taken for identity that the certificate
does not carry. A bad frame ends this session and nothing else.
"""

import asyncio
import base64
import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from picows import WSCloseCode

from bartizan.audit import Audit, CustomText, Reason, Reporter
from bartizan.audit.firewall_audit import describe_request
from bartizan.audit.incidents import incident_kind
from bartizan.audit.scrubbing import described
from bartizan.audit.wire import RequestEvent
from bartizan.channel.connection import Connection, ConnectionClosedError
from bartizan.channel.learnt import learnt_of
from bartizan.channel.messages import (
    LARGEST_RULESET_PART,
    MOST_AUDITS,
    ChannelAudits,
    ChannelFetch,
    ChannelObservations,
    ChannelSnapshot,
    ChannelStatus,
    DefenderMessage,
    ErrorCode,
    Goodbye,
    Hello,
    Kind,
    Learned,
    Message,
    Policies,
    Renew,
    Renewed,
    Ruleset,
    Waas,
    WaasDiscovery,
    WaasStatus,
    Welcome,
    Workload,
    WorkloadPolicy,
    defender_decoder,
    encode,
)
from bartizan.channel.outbox import Outbox
from bartizan.channel.pace import Pace
from bartizan.policy import Workload as Scope
from bartizan.services.audit_sources import AuditSources
from bartizan.services.bundles import Bundles
from bartizan.services.defenders import Defenders
from bartizan.services.discoveries import Discoveries
from bartizan.services.enrolment import Enrolment
from bartizan.services.errors import InvalidError, ServiceError, UnavailableError, misfit
from bartizan.services.firewall import Firewall
from bartizan.services.forensics import Forensics, Piece
from bartizan.services.ingest import Arrived, Ingest
from bartizan.services.interfaces import (
    ClientIdentity,
    Clock,
    DefenderRecord,
    FirewallRecord,
    NewAudit,
    NewFirewallAudit,
    WorkloadRecord,
)
from bartizan.services.models import Models
from bartizan.services.policies import Policies as PolicyService
from bartizan.services.rulesets import Rulesets
from bartizan.services.scrubbing import Scrubbing

_log = logging.getLogger(__name__)
_MOST_IN_FLIGHT = 8
_MOST_SOURCES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times of the channel in seconds, and how much one Defender may send."""

    hello_seconds: float = 5.0
    heartbeat_seconds: int = 30
    send_seconds: float = 30.0
    audits_per_second: float = 5_000.0
    audits_at_once: float = 20_000.0
    messages_per_second: float = 20.0
    messages_at_once: float = 200.0
    connections: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use-cases that the channel serves."""

    bundles: Bundles
    defenders: Defenders
    discoveries: Discoveries
    enrolment: Enrolment
    firewall: Firewall
    forensics: Forensics
    ingest: Ingest
    models: Models
    policies: PolicyService
    rulesets: Rulesets
    scrubbing: Scrubbing
    sources: AuditSources
    clock: Clock


class EndError(Exception):
    """The session has to end, for this reason."""

    def __init__(self, code: ErrorCode, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


class Session:
    """One connection whose certificate was verified; implements `LiveSession`."""

    def __init__(self, connection: Connection, identity: ClientIdentity, services: Services, limits: Limits) -> None:
        self._connection = connection
        self._identity = identity
        self._services = services
        self._limits = limits
        self._hello: Hello | None = None
        self._images: dict[str | None, str | None] = {}
        self._sources: set[str] = set()
        self._goodbye: str | None = None
        self._outbox = Outbox(self._policies, self._waas, self._rules)
        self._ruleset: str | None = None
        self._in_flight = asyncio.Semaphore(_MOST_IN_FLIGHT)
        now = asyncio.get_running_loop().time()
        self._audit_pace = Pace(rate=limits.audits_per_second, burst=limits.audits_at_once, now=now)
        self._message_pace = Pace(rate=limits.messages_per_second, burst=limits.messages_at_once, now=now)
        self._expiry: asyncio.TimerHandle | None = None

    def policy_changed(self) -> None:
        """Send the policies again, soon."""
        self._outbox.policies()

    def waas_changed(self) -> None:
        """Send the WAAS policy again, soon."""
        self._outbox.waas()

    def rules_changed(self) -> None:
        """Send the set of rules in use, soon."""
        self._outbox.rules()

    def fetch(self, name: str, container: str | None, *, after: int, reason: str) -> None:
        """Ask for a piece of a workload's record, soon."""
        self._outbox.reply(ChannelFetch(id=name, container=container, after=after, reason=reason[:512]))

    def close(self, code: str, message: str) -> None:
        """Tell why, and close, soon."""
        self._outbox.end(ErrorCode(code), message)

    async def run(self) -> None:
        """Serve the connection until it ends."""
        writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.send_seconds):
                        await self._settle(writer)
        finally:
            if self._expiry is not None:
                self._expiry.cancel()
            self._services.defenders.disconnected(self._identity.instance, self, goodbye=self._goodbye)
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _settle(self, writer: asyncio.Task[None]) -> None:
        """Commit and acknowledge what is under way, so that a Defender that leaves need not send it again."""
        if self._goodbye is not None:
            for _ in range(_MOST_IN_FLIGHT):
                await self._in_flight.acquire()
            self._outbox.finish()
        if self._goodbye is not None or self._outbox.ending is not None:
            await asyncio.shield(writer)

    async def _read(self) -> None:
        try:
            await self._greet()
            while await self._take(_decode(await self._connection.receive())):
                pass
        except EndError as error:
            self._outbox.end(error.code, error.message, retry_after=error.retry_after)
        except ConnectionClosedError:
            return
        except Exception:  # noqa: BLE001 - one session must not end the server
            _log.exception("the session of %s failed", self._identity.instance)
            self._outbox.end(ErrorCode.UNAVAILABLE, "the Console failed, try again", retry_after=5)

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(self._limits.hello_seconds):
                message = _decode(await self._connection.receive())
        except TimeoutError:
            raise EndError(ErrorCode.BAD_MESSAGE, "no hello came in time") from None
        if not isinstance(message, Hello):
            raise EndError(ErrorCode.BAD_MESSAGE, "the first message has to be a hello")
        self._check(message)
        self._hello = message
        self._ruleset = message.ruleset
        self._images = {workload.container: workload.image for workload in message.workloads}
        self._services.defenders.connected(self._record(message), self)
        self._expire_at(self._identity.not_after)
        _log.info("defender %s connected: app %r, %s", message.instance, message.app_id, message.kind.value)
        self._outbox.reply(
            Welcome(
                server_time=self._services.clock(),
                heartbeat_seconds=self._limits.heartbeat_seconds,
                max_batch=MOST_AUDITS,
            )
        )
        self._outbox.policies()
        self._outbox.waas()

    def _check(self, hello: Hello) -> None:
        if hello.instance != self._identity.instance:
            raise EndError(ErrorCode.UNAUTHORIZED, "the hello names another instance than the certificate")
        if not self._services.bundles.is_live(self._identity.bundle):
            raise EndError(ErrorCode.REVOKED, "the install bundle was revoked")
        if self._services.defenders.is_revoked(self._identity.instance):
            raise EndError(ErrorCode.REVOKED, "this Defender was shut out")
        if not self._services.defenders.admits(self._identity):
            raise EndError(ErrorCode.CONFLICT, "this instance is bound to another key")
        containers = [workload.container for workload in hello.workloads]
        if len(set(containers)) != len(containers):
            raise EndError(ErrorCode.BAD_MESSAGE, "a container is named twice")
        whole = hello.kind is Kind.APP_EMBEDDED
        if whole and hello.workloads != (Workload(container=None, image=None),):
            raise EndError(ErrorCode.BAD_MESSAGE, "an app-embedded Defender has one workload, without container")
        if not whole and None in containers:
            raise EndError(ErrorCode.BAD_MESSAGE, "a workload of a task needs its container")

    async def _take(self, message: DefenderMessage) -> bool:
        """Handle one message; False ends the session."""
        if isinstance(message, ChannelAudits):
            await self._ingest(message)
            return True
        if self._message_pace.take(1, now=asyncio.get_running_loop().time()) > 0:
            raise EndError(ErrorCode.RATE_LIMITED, "too many messages", retry_after=10)
        match message:
            case ChannelStatus(workloads=workloads, waas=waas):
                news = [WorkloadRecord(**msgspec.structs.asdict(status)) for status in workloads]
                self._services.defenders.reported(self._identity.instance, news, _firewall(waas))
                if waas is not None and waas.discovery:
                    await self._discover(waas.discovery)
            case ChannelSnapshot():
                piece = Piece(**{name: getattr(message, name) for name in Piece.__dataclass_fields__})
                await self._services.forensics.received(self._identity.instance, piece)
            case ChannelObservations():
                await self._learn(message)
            case Renew(csr=csr):
                await self._renew(csr)
            case Goodbye(reason=reason):
                self._goodbye = reason
                return False
            case Hello():
                raise EndError(ErrorCode.BAD_MESSAGE, "there was a hello already")
        return True

    async def _ingest(self, message: ChannelAudits) -> None:
        # A sidecar has no container of the list to name when it speaks of itself.
        own = message.container is None and message.source == self._identity.instance
        if message.container not in self._images and not own:
            raise EndError(ErrorCode.BAD_MESSAGE, "the audits are of a container that the hello did not name")
        if not message.audits:
            return
        await self._claim(message.source)
        wait = self._audit_pace.take(len(message.audits), now=asyncio.get_running_loop().time())
        if wait > 0:
            await asyncio.sleep(wait)
        await self._in_flight.acquire()
        try:
            done = await self._services.ingest.submit(self._new_audits(message))
        except UnavailableError as error:
            raise EndError(ErrorCode.UNAVAILABLE, str(error), retry_after=1) from None
        committed = max(audit.seq for audit in message.audits)
        count = len(message.audits)
        done.add_done_callback(lambda future: self._committed(message.source, committed, count, future))

    async def _learn(self, message: ChannelObservations) -> None:
        if message.container not in self._images:
            raise EndError(ErrorCode.BAD_MESSAGE, "the observations are of a container that the hello did not name")
        await self._services.models.learn(
            app_id=self._greeted().app_id,
            image=self._images[message.container],
            container=message.container,
            observed=message.observed,
            overflow=message.overflow,
        )
        self._outbox.reply(Learned(container=message.container, number=message.number))

    async def _discover(self, reports: Sequence[WaasDiscovery]) -> None:
        hello = self._greeted()
        policy = self._services.firewall.resolve(_scopes(hello)).policy
        if policy["rule"] is None:
            return
        # Off the loop: a report has up to a thousand operations.
        learnt = await asyncio.to_thread(learnt_of, reports, policy, now=self._services.clock())
        await self._services.discoveries.learn(app_id=hello.app_id, rule=policy["rule"], learnt=learnt)

    async def _claim(self, source: str) -> None:
        if source in self._sources:
            return
        hello = self._greeted()
        if len(self._sources) >= _MOST_SOURCES:
            raise EndError(ErrorCode.RATE_LIMITED, "too many sources")
        if not await self._services.sources.claim(self._identity, hello.app_id, source):
            raise EndError(ErrorCode.UNAUTHORIZED, "this source belongs to another Defender")
        self._sources.add(source)

    def _new_audits(self, message: ChannelAudits) -> Sequence[Arrived]:
        hello = self._greeted()
        received = self._services.clock()
        reporter = Reporter(
            app_id=hello.app_id,
            instance=hello.instance,
            task=hello.task,
            container=message.container,
            image=self._images.get(message.container),
            version=hello.version,
        )
        return [self._new_audit(message.source, audit, reporter, received) for audit in message.audits]

    def _new_audit(self, source: str, audit: Audit, reporter: Reporter, received: int) -> Arrived:
        if isinstance(audit.event, RequestEvent):
            return NewFirewallAudit(
                bundle=self._identity.bundle,
                source=source,
                seq=audit.seq,
                time=audit.time,
                received=received,
                audit=describe_request(audit, audit.event, reporter),
            )
        kept, shown = described(audit, reporter, self._custom_text(audit), self._services.scrubbing.scrubber)
        return NewAudit(
            bundle=self._identity.bundle,
            source=source,
            seq=audit.seq,
            time=audit.time,
            received=received,
            audit=shown,
            incident=incident_kind(kept, shown, type_=self._greeted().kind.value),
        )

    def _custom_text(self, audit: Audit) -> CustomText | None:
        if audit.reason is not Reason.CUSTOM_RULE:
            return None
        return self._services.policies.custom_text(audit.rule, audit.matched)

    def _committed(self, source: str, committed: int, count: int, done: asyncio.Future[None]) -> None:
        self._in_flight.release()
        if done.cancelled() or done.exception() is not None:
            self._outbox.end(ErrorCode.UNAVAILABLE, "audits cannot be written now", retry_after=5)
        else:
            self._services.defenders.audited(self._identity.instance, count)
            self._outbox.acknowledge(source, committed)

    async def _renew(self, csr: str) -> None:
        try:
            certificate, identity = await self._services.enrolment.renew(self._identity, csr)
        except InvalidError as error:
            raise EndError(ErrorCode.BAD_MESSAGE, str(error)) from None
        except ServiceError as error:
            raise EndError(ErrorCode.REVOKED, str(error)) from None
        self._expire_at(identity.not_after)
        self._outbox.reply(Renewed(certificate=certificate.pem, not_after=certificate.not_after))

    def _expire_at(self, when: int) -> None:
        """End the session with its certificate, which is only checked at the handshake."""
        if self._expiry is not None:
            self._expiry.cancel()
        seconds = max(0.0, (when - self._services.clock()) / 1000)
        self._expiry = asyncio.get_running_loop().call_later(
            seconds, self._outbox.end, ErrorCode.EXPIRED, "the certificate has expired, renew or enrol again"
        )

    def _policies(self) -> Message:
        hello = self._greeted()
        policies = []
        for workload in hello.workloads:
            scope = Scope(app_id=hello.app_id, image=workload.image, container=workload.container)
            found = self._services.policies.resolve(scope)
            policies.append(WorkloadPolicy(container=workload.container, hash=found.hash, policy=found.policy))
        return Policies(revision=self._services.policies.revision, policies=tuple(policies))

    def _waas(self) -> Message:
        hello = self._greeted()
        found = self._services.firewall.resolve(_scopes(hello))
        return Waas(revision=self._services.firewall.revision, hash=found.hash, policy=found.policy)

    def _rules(self) -> Iterator[Message]:
        """Give the pieces of the set of rules in use to a Defender that has another one, and has what to use it for."""
        used = self._services.rulesets.in_use
        name = None if used is None else used.hash
        policy = self._services.firewall.resolve(_scopes(self._greeted())).policy
        if name == self._ruleset or policy["rule"] is None:
            return
        self._ruleset = name
        if used is None:
            yield Ruleset(hash=None, part=0, parts=0, data="")
            return
        starts = range(0, len(used.content), LARGEST_RULESET_PART)
        for number, start in enumerate(starts):
            data = base64.b64encode(used.content[start : start + LARGEST_RULESET_PART]).decode()
            yield Ruleset(hash=name, part=number, parts=len(starts), data=data)

    async def _write(self) -> None:
        try:
            while True:
                await self._outbox.wait()
                for message in self._outbox.take():
                    await self._send(message)
                if self._outbox.ending is not None:
                    await self._send(self._outbox.ending)
                    await self._connection.close(WSCloseCode.POLICY_VIOLATION, self._outbox.ending.code.value)
                    return
                if self._outbox.finished:
                    await self._connection.close()
                    return
        except (ConnectionClosedError, TimeoutError):
            return

    async def _send(self, message: Message) -> None:
        async with asyncio.timeout(self._limits.send_seconds):
            await self._connection.send(encode(message))

    def _greeted(self) -> Hello:
        if self._hello is None:
            raise RuntimeError("nothing is done before the hello")
        return self._hello

    def _record(self, hello: Hello) -> DefenderRecord:
        return DefenderRecord(
            instance=hello.instance,
            bundle=self._identity.bundle,
            keys=(self._identity.key,),
            certificate_end=self._identity.not_after,
            kind=hello.kind.value,
            app_id=hello.app_id,
            version=hello.version,
            architecture=hello.architecture,
            hostname=hello.hostname,
            task=hello.task,
            workloads=tuple(
                WorkloadRecord(container=workload.container, image=workload.image) for workload in hello.workloads
            ),
        )


def _decode(frame: str | bytes) -> DefenderMessage:
    if isinstance(frame, bytes):
        raise EndError(ErrorCode.BAD_MESSAGE, "messages are text frames")
    try:
        return defender_decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise EndError(ErrorCode.BAD_MESSAGE, f"the message does not fit the contract: {misfit(error)}") from None
    except (msgspec.DecodeError, RecursionError):
        raise EndError(ErrorCode.BAD_MESSAGE, "the message is not JSON") from None


def _scopes(hello: Hello) -> tuple[Scope, ...]:
    """Return what the scope of a WAAS rule is held against: all workloads, or the application without any."""
    found = (Scope(app_id=hello.app_id, image=item.image, container=item.container) for item in hello.workloads)
    return tuple(found) or (Scope(app_id=hello.app_id),)


def _firewall(status: WaasStatus | None) -> FirewallRecord | None:
    if status is None:
        return None
    ports = tuple((item.exposed, item.internal) for item in status.ports)
    open_ports = tuple((item.port, item.covered) for item in status.open_ports)
    counters = msgspec.to_builtins(status.counters)
    return FirewallRecord(
        hash=status.hash,
        error=status.error,
        ports=ports,
        open_ports=open_ports,
        counters=counters,
        ruleset=None if status.ruleset is None else msgspec.structs.asdict(status.ruleset),
    )
