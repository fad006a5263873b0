"""The golden cases: whole outputs, reviewed as code."""

import pytest
from tests.embed_dockerfile.golden import Case, cases

from bartizan.embed.dockerfile import needed_image, protect, render_report, unprotect, verify

_CASES = cases()


@pytest.mark.parametrize("case", _CASES, ids=[case.folder.name for case in _CASES])
def test_golden_case(case: Case) -> None:
    """The input gives the golden output and report; the output is up to date, passes the gate and leads back."""
    protected = (case.folder / "protected.Dockerfile").read_bytes().decode()
    protection = case.run()
    assert protected == protection.text
    assert (case.folder / "report.txt").read_text("utf-8") == render_report(protection.report)
    assert case.needed == needed_image(case.text, settings=case.settings)
    assert protect(protected, image=None, settings=case.settings).edits == ()
    assert verify(protected, version=case.settings.version, settings=case.settings) == []
    assert case.text == unprotect(protected)


def test_there_are_golden_cases() -> None:
    """The cases are found, so that their tests cannot pass by being none."""
    assert len(_CASES) >= 12
