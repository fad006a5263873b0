"""One program, with the Defender and without: nothing may tell the two apart."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from chamber import POLICY, ROOT, Outcome, run

CACHE = ROOT / ".cache/compat"


def without(*detections: str, **sections: str) -> dict[str, Any]:
    """The usual policy without some detections, and with another effect for some sections."""
    policy = copy.deepcopy(POLICY)
    for name in detections:
        del policy["detections"][name]
    for name, effect in sections.items():
        policy[name]["effect"] = effect
    return policy


def own_words(output: str) -> str:
    """What a program printed, without what the Defender says of its tier at the start."""
    told = ("supervise: tier ", "bartizan: protection is of tier ")
    return "".join(line for line in output.splitlines(keepends=True) if not line.startswith(told))


def same_with_and_without(command: list[str], *by_nature: str, **options: object) -> Outcome:
    """Run a program without and with the Defender; what it printed and how it ended must be the same, and unreported.

    ``by_nature`` are the detections of what the program is there for, which a policy for it would not have.

    Raises:
        AssertionError: they differ, or the Defender reported something.
    """
    options.setdefault("policy", without(*by_nature))
    plain = run(command, guarded=False, **options)  # type: ignore[arg-type] # passed on as they are
    guarded = run(command, guarded=True, **options)  # type: ignore[arg-type]
    assert guarded.audits == (), "\n".join(map(str, guarded.audits))
    assert (guarded.code, own_words(guarded.output)) == (plain.code, plain.output)
    return replace(guarded, output=own_words(guarded.output))
