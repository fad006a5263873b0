"""The policy as users write it, made of values that cannot be wrong: only `parse` makes them from outside data."""

from dataclasses import dataclass

from bartizan.policy.defender_policy import NO_DNS, NO_NETWORK, NO_PROCESSES, DnsPolicy, NetworkPolicy, ProcessPolicy

ANY = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a rule's scope is held against: one container of a task, or one application."""

    app_id: str
    image: str | None = None
    container: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A scope. Fields are ANDed, the patterns of a field are ORed, a leading `-` excludes."""

    name: str
    images: tuple[str, ...] = ANY
    containers: tuple[str, ...] = ANY
    app_ids: tuple[str, ...] = ANY
    description: str = ""
    color: str = ""


EVERYTHING = Collection(name="All")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: a scope and what is forbidden in it."""

    name: str
    collections: tuple[Collection, ...] = (EVERYTHING,)
    processes: ProcessPolicy = NO_PROCESSES
    dns: DnsPolicy = NO_DNS
    network: NetworkPolicy = NO_NETWORK
    disabled: bool = False
    notes: str = ""
    owner: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimePolicy:
    """All rules, in the order in which they are tried."""

    rules: tuple[Rule, ...] = ()
