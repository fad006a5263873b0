"""Real-world CloudFormation: each template is protected or refused with a reason, and each promise holds."""

from collections import Counter
from pathlib import Path

import pytest
from tests.embed.cfn_lint import cfn_lint_findings
from tests.embed.samples import NGINX, settings, templates

from bartizan.embed import EmbedError, Protection, is_template, needed_images, protect, unprotect, verify

_FILES = templates()


def _text(path: Path) -> str:
    return path.read_bytes().decode()


def _protect(text: str) -> Protection | None:
    try:
        known = {image.expression: NGINX for image in needed_images(text, settings=settings())}
        return protect(text, images=known, settings=settings())
    except EmbedError as error:
        refusal = error
    assert refusal.message
    assert refusal.where is not None
    return None


def test_most_templates_can_be_protected() -> None:
    """The templates are found, and refusals are the exception."""
    protected = [path for path in _FILES if _protect(_text(path)) is not None]
    assert len(protected) >= 0.8 * len(_FILES) > 0


@pytest.mark.parametrize("path", _FILES, ids=[str(path.relative_to(path.parents[1])) for path in _FILES])
def test_template(path: Path) -> None:
    """A template is refused with a reason and a place, or protected so that all promises hold.

    They are: the result is a template still; protect∘protect = protect, without any look-up; unprotect∘protect =
    identity in bytes; the gate passes, but for tasks that the report says are left alone; cfn-lint finds nothing that
    it did not find in the input.
    """
    text = _text(path)
    protection = _protect(text)
    if protection is None:
        return
    assert is_template(protection.text)
    again = protect(protection.text, images={}, settings=settings())
    assert (again.edits, again.text) == ((), protection.text)
    assert text == unprotect(protection.text)
    left_alone = sum(report.skipped is not None for report in protection.reports)
    codes = Counter(finding.code for finding in verify(protection.text, version="0.1.0", settings=settings()))
    assert codes["missingSidecar"] <= left_alone
    assert codes.keys() <= ({"missingSidecar", "unprotected"} if left_alone else set())
    assert cfn_lint_findings(protection.text) <= cfn_lint_findings(text)
