"""What cfn-lint says of templates, to the tests of templates and to `scripts/corpus.py`, which runs over many."""

import re
from functools import cache

from cfnlint.config import ConfigMixIn
from cfnlint.decode.decode import decode_str
from cfnlint.rules import Rules
from cfnlint.runner import Runner, run_template_by_data

_PLACE = re.compile(r"\bResources/[^\s']+")


def cfn_lint_findings(text: str) -> frozenset[tuple[str, str]]:
    """Return what cfn-lint says of a template, without places; of one region, for each costs as much as the first.

    Without counts too: what the sidecar copies from a container (its image, its logs) is wrong there as it was before.
    """
    template, found = decode_str(text)
    matches = found or run_template_by_data(template or {}, ConfigMixIn(regions=["us-east-1"]), _rules())
    return frozenset((str(match.rule.id), _PLACE.sub("", str(match.message))) for match in matches)


@cache
def _rules() -> Rules:
    """Read cfn-lint's rules once; that takes it longer than most templates do."""
    return Runner(ConfigMixIn(regions=["us-east-1"])).rules
