"""The golden cases: whole outputs, reviewed as code."""

import re

import pytest
from tests.embed_cloud_foundry.golden import Case, cases

from bartizan.embed.cloud_foundry import protect, render_report, unprotect, verify

_CASES = cases()


@pytest.mark.parametrize("case", _CASES, ids=[case.folder.name for case in _CASES])
def test_golden_case(case: Case) -> None:
    """The input gives the golden output and report; the output is up to date, passes the gate and leads back."""
    protected = (case.folder / "protected.yml").read_bytes().decode()
    protection = case.run()
    assert _shown(protected) == _shown(protection.text)
    assert (case.folder / "report.txt").read_text("utf-8") == render_report(protection.report)
    assert protect(protected, settings=case.settings, procfiles=case.procfiles).edits == ()
    assert verify(protected, version=case.settings.version) == []
    assert case.text == unprotect(protected)


def _shown(text: str) -> str:
    """Return what people read of a protected manifest: how the way back is packed may differ."""
    return re.sub(r"(?<=its undo needs this line: )\S+", "", text)


def test_there_are_golden_cases() -> None:
    """The cases are found, so that their tests cannot pass by being none."""
    assert len(_CASES) >= 6
