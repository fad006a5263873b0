"""Dockerfiles that carry the vendor's Defender, or one put in by hand: take it out, so that ours can go in.

The shape is that of files in public repositories: `ADD twistlock_defender_app_embedded.tar.gz`, variables, and an
ENTRYPOINT (or CMD, often in shell form) that begins with `…/defender app-embedded`; the vendor's tool appends all of it
and leaves an ENTRYPOINT that was there above its own.
"""

import re
from collections.abc import Iterator

from bartizan.embed.dockerfile import block
from bartizan.embed.dockerfile.lexer import Instruction, Source
from bartizan.embed.dockerfile.model import CommandLine, Dockerfile, Stage, command_line, pairs
from bartizan.embed.dockerfile.scope import Lineage
from bartizan.embed.dockerfile.transform import is_wrapped
from bartizan.embed.edit import Edit

NAME = "the vendor's Defender"
BY_HAND = "a Defender that was put in by hand"

_ARCHIVE = "twistlock_defender_app_embedded"
_COMMENT = re.compile(r"#\s*twistlock container defender\b", re.IGNORECASE).match
_SHELL_WRAP = re.compile(r"(^|\s)\S*\bdefender\s+app-embedded\s+")
_VARIABLES = frozenset((*block.VARIABLES, "FIPS_ENABLED"))
_WHY = "the other Defender is taken out"


def traces(file: Dockerfile, line: Lineage) -> tuple[str, Instruction] | None:
    """Return what Defender the stages of `line` carry already and the instruction that shows it; None for none."""
    for stage in line.stages:
        for item in stage.every("ADD", "COPY"):
            if _ARCHIVE in item.arguments:
                return NAME, item
        for item in stage.every("ENTRYPOINT", "CMD"):
            if _unwrapped(command_line(file.source, item)) is not None:
                return (NAME if "twistlock" in file.text.lower() else BY_HAND), item
    return None


def removal(file: Dockerfile, line: Lineage) -> tuple[Edit, ...]:
    """Return the edits that take the other Defender out of the stages of `line`."""
    edits = [one for stage in line.stages for one in _stage(file, stage)]
    return tuple(sorted(edits, key=lambda one: one.start))


def _stage(file: Dockerfile, stage: Stage) -> Iterator[Edit]:
    for item in stage.every("ADD", "COPY"):
        if _ARCHIVE in item.arguments:
            yield _without(file.source, item.start, item.end)
    for item in stage.every("ENV"):
        names = [name for name, _ in pairs(item, file.source.escape)]
        if all(name in _VARIABLES or name.startswith("TWISTLOCK") for name in names):
            yield _without(file.source, item.start, item.end)
    for comment in file.source.comments:
        if stage.start.start < comment.start < stage.last.end and _COMMENT(comment.text):
            yield _without(file.source, comment.start, comment.end)
    for keyword in ("ENTRYPOINT", "CMD"):
        yield from _commands(file, list(stage.every(keyword)))


def _commands(file: Dockerfile, items: list[Instruction]) -> Iterator[Edit]:
    seen: list[CommandLine] = []
    for item in items:
        line = command_line(file.source, item)
        bare = _unwrapped(line)
        if bare is None:
            seen.append(line)
        elif seen and seen[-1].argv == bare.argv and (bare.argv is not None or seen[-1].text == bare.text):
            yield _without(file.source, item.start, item.end)
        else:
            text = block.json_array(bare.argv) if bare.argv is not None else bare.text
            yield Edit(item.arguments_start, item.arguments_end, text, f"line {file.where(item).line}", _WHY)


def _unwrapped(line: CommandLine) -> CommandLine | None:
    """Return a command without the Defender in front, None when there is none."""
    if line.argv is not None:
        return CommandLine(line.argv[2:], "") if is_wrapped(line.argv) else None
    text, count = _SHELL_WRAP.subn(lambda found: found[1], line.text, count=1)
    return CommandLine(None, text) if count else None


def _without(source: Source, start: int, end: int) -> Edit:
    """Return the edit that takes out the lines of an instruction or a comment."""
    text = source.text
    first = text.rfind("\n", 0, start) + 1
    following = text.find("\n", end)
    last = len(text) if following < 0 else following + 1
    return Edit(first, last, "", f"line {source.where(first).line}", _WHY)
