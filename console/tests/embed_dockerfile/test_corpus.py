"""Real-world Dockerfiles: each is protected or refused with a reason, and an independent parser reads the results."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser
from tests.embed_dockerfile.samples import NGINX, corpus, settings

from bartizan.embed import EmbedError
from bartizan.embed.dockerfile import DockerfileProtection, needed_image, protect, unprotect, verify
from bartizan.embed.dockerfile.lexer import scan

_FILES = list(corpus())
_SETTINGS = settings()


def _protect(text: str) -> DockerfileProtection | None:
    try:
        image = NGINX if needed_image(text, settings=_SETTINGS) is not None else None
        return protect(text, image=image, settings=_SETTINGS)
    except EmbedError as error:
        refusal = error
    assert refusal.message
    assert refusal.where is not None
    return None


def _structure(text: str) -> list[dict[str, Any]]:
    """Return the instructions as `dockerfile-parse` reads them; it knows no here-documents and directives."""
    return list(DockerfileParser(fileobj=io.BytesIO(text.encode())).structure)


def _said(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["instruction"], item["value"]) for item in items if item["instruction"] != "COMMENT"]


def test_most_files_can_be_protected() -> None:
    """The corpus is found, and refusals are the exception."""
    protected = [path for path in _FILES if _protect(path.read_bytes().decode()) is not None]
    assert len(protected) >= 0.8 * len(_FILES) > 0


@pytest.mark.parametrize("path", _FILES, ids=[path.name for path in _FILES])
def test_file(path: Path) -> None:
    """A file is refused with a reason, or protected so that all promises hold.

    They are: protect∘protect = protect, without any lookup; unprotect∘protect = identity; the gate passes; the second
    parser reads what it read before, but for the wrapped ENTRYPOINT and, in one run, what the block has.
    """
    text = path.read_bytes().decode()
    protection = _protect(text)
    if protection is None:
        return
    again = protect(protection.text, image=None, settings=_SETTINGS)
    assert (again.edits, again.text) == ((), protection.text)
    assert text == unprotect(protection.text)
    assert verify(protection.text, version="0.1.0", settings=_SETTINGS) == []
    if scan(text).escape == "\\":
        _check_with_the_second_parser(text, protection)


def _check_with_the_second_parser(text: str, protection: DockerfileProtection) -> None:
    after = _structure(protection.text)
    marks = [
        index for index, item in enumerate(after) if item["content"].startswith(("# bartizan:begin", "# bartizan:end"))
    ]
    begin, end = marks[-2:]
    block = _said(after[begin:end])
    before, outside = _said(_structure(text)), _said([*after[:begin], *after[end:]])
    assert len(before) == len(outside)
    changed = [pair for pair in zip(before, outside, strict=True) if pair[0] != pair[1]]
    assert [name for name, _ in block[:3]] == ["ARG", "ADD", "ENV"] or [name for name, _ in block[:2]] == ["ADD", "ENV"]
    wrap = ["/bartizan/defender", "app-embedded"]
    if changed:
        ((was, now),) = changed
        assert now[0].upper() == "ENTRYPOINT"
        if not was[1].startswith("[") or was[1].endswith("]"):  # it reads no comments inside continued lines
            argv = json.loads(now[1])
            assert argv == [*wrap, *protection.report.arguments[: len(argv) - 2]]
        assert {name for name, _ in block}.isdisjoint({"ENTRYPOINT", "CMD"})
    else:
        written = {name: json.loads(value) for name, value in block if name in ("ENTRYPOINT", "CMD")}
        argv = written["ENTRYPOINT"] + written.get("CMD", [])
        assert argv == [*wrap, *protection.report.arguments[: len(argv) - 2]]
