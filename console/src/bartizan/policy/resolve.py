"""From all rules to the one that applies to a workload."""

from bartizan.policy.defender_policy import NO_DNS, NO_NETWORK, NO_PROCESSES, DefenderPolicy
from bartizan.policy.match import covers
from bartizan.policy.model import RuntimePolicy, Workload

VERSION = 1


def resolve(policy: RuntimePolicy, workload: Workload, *, revision: int) -> DefenderPolicy:
    """
    Return what the workload's Defender has to enforce.

    The first rule that is not disabled and whose scope covers the workload wins; later ones are not looked at. When
    none does, `rule` is None and every section is disabled.
    """
    for rule in policy.rules:
        if not rule.disabled and any(covers(collection, workload) for collection in rule.collections):
            return DefenderPolicy(
                version=VERSION,
                revision=revision,
                rule=rule.name,
                processes=rule.processes,
                dns=rule.dns,
                network=rule.network,
            )
    return DefenderPolicy(
        version=VERSION,
        revision=revision,
        rule=None,
        processes=NO_PROCESSES,
        dns=NO_DNS,
        network=NO_NETWORK,
    )
