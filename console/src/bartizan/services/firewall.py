"""
The WAAS policy in force with what it refers to: network lists, rules of scrubbing, certificates.

Certificates with their keys are kept sealed, named by a digest of the certificate; the policy's documents hold only
that name, and nobody gets a key back but the Defenders whose policy has it.
"""

import asyncio
import dataclasses
import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import PolicyError, Workload
from bartizan.policy.firewall import (
    EncodedFirewall,
    FirewallPolicy,
    FirewallRule,
    NetworkList,
    ScrubbingRule,
    Surroundings,
    firewall_document,
    networks_of,
    parse_stored_firewall,
    reference_problems,
    resolve_firewall,
)
from bartizan.policy.model import Collection, StoredCollections
from bartizan.services.collections import Usage, bound_rules, refreshed_rules
from bartizan.services.errors import ConflictError, InvalidError, MissingError
from bartizan.services.firewall_history import FirewallHistory
from bartizan.services.interfaces import Clock

_log = logging.getLogger(__name__)
_MOST_CACHED = 1000
_MOST_NETWORKS = 1000
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFirewall:
    """All that is kept of WAAS but its audits; `certificates` are sealed."""

    revision: int = 0
    document: bytes | None = None
    networks: tuple[NetworkList, ...] = ()
    scrubbing: tuple[ScrubbingRule, ...] = ()
    countries: str = ""
    certificates: Mapping[str, bytes] = field(default_factory=dict)


class FirewallStore(Protocol):
    """The WAAS policy; every change is one transaction and a new revision."""

    def load(self) -> KeptFirewall:
        """Return what is kept."""
        ...

    def save(self, kept: KeptFirewall, *, author: str, now: int, comment: str = "") -> int:
        """Keep all of this as the next revision, and return its number."""
        ...


