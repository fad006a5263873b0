"""The golden cases: whole outputs, reviewed as code."""

import pytest
from tests.embed.golden import Case, cases, reports

from bartizan.embed import protect, unprotect, verify

_CASES = cases()


@pytest.mark.parametrize("case", _CASES, ids=[case.folder.name for case in _CASES])
def test_golden_case(case: Case) -> None:
    """The input gives the golden output and report; the output is up to date, passes the gate and leads back."""
    protected = case.expected.read_bytes().decode()
    protection = case.run()
    assert protected == protection.text
    assert (case.folder / "report.txt").read_text("utf-8") == reports(protection)
    assert protect(protected, images={}, settings=case.settings).edits == ()
    assert verify(protected, version=case.settings.version, settings=case.settings) == []
    assert case.text == unprotect(protected)


def test_there_are_golden_cases() -> None:
    """The cases are found, so that their tests cannot pass by being none."""
    assert len(_CASES) >= 8
