"""From all rules to the one that applies to a workload."""

import msgspec

from bartizan.policy.checks import effects_of
from bartizan.policy.defender_policy import NO_DNS, NO_FILES, NO_NETWORK, NO_PROCESSES, CustomRule, DefenderPolicy
from bartizan.policy.match import covers
from bartizan.policy.model import Library, Rule, RuntimePolicy, Workload

VERSION = 1
# A Defender gets all policies of its task (at most 16 workloads) in one frame of 1 MiB.
LARGEST_RESOLVED = 60_000
_NO_LIBRARY: Library = {}


def resolve(
    policy: RuntimePolicy, workload: Workload, *, revision: int, library: Library = _NO_LIBRARY
) -> DefenderPolicy:
    """
    Return what the workload's Defender has to enforce.

    The first rule that is not disabled and whose scope covers the workload wins; later ones are not looked at. When
    none does, `rule` is None and every section is disabled. Custom rules are copied from the library, which has to
    hold every one that a rule refers to.
    """
    for rule in policy.rules:
        if not rule.disabled and any(covers(collection, workload) for collection in rule.collections):
            return resolve_rule(rule, revision=revision, library=library)
    return DefenderPolicy(
        version=VERSION,
        revision=revision,
        rule=None,
        processes=NO_PROCESSES,
        dns=NO_DNS,
        network=NO_NETWORK,
    )


def resolve_rule(rule: Rule, *, revision: int, library: Library) -> DefenderPolicy:
    """Return what a Defender enforces where this rule applies."""
    return DefenderPolicy(
        version=VERSION,
        revision=revision,
        rule=rule.name,
        processes=rule.processes,
        dns=rule.dns,
        network=rule.network,
        # The encoder leaves out a default only when it is this very object.
        files=NO_FILES if rule.files == NO_FILES else rule.files,
        detections=effects_of(
            rule.checks, processes=rule.processes.effect, files=rule.files.effect, own=rule.detections
        ),
        custom=_custom_rules(rule, library),
    )


def library_problems(policy: RuntimePolicy, library: Library) -> list[str]:
    """Return what is wrong with a policy and the library together: rules that are not there, and too large results."""
    problems: list[str] = []
    for rule in policy.rules:
        missing = sorted({item.id for item in rule.custom} - library.keys())
        problems.extend(f"rule `{rule.name}`: there is no custom rule {number}" for number in missing)
        if missing or not rule.custom:
            continue
        size = resolved_size(rule, library)
        if size > LARGEST_RESOLVED:
            problems.append(
                f"rule `{rule.name}`: its custom rules make it {size} bytes, at most {LARGEST_RESOLVED} are possible"
            )
    return problems


def resolved_size(rule: Rule, library: Library = _NO_LIBRARY) -> int:
    """Return how many bytes a rule takes on its way to a Defender; custom rules that the library lacks not counted."""
    return len(msgspec.json.encode(resolve_rule(rule, revision=0, library=library)))


def _custom_rules(rule: Rule, library: Library) -> tuple[CustomRule, ...]:
    """Return the attached rules that are in force, with what the library says of each."""
    found = []
    for item in rule.custom:
        definition = library.get(item.id)
        if definition is not None and item.effect is not None:
            custom = CustomRule(
                name=definition.name, kind=definition.kind, script=definition.script, effect=item.effect
            )
            found.append(custom)
    return tuple(found)