class CertificateBox(Protocol):
    """Seals certificates with their keys."""

    def seal(self, text: str, *, belongs_to: str) -> bytes:
        """Return the text sealed."""
        ...

    def open(self, sealed: bytes, *, belongs_to: str) -> str:
        """Return the text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateReader:
    """
    Reads PEM: `check` raises ValueError for what is no certificate with its key.

    `facts` returns a certificate's subject, the names that it is for, and its end (unix milliseconds).
    """

    check: Callable[[str], None]
    facts: Callable[[str], tuple[str, tuple[str, ...], int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCertificate:
    """A certificate of a protected application: `name` is its marker in the policy, `used_by` are rule and App ID."""

    name: str
    subject: str
    names: tuple[str, ...]
    expires: int
    used_by: tuple[str, ...]


class Firewall:
    """The WAAS policy of one Console; `on_change` is called when a change is on disk."""

    def __init__(
        self,
        store: FirewallStore,
        history: FirewallHistory,
        box: CertificateBox,
        *,
        box_error: type[Exception],
        certificates: CertificateReader,
        on_change: Callable[[], None],
        clock: Clock,
        collections: Callable[[], StoredCollections] = dict,
    ) -> None:
        self._store = store
        self.history = history
        self._collections = collections
        self._box = box
        self._box_error = box_error
        self._certificates = certificates
        self._on_change = on_change
        self._clock = clock
        self._lock = asyncio.Lock()
        self._resolved: dict[tuple[Workload, ...], EncodedFirewall] = {}
        self._kept = store.load()
        document = self._kept.document
        self.current = self._refreshed(FirewallPolicy() if document is None else parse_stored_firewall(document))

    @property
    def revision(self) -> int:
        """The number of the latest change."""
        return self._kept.revision

    @property
    def networks(self) -> dict[str, NetworkList]:
        """The network lists by their names."""
        return {item.name: item for item in self._kept.networks}

    @property
    def countries(self) -> str:
        """The table of countries, as lines `NETWORK,COUNTRY`."""
        return self._kept.countries

    @property
    def scrubbing(self) -> tuple[ScrubbingRule, ...]:
        """The rules of scrubbing."""
        return self._kept.scrubbing

    def resolve(self, workloads: Sequence[Workload]) -> EncodedFirewall:
        """Return what the Defender of these workloads has to enforce now."""
        key = tuple(workloads)
        found = self._resolved.get(key)
        if found is None:
            around = self._around(self._kept, self._opened())
            found = resolve_firewall(self.current, workloads, revision=self.revision, around=around)
            if len(self._resolved) >= _MOST_CACHED:
                self._resolved.clear()
            self._resolved[key] = found
        return found

    async def replace(self, policy: FirewallPolicy, *, author: str, comment: str = "", base: int | None = None) -> int:
        """
        Put a whole policy in force and return its revision; an equal one changes nothing.

        Raises PolicyError, and StaleError when it was made from another policy than the present one.
        """
        async with self._lock:
            await self.history.refuse_stale(base, revision=self.revision, current=self.current)
            return await self._publish(policy, author, comment)

    async def restore(self, number: int, *, author: str, comment: str = "", base: int | None = None) -> int:
        """
        Put the policy of an earlier revision in force as a new one, with the collections as they are now.

        Raises MissingError, StaleError, and PolicyError when what it refers to (a certificate) is not kept any more.
        """
        policy = self._refreshed((await self.history.at(number))[1])
        return await self.replace(policy, author=author, comment=comment or f"back to revision {number}", base=base)

    def problems(self, policy: FirewallPolicy) -> list[str]:
        """Return what a policy would be refused for; nothing is kept."""
        problems: list[str] = []
        policy = dataclasses.replace(policy, rules=bound_rules(policy.rules, self._collections(), problems))
        policy, _ = self._sealed(policy, problems)
        return [*problems, *reference_problems(policy, self._around(self._kept, {}))]

    def certificates(self) -> list[KeptCertificate]:
        """Return what is known of the certificates that the policy names; one that does not open has no subject."""
        users: dict[str, list[str]] = {}
        for rule in self.current.rules:
            for item in rule.applications:
                users.setdefault(item.certificate, []).append(f"{rule.name}: {item.app_id}")
        found = []
        for name, pem in sorted(self._opened().items()):
            parts = "\n".join(_CERTIFICATE.findall(pem))
            subject, names, expires = self._certificates.facts(parts) if parts else ("", (), 0)
            used = tuple(users.get(name, ()))
            found.append(KeptCertificate(name=name, subject=subject, names=names, expires=expires, used_by=used))
        return found

    async def change_rule(self, name: str, change: Callable[[FirewallRule], FirewallRule], *, author: str) -> int:
        """Put the policy with one changed rule in force and return its revision. Raises MissingError, PolicyError."""
        async with self._lock:
            return await self._publish(self.with_rule(name, change), author)

    def with_rule(self, name: str, change: Callable[[FirewallRule], FirewallRule]) -> FirewallPolicy:
        """Return the policy with one changed rule, which is not in force yet. Raises MissingError."""
        if not any(rule.name == name for rule in self.current.rules):
            raise MissingError(f"there is no WAAS rule `{name}` any more")
        rules = tuple(change(rule) if rule.name == name else rule for rule in self.current.rules)
        return dataclasses.replace(self.current, rules=rules)

    async def put_network(self, item: NetworkList, *, author: str, new: bool | None = None) -> None:
        """
        Add a network list, or replace the one of this name; with `new` it must not be there, or (False) must.

        Raises ConflictError, MissingError, InvalidError for too many, PolicyError when a policy grows too large.
        """
        async with self._lock:
            present = self.networks
            if new is True and item.name in present:
                raise ConflictError(f"there is a network list `{item.name}` already")
            if new is False and item.name not in present:
                raise MissingError(f"there is no network list `{item.name}`")
            if len(present.keys() | {item.name}) > _MOST_NETWORKS:
                raise InvalidError(f"there are {_MOST_NETWORKS} network lists, no more are possible")
            stamped = dataclasses.replace(item, owner=author, modified=rfc3339(self._clock()))
            await self._change_networks({**present, item.name: stamped}, author)

    async def remove_network(self, name: str, *, author: str) -> None:
        """Remove a list that no policy refers to. Raises MissingError, or ConflictError with the rules that use it."""
        async with self._lock:
            if name not in self.networks:
                raise MissingError(f"there is no network list `{name}`")
            users = [
                f"`{rule.name}`" for rule in self.current.rules if any(used == name for _, used in networks_of(rule))
            ]
            if users:
                raise ConflictError(f"the network list `{name}` is used by {', '.join(users)}: take it out there first")
            await self._change_networks({key: item for key, item in self.networks.items() if key != name}, author)

    def scopes(self) -> Iterable[tuple[Usage, Collection]]:
        """Return the collections of all rules."""
        for rule in self.current.rules:
            usage = Usage(kind="policy", name=rule.name, policy="waas")
            yield from ((usage, item) for item in rule.collections)

    async def rescope(self, *, author: str) -> None:
        """Put the stored collections in force as they are now, as a new revision if a rule names one that changed."""
        async with self._lock:
            policy = self._refreshed(self.current)
            changed = _covering(policy) != _covering(self.current)
            self.current = policy
            if changed:
                document = msgspec.json.encode(firewall_document(policy))
                kept = dataclasses.replace(self._kept, document=document)
                await self._save(kept, author, policy, comment="a collection changed")

    def _refreshed(self, policy: FirewallPolicy) -> FirewallPolicy:
        return dataclasses.replace(policy, rules=refreshed_rules(policy.rules, self._collections()))

    async def set_scrubbing(self, rules: tuple[ScrubbingRule, ...], *, author: str) -> None:
        """Replace the rules of scrubbing; Defenders get them at once."""
        async with self._lock:
            await self._save(dataclasses.replace(self._kept, scrubbing=rules), author, comment="log scrubbing changed")

    async def set_countries(self, table: str, *, author: str) -> None:
        """Replace the table of countries. Raises PolicyError when a policy needs one, or grows too large."""
        async with self._lock:
            kept = dataclasses.replace(self._kept, countries=table)
            await self._change(kept, author, "table of countries changed")

    async def _change_networks(self, networks: dict[str, NetworkList], author: str) -> None:
        kept = dataclasses.replace(self._kept, networks=tuple(networks.values()))
        await self._change(kept, author, "network lists changed")

    async def _change(self, kept: KeptFirewall, author: str, comment: str) -> None:
        if problems := reference_problems(self.current, self._around(kept, {})):
            raise PolicyError(problems)
        await self._save(kept, author, comment=comment)

    def _around(self, kept: KeptFirewall, certificates: Mapping[str, str]) -> Surroundings:
        return Surroundings(
            networks={item.name: item for item in kept.networks},
            scrubbing=kept.scrubbing,
            certificates=certificates,
            countries=kept.countries,
        )

    async def _publish(self, policy: FirewallPolicy, author: str, comment: str = "") -> int:
        problems: list[str] = []
        policy = dataclasses.replace(policy, rules=bound_rules(policy.rules, self._collections(), problems))
        policy, certificates = self._sealed(policy, problems)
        problems.extend(reference_problems(policy, self._around(self._kept, {})))
        if problems:
            raise PolicyError(problems)
        stamped = self._stamp(policy, author, rfc3339(self._clock()))
        if stamped == self.current and certificates == self._kept.certificates and self._kept.document is not None:
            return self.revision
        document = msgspec.json.encode(firewall_document(stamped))
        kept = dataclasses.replace(self._kept, document=document, certificates=certificates)
        await self._save(kept, author, stamped, comment=comment)
        return self.revision

    async def _save(
        self, kept: KeptFirewall, author: str, policy: FirewallPolicy | None = None, *, comment: str
    ) -> None:
        now = self._clock()
        revision = await asyncio.to_thread(self._store.save, kept, author=author, now=now, comment=comment)
        self._kept = dataclasses.replace(kept, revision=revision)
        self.current = self._refreshed(self.current if policy is None else policy)
        self._resolved.clear()
        self._on_change()

    def _sealed(self, policy: FirewallPolicy, problems: list[str]) -> tuple[FirewallPolicy, dict[str, bytes]]:
        """Return the policy with names in place of certificates, and all certificates that it names, sealed."""
        certificates: dict[str, bytes] = {}
        rules = []
        for index, rule in enumerate(policy.rules):
            applications = []
            for number, item in enumerate(rule.applications):
                place = f"rules[{index}].applicationsSpec[{number}].certificate"
                name = item.certificate
                if item.given:
                    name = self._take(item.given, place, certificates, problems)
                elif name in self._kept.certificates:
                    certificates[name] = self._kept.certificates[name]
                elif name:
                    problems.append(f"{place}.encrypted: there is no such certificate here, give it in `plain`")
                applications.append(dataclasses.replace(item, certificate=name, given=""))
            rules.append(dataclasses.replace(rule, applications=tuple(applications)))
        return dataclasses.replace(policy, rules=tuple(rules)), certificates

    def _take(self, pem: str, place: str, certificates: dict[str, bytes], problems: list[str]) -> str:
        """Seal a certificate with its key and return its name; the same pair stays as it was sealed before."""
        try:
            self._certificates.check(pem)
        except ValueError as error:
            problems.append(f"{place}.plain: {error}")
            return ""
        parts = "\n".join(_CERTIFICATE.findall(pem))
        name = f"sealed:{hashlib.sha256(parts.encode()).hexdigest()[:32]}"
        before = self._kept.certificates.get(name)
        same = before is not None and self._open(name, before) == pem
        certificates[name] = before if before is not None and same else self._box.seal(pem, belongs_to=_place(name))
        return name

    def _opened(self) -> dict[str, str]:
        return {name: self._open(name, sealed) for name, sealed in self._kept.certificates.items()}

    def _open(self, name: str, sealed: bytes) -> str:
        """Return a certificate with its key, nothing when it does not open: its application is then not reached."""
        try:
            return self._box.open(sealed, belongs_to=_place(name))
        except self._box_error as error:
            _log.warning("the certificate `%s` of the WAAS policy cannot be read: %s", name, error)
            return ""

    def _stamp(self, policy: FirewallPolicy, author: str, now: str) -> FirewallPolicy:
        """Rules that did not change keep who changed them last, and when."""
        before = {rule.name: rule for rule in self.current.rules}

        def stamp(rule: FirewallRule) -> FirewallRule:
            old = before.get(rule.name)
            if old is not None and old == dataclasses.replace(rule, owner=old.owner, modified=old.modified):
                return old
            return dataclasses.replace(rule, owner=author, modified=now)

        return dataclasses.replace(policy, rules=tuple(stamp(rule) for rule in policy.rules))


def _covering(policy: FirewallPolicy) -> list[list[object]]:
    return [[item.scope for item in rule.collections] for rule in policy.rules]


def _place(name: str) -> str:
    return f"waas\0certificate\0{name}"
