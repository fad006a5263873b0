"""Reads the shell steps out of a Jenkinsfile, and runs them as the step `sh` does.

Rules: Jenkins docs, "Pipeline: Nodes and Processes" (`sh` runs with -xe); Groovy docs, "Strings" (escapes).
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tests.examples.agent import PIPELINES, Agent

JENKINSFILE = PIPELINES / "jenkins" / "Jenkinsfile"
_TOKEN = re.compile(
    r"//[^\n]*|'''(?P<long>(?:[^\\]|\\.)*?)'''|'(?P<short>(?:[^'\\\n]|\\.)*)'|(?P<word>\w+)|(?P<mark>[{}()\[\]:,])",
    re.DOTALL,
)
_ESCAPES = {"\n": "", "n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"', "$": "$"}
_PAIRS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class Token:
    """A piece of Groovy: kind is `text` for a string, else `word` or `mark`."""

    kind: str
    value: str


def tokens(source: str) -> list[Token]:
    """Return the pieces of a Jenkinsfile, comments left out; raise AssertionError when brackets do not pair up."""
    found: list[Token] = []
    open_marks: list[str] = []
    for match in _TOKEN.finditer(source):
        text = match["long"] if match["long"] is not None else match["short"]
        if text is not None:
            found.append(Token("text", re.sub(r"\\(.)", lambda each: _ESCAPES[each[1]], text, flags=re.DOTALL)))
        elif match["word"]:
            found.append(Token("word", match["word"]))
        elif mark := match["mark"]:
            found.append(Token("mark", mark))
            if mark in _PAIRS.values():
                open_marks.append(mark)
            elif mark in _PAIRS:
                assert open_marks, f"`{mark}` without its partner"
                assert open_marks.pop() == _PAIRS[mark], f"`{mark}` does not fit"
    assert not open_marks, f"not closed: {open_marks}"
    return found


def shell_steps(source: str) -> dict[str, str]:
    """Return the scripts of all `sh` steps by the name of their stage (one each)."""
    steps: dict[str, str] = {}
    stage = ""
    pieces = tokens(source)
    for before, piece, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
        if before.value == "stage" and after.kind == "text":
            stage = after.value
        elif piece == Token("word", "sh") and after.kind == "text":
            assert stage not in steps
            steps[stage] = after.value
    return steps


def environment(source: str) -> dict[str, str]:
    """Return what `withEnv` sets."""
    pieces = tokens(source)
    start = pieces.index(Token("word", "withEnv"))
    end = pieces.index(Token("mark", "]"), start)
    return dict(piece.value.split("=", 1) for piece in pieces[start:end] if piece.kind == "text")


def run_step(agent: Agent, script: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one script as the step `sh` does."""
    return agent.run(["sh", "-xe"], script, variables)
