"""The rule engine without the proxy around it: its two ways of judging agree.

That the Core Rule Set's own tests hold is seen on a socket, in test_wire.py; `run.py` runs them in the engine alone.
"""

from __future__ import annotations

from pathlib import Path

from release import Release
from run import outcomes
from test_wire import STAGES


def test_the_prefilter_changes_nothing(judge: Path, release: Release) -> None:
    """Both ways of judging, with the prefilter and rule by rule, find the same in the rule set's own requests."""
    judged = outcomes(judge, release, both=True, step=4)
    faults = {stage.name: fault for stage, _, fault in judged}

    assert {name: fault for name, fault in faults.items() if fault} == {}
    assert len(faults) == STAGES // 4
