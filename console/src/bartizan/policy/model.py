"""The policy as users write it, made of values that cannot be wrong: only `parse` makes them from outside data."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from bartizan.policy.checks import Check
from bartizan.policy.defender_policy import (
    NO_DNS,
    NO_FILES,
    NO_NETWORK,
    NO_PROCESSES,
    CustomEffect,
    CustomKind,
    Detection,
    DnsPolicy,
    Effect,
    FilePolicy,
    NetworkPolicy,
    ProcessPolicy,
)

ANY = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """
    What a rule's scope is held against: one container of a task, or one application.

    `labels` are the container's, each as `key:value`; the account and the cluster are those that run the task.
    """

    app_id: str
    image: str | None = None
    container: str | None = None
    labels: tuple[str, ...] = ()
    account_id: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """
    A scope. Fields are ANDed, the patterns of a field are ORed, a leading `-` excludes.

    With `by_name` it stands for the stored collection of this name, and covers nothing until that was looked up.
    """

    name: str
    images: tuple[str, ...] = ANY
    containers: tuple[str, ...] = ANY
    app_ids: tuple[str, ...] = ANY
    labels: tuple[str, ...] = ANY
    account_ids: tuple[str, ...] = ANY
    clusters: tuple[str, ...] = ANY
    description: str = ""
    color: str = ""
    owner: str = ""
    modified: str = ""
    by_name: bool = False

    @property
    def scope(self) -> tuple[tuple[str, ...], ...]:
        """What decides which workloads it covers."""
        return (self.images, self.containers, self.app_ids, self.labels, self.account_ids, self.clusters)


EVERYTHING = Collection(name="All")

Within = tuple[Collection, ...] | None
"""The collections that somebody is limited to; None is no limit."""

StoredCollections = Mapping[str, Collection]
"""The collections that are kept by themselves, by their names; `All` is not among them."""


class Action(enum.Enum):
    """What a match of a custom rule is kept as."""

    AUDIT = "audit"
    INCIDENT = "incident"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A custom rule of the library in a rule; without an effect it is there, but not in force."""

    id: int
    effect: CustomEffect | None
    action: Action = Action.AUDIT


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDefinition:
    """A custom rule of the library: its condition, and how a match is told to people."""

    id: int
    name: str
    kind: CustomKind
    script: str
    message: str = ""
    description: str = ""
    min_version: str = ""
    techniques: tuple[str, ...] = ()
    owner: str = ""
    modified: str = ""
    vulnerabilities: tuple[str, ...] = ()


Library = Mapping[int, CustomDefinition]
"""The custom rules by their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One rule: a scope and what is forbidden in it.

    `checks` are the vendor's fields that ask for detections, `detections` our own field, `custom` is tried in order.
    """

    name: str
    collections: tuple[Collection, ...] = (EVERYTHING,)
    processes: ProcessPolicy = NO_PROCESSES
    dns: DnsPolicy = NO_DNS
    network: NetworkPolicy = NO_NETWORK
    files: FilePolicy = NO_FILES
    checks: frozenset[Check] = frozenset()
    detections: Mapping[Detection, Effect] = field(default_factory=dict)
    custom: tuple[Attachment, ...] = ()
    disabled: bool = False
    notes: str = ""
    owner: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimePolicy:
    """All rules, in the order in which they are tried."""

    rules: tuple[Rule, ...] = ()
