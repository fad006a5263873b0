"""What the use-cases need of the outside, and the records that pass through."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.audit.incidents import IncidentKind
from bartizan.policy import CustomDefinition
from bartizan.policy.model import Within
from bartizan.services.rights import User as User  # noqa: PLC0414 - handed on

Clock = Callable[[], int]
"""Returns unix milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One state of a policy: its number, who made it, when (unix milliseconds), and what they said of it."""

    number: int
    author: str
    created: int
    comment: str = ""


class PolicyStore(Protocol):
    """The revisions of a policy, as many of the newest as are kept."""

    def latest(self) -> tuple[int, bytes] | None:
        """Return the newest revision and its document."""
        ...

    def add(self, document: bytes, *, author: str, now: int, comment: str = "") -> int:
        """Keep a document as the next revision and return its number."""
        ...

    def page(self, *, below: int | None, limit: int) -> list[Revision]:
        """Return revisions, the newest first, those below a number if one is given."""
        ...

    def get(self, number: int) -> tuple[Revision, bytes] | None:
        """Return a revision with its document."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """How often a rule matched, and when it last did (unix milliseconds)."""

    count: int
    last: int


class HitStore(Protocol):
    """How often the rules of one policy matched."""

    def all(self) -> dict[str, Hits]:
        """Return what is known of each rule, by its name."""
        ...

    def put(self, hits: Mapping[str, Hits]) -> None:
        """Replace what is kept of these rules."""
        ...

    def remove(self, rules: Collection[str]) -> None:
        """Forget rules."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRuleRevision:
    """One state of a custom rule; `rule` is None when it was removed."""

    number: int
    rule: CustomDefinition | None
    author: str
    created: int


class CustomRuleStore(Protocol):
    """The library of custom rules."""

    def all(self) -> list[CustomDefinition]:
        """Return all rules by their numbers."""
        ...

    def put(self, rule: CustomDefinition, *, now: int) -> None:
        """Add or replace a rule."""
        ...

    def remove(self, number: int, *, author: str, now: int) -> None:
        """Remove a rule."""
        ...

    def history(self, number: int, *, limit: int) -> list[CustomRuleRevision]:
        """Return the states of a rule, the newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleGeneration:
    """One generation of install bundles; `revoked` is unix milliseconds."""

    id: str
    created: int
    revoked: int | None = None


class BundleStore(Protocol):
    """The generations of install bundles."""

    def all(self) -> list[BundleGeneration]:
        """Return all generations, oldest first."""
        ...

    def add(self, generation: BundleGeneration) -> None:
        """Keep a new generation."""
        ...

    def revoke(self, bundle: str, *, now: int) -> None:
        """Mark a generation as revoked."""
        ...


class BundleSecrets(Protocol):
    """Derives the enrolment secrets."""

    def secret(self, bundle: str) -> str:
        """Return the secret of a generation."""
        ...

    def matches(self, bundle: str, secret: str) -> bool:
        """Return whether the secret is this generation's, in constant time."""
        ...


class ClientIdentity(Protocol):
    """What a Defender's certificate says."""

    @property
    def instance(self) -> str:
        """The Defender's process id, 32 hex digits."""
        ...

    @property
    def bundle(self) -> str:
        """The generation of install bundles it enrolled with."""
        ...

    @property
    def key(self) -> str:
        """Hex SHA-256 of its public key."""
        ...

    @property
    def not_after(self) -> int:
        """The certificate's end, unix milliseconds."""
        ...


