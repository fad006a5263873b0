"""One program, with the Defender and without: nothing may tell the two apart."""

from __future__ import annotations

from chamber import ROOT, Outcome, run

CACHE = ROOT / ".cache/compat"


def same_with_and_without(command: list[str], **options: object) -> Outcome:
    """Run a program without and with the Defender; what it printed and how it ended must be the same, and unreported.

    Raises:
        AssertionError: they differ, or the Defender reported something.
    """
    plain = run(command, guarded=False, **options)  # type: ignore[arg-type] # passed on as they are
    guarded = run(command, guarded=True, **options)  # type: ignore[arg-type]
    assert (guarded.code, guarded.output) == (plain.code, plain.output)
    assert guarded.audits == ()
    return guarded
