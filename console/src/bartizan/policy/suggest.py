"""
From what a workload was seen to do to the rule that allows just that, with the evidence beside each line.

Pure. The danger is what an attacker may have put among the observations, so nothing is made wider than the evidence for
it: a pattern needs five different things that it covers, programs in folders that anybody can write never come into a
rule, and neither does what has a wildcard in its own name. What is left out is told with the reason.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bartizan.policy import entries
from bartizan.policy.defender_policy import DnsPolicy, Effect, FilePolicy, NetworkPolicy, ProcessPolicy
from bartizan.policy.evidence import ENOUGH, Gathering, LeftOut, Line, Seen
from bartizan.policy.model import Collection, Rule
from bartizan.policy.suggest_network import suggest_addresses, suggest_ports

_WRITABLE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/proc/", "/memfd:")  # noqa: S108 - looked for, not used
_NEVER_WIDENED = frozenset(
    ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/sbin", "/sys", "/usr",
     "/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/sbin", "/var")
)  # fmt: skip
_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "gov", "net", "org"))
_SHARED = ("amazonaws.com", "azure.com", "azureedge.net", "azurewebsites.net", "cloudapp.net", "cloudfront.net",
           "github.io", "googleapis.com", "herokuapp.com", "netlify.app", "pages.dev", "run.app", "vercel.app",
           "windows.net", "workers.dev")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """The rule with its evidence."""

    rule: Rule
    lines: tuple[Line, ...]
    left_out: tuple[LeftOut, ...]


def suggest(
    seen: Iterable[Seen], *, name: str, collection: Collection, effect: Effect = Effect.ALERT, complete: bool = True
) -> Suggestion:
    """
    Return the rule for one workload.

    With `complete` false (more was seen than could be kept) no list would be whole: the lines are there, but the rule
    judges nothing. A kind of which nothing was seen is not judged either.
    """
    by_kind: dict[str, list[Seen]] = defaultdict(list)
    for item in seen:
        by_kind[item.kind].append(item)
    gathering = Gathering()
    allow_programs = _programs(gathering, by_kind["process"])
    names = _names(gathering, by_kind["name"])
    addresses, own_detections = suggest_addresses(gathering, by_kind["address"], with_names=bool(by_kind["name"]))
    ports = suggest_ports(gathering, "network.whitelistOutboundPorts", by_kind["address"], lambda item: item.detail)
    listening = suggest_ports(gathering, "network.whitelistListeningPorts", by_kind["listen"], lambda item: item.value)
    files = _files(gathering, by_kind["file"])

    def on(*lists: Sequence[object]) -> Effect:
        return effect if complete and any(lists) else Effect.DISABLE

    rule = Rule(
        name=name,
        collections=(collection,),
        processes=ProcessPolicy(effect=on(allow_programs), allow=allow_programs, deny=()),
        dns=DnsPolicy(effect=on(names), allow=names, deny=()),
        network=NetworkPolicy(
            effect=on(addresses, ports, listening),
            allow_addresses=addresses,
            deny_addresses=(),
            allow_ports=ports,
            deny_ports=(),
            allow_listen_ports=listening,
        ),
        files=FilePolicy(effect=on(files), allow=files),
        detections=dict.fromkeys(own_detections, Effect.ALERT) if complete else {},
    )
    return Suggestion(rule=rule, lines=tuple(gathering.lines), left_out=tuple(gathering.left_out))


def in_writable_folder(path: str) -> bool:
    """Return whether a program lies where anybody can put one, or has no file any more."""
    return path.startswith(_WRITABLE) or path.endswith(" (deleted)")


def _literal(text: str) -> str:
    if any(char in text for char in "*?"):
        raise ValueError("its name has a wildcard in it, as an entry it would allow more than itself")
    return text


def _program(path: str) -> str:
    if in_writable_folder(path):
        raise ValueError("it is where anybody can put a program; allow it by hand if it belongs to the application")
    if not path.startswith("/"):
        raise ValueError("its path is not known")
    return entries.process_entry(_literal(path))


def _programs(gathering: Gathering, items: Sequence[Seen]) -> tuple[str, ...]:
    found = gathering.usable(items, _program)
    return tuple(gathering.line("processes.whitelist", path, found[path]) for path in sorted(found))


def _names(gathering: Gathering, items: Sequence[Seen]) -> tuple[str, ...]:
    found = gathering.usable(items, lambda name: entries.domain_entry(_literal(name)))
    by_parent: dict[str, list[str]] = defaultdict(list)
    for name in found:
        by_parent[name.partition(".")[2]].append(name)
    kept: list[str] = []
    for parent, names in sorted(by_parent.items()):
        if len(names) < ENOUGH or not _may_stand_for_all(parent):
            kept.extend(gathering.line("dns.whitelist", name, found[name]) for name in sorted(names))
            continue
        covered = [item for name in sorted(names) for item in found[name]]
        shared = any(parent == suffix or parent.endswith(f".{suffix}") for suffix in _SHARED)
        warning = "names below this one can be had by anybody, also to carry data away" if shared else ""
        kept.append(gathering.line("dns.whitelist", f"*.{parent}", covered, warning=warning))
    return tuple(kept)


def _may_stand_for_all(parent: str) -> bool:
    """Return whether the parent is a name that somebody owns: not `com`, not `co.uk`."""
    labels = parent.split(".")
    if len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL:  # noqa: PLR2004 - country codes
        return False
    return len(labels) >= 2  # noqa: PLR2004 - an owner's name and a top-level domain


def _files(gathering: Gathering, items: Sequence[Seen]) -> tuple[str, ...]:
    found = gathering.usable(items, lambda path: entries.file_entry(_literal(path)))
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in found:
        by_folder[path.rpartition("/")[0] or "/"].append(path)
    kept: list[str] = []
    for folder, paths in sorted(by_folder.items()):
        if len(paths) < ENOUGH or folder in _NEVER_WIDENED:
            kept.extend(gathering.line("filesystem.whitelist", path, found[path]) for path in sorted(paths))
            continue
        covered = [item for path in sorted(paths) for item in found[path]]
        kept.append(gathering.line("filesystem.whitelist", folder, covered))
    return tuple(kept)