class CertificateIssuer(Protocol):
    """Signs certificates for Defenders."""

    @property
    def ca_pem(self) -> str:
        """The authority's certificate."""
        ...

    def issue_client(self, csr: str, *, instance: str, bundle: str, now: int, life: int) -> tuple[str, ClientIdentity]:
        """Return the certificate (PEM) and what it says; raise ValueError for a CSR that is refused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRecord:
    """One workload of a Defender and the last that was heard of it."""

    container: str | None = None
    image: str | None = None
    instance: str | None = None
    policy_hash: str | None = None
    tier: int | None = None
    tier_reasons: tuple[str, ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRecord:
    """
    The last that was heard of a Defender's firewall.

    `ports` are (exposed, internal), `open_ports` (port, covered), `ruleset` is as it came.
    """

    hash: str | None = None
    error: str | None = None
    ports: tuple[tuple[int, int], ...] = ()
    open_ports: tuple[tuple[int, bool], ...] = ()
    counters: dict[str, Any] = field(default_factory=dict)
    ruleset: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenderRecord:
    """
    One Defender process. Times are unix milliseconds; `keys` are the hex SHA-256 of the keys it may use.

    `since` is when it connected last. It is `awaited` when it was connected as the Console ended, and not yet again.
    `audits` are those that arrived since it connected, `revoked` is when somebody shut it out.
    """

    instance: str
    bundle: str
    keys: tuple[str, ...]
    certificate_end: int
    kind: str
    app_id: str
    version: str
    architecture: str
    hostname: str
    task: str | None
    workloads: tuple[WorkloadRecord, ...] = ()
    connected: bool = False
    first_seen: int = 0
    last_seen: int = 0
    goodbye: str | None = None
    firewall: FirewallRecord | None = None
    since: int = 0
    awaited: bool = False
    audits: int = 0
    last_audit: int | None = None
    revoked: int | None = None


class DefenderStore(Protocol):
    """The Defenders that were seen."""

    def all(self) -> list[DefenderRecord]:
        """Return all records."""
        ...

    def put(self, records: Sequence[DefenderRecord]) -> None:
        """Add or replace records."""
        ...

    def remove(self, instances: Sequence[str]) -> None:
        """Remove records with all that hangs on them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAudit:
    """An audit on its way into the database; (bundle, source, seq) is what makes it arrive once."""

    bundle: str
    source: str
    seq: int
    time: int
    received: int
    audit: RuntimeAudit
    incident: IncidentKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFirewallAudit:
    """A WAAS event on its way into the database; (bundle, source, seq) is what makes it arrive once."""

    bundle: str
    source: str
    seq: int
    time: int
    received: int
    audit: FirewallAudit


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """
    Which audits, in which order. Every tuple holds alternatives, an empty one is no condition.

    `start` and `end` bound the time in unix milliseconds, both inclusive; `after_id` is for followers. A technique of
    `techniques` is also each of its sub-techniques; every one of `words` is somewhere in the audit, in any case. With
    `never` none is meant. Only workloads `within` these collections are meant; None is no such limit.
    """

    ids: tuple[int, ...] = ()
    start: int | None = None
    end: int | None = None
    after_id: int | None = None
    equal: dict[str, tuple[str, ...]] = field(default_factory=dict)
    techniques: tuple[str, ...] = ()
    message: str = ""
    words: tuple[str, ...] = ()
    never: bool = False
    within: Within = None
    sort: str = "time"
    descending: bool = True
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditGroup:
    """Audits that are alike: the newest one, how often it happened in all, and when first (unix milliseconds)."""

    id: int
    document: bytes
    count: int
    first: int


EqualField = Literal[
    "appID", "attackType", "containerName", "effect", "imageName", "processPath", "profileId", "reason", "ruleName",
    "severity", "type", "user",
]  # fmt: skip


class AuditStore(Protocol):
    """The audits."""

    def add(self, audits: Sequence[NewAudit | NewFirewallAudit]) -> int:
        """Keep those that are new, durably, and return the highest id of a runtime audit."""
        ...

    def newest_id(self) -> int:
        """Return the highest id ever given, 0 when there is none."""
        ...

    def page(self, query: AuditQuery) -> list[tuple[int, bytes]]:
        """Return (id, JSON document) of one page."""
        ...

    def count(self, query: AuditQuery) -> int:
        """Return how many audits match, whatever the page."""
        ...

    def groups(self, query: AuditQuery) -> list[AuditGroup]:
        """Return one page of groups of audits that are alike, each with its newest one."""
        ...

    def count_groups(self, query: AuditQuery) -> int:
        """Return how many groups there are, whatever the page."""
        ...

    def source_owner(self, bundle: str, source: str) -> str | None:
        """Return the instance whose certificate reports this source."""
        ...

    def set_source_owner(self, bundle: str, source: str, instance: str) -> None:
        """Bind a source to the instance that reports it."""
        ...

    def prune(self, *, received_before: int, below_id: int, most: int) -> int:
        """Remove at most `most` audits that are too old, and return how many went."""
        ...


class SettingStore(Protocol):
    """Settings that are changed over the API."""

    def get(self, key: str) -> str | None:
        """Return a setting's text."""
        ...

    def put(self, key: str, value: str) -> None:
        """Set a setting's text."""
        ...


class LiveSession(Protocol):
    """The open channel of one Defender."""

    def policy_changed(self) -> None:
        """Send the policies again, soon; never blocks."""
        ...

    def waas_changed(self) -> None:
        """Send the WAAS policy again, soon; never blocks."""
        ...

    def rules_changed(self) -> None:
        """Send the set of rules in use, soon, if there is what to use it for; never blocks."""
        ...

    def fetch(self, name: str, container: str | None, *, after: int, reason: str) -> None:
        """Ask for a piece of a workload's record, soon; never blocks."""
        ...

    def close(self, code: str, message: str) -> None:
        """Tell why, and close, soon; never blocks."""
        ...
