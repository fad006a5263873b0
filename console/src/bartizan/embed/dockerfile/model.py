"""A Dockerfile's instructions into stages, and what the ones that matter here say."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bartizan.embed.dockerfile.lexer import Instruction, Source, scan
from bartizan.embed.dockerfile.shell_words import SPACE
from bartizan.embed.errors import EmbedError, Where

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_FROM_WITH_NAME = 3
_ARRAYS = frozenset(("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"))


def _no_constant(name: str) -> None:
    raise ValueError(name)


# JSON as Go has it: no NaN; how large a number is does not matter, for a number is an error.
_JSON = json.JSONDecoder(parse_constant=_no_constant, parse_int=float)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What ENTRYPOINT, CMD, RUN or SHELL say: `argv` in exec form, or else the text for a shell."""

    argv: tuple[str, ...] | None
    text: str

    def under(self, shell: tuple[str, ...]) -> tuple[str, ...]:
        """Return the arguments that are started, with `shell` in force."""
        return self.argv if self.argv is not None else (*shell, self.text)


@dataclass(frozen=True)
class Stage:
    """One stage: from its FROM to the next one."""

    index: int
    name: str | None
    """in small letters"""
    base: str
    """as written: variables stand in it"""
    platform: str | None
    start: Instruction
    """its FROM"""
    instructions: tuple[Instruction, ...]
    """without its FROM"""

    @property
    def last(self) -> Instruction:
        """The instruction that ends the stage."""
        return self.instructions[-1] if self.instructions else self.start

    @cached_property
    def label(self) -> str:
        """What people call the stage."""
        return f"`{self.name}`" if self.name else f"number {self.index}"

    def every(self, *keywords: str) -> Iterator[Instruction]:
        """Yield the stage's instructions of these keywords, in order."""
        return (item for item in self.instructions if item.keyword in keywords)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile: what stands before the first FROM, and the stages."""

    source: Source
    heading: tuple[Instruction, ...]
    stages: tuple[Stage, ...]

    @property
    def text(self) -> str:
        """The file as it is."""
        return self.source.text

    def where(self, instruction: Instruction) -> Where:
        """Return the place of an instruction."""
        return self.source.where(instruction.start)


def read(text: str) -> Dockerfile:
    """Read a Dockerfile; raise `EmbedError` for what no builder takes."""
    source = scan(text)
    heading: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for item in source.instructions:
        if item.keyword == "FROM":
            stages.append((item, []))
        elif stages:
            stages[-1][1].append(item)
        elif item.keyword == "ARG":
            heading.append(item)
        else:
            message = f"`{item.keyword}` stands before the first `FROM`: only `ARG` may"
            raise EmbedError(message, source.where(item.start))
        _check(source, item)
    if not stages:
        raise EmbedError("there is no `FROM`: this is no Dockerfile, or an empty one", source.where(0))
    made = tuple(_stage(source, index, start, items) for index, (start, items) in enumerate(stages))
    return Dockerfile(source, tuple(heading), made)


def _check(source: Source, item: Instruction) -> None:
    """Refuse what builders refuse of instructions that are not looked into otherwise."""
    if item.keyword in _ARRAYS and item.arguments.startswith("["):
        try:
            json_strings(item.arguments)
        except TypeError:
            raise _no_strings(source, item) from None
    elif item.keyword in ("ENV", "LABEL"):
        if not item.arguments:
            raise EmbedError(f"`{item.keyword}` names nothing: give `name=value`", source.where(item.start))
        for name, value in pairs(item, source.escape):
            if value is None or not name:
                message = f"`{item.keyword}` gives `{name[:40]}` no value: write `name=value`"
                raise EmbedError(message, source.where(item.arguments_start))


def _stage(source: Source, index: int, start: Instruction, items: list[Instruction]) -> Stage:
    words = _BLANKS.split(start.arguments) if start.arguments else []
    named = len(words) == _FROM_WITH_NAME and words[1].upper() == "AS"
    if not named and len(words) != 1:
        raise EmbedError("`FROM` takes an image, or an image, `AS` and a name", source.where(start.start))
    name = words[2].lower() if named else None
    platform = None
    for flag in start.flags:
        key, _, value = flag.partition("=")
        if key != "--platform":
            raise EmbedError(f"`FROM` has no flag `{key[:40]}`", source.where(start.start))
        platform = value
    return Stage(index, name, words[0], platform, start, tuple(items))


def command_line(source: Source, item: Instruction) -> CommandLine:
    """Read ENTRYPOINT, CMD or SHELL: an array of JSON strings is exec form, all else is for a shell.

    Raises `EmbedError` for flags, for nothing at all and for an array of other things than strings, as builders do.
    """
    if item.flags:
        raise EmbedError(f"`{item.keyword}` takes no flags: write it as a JSON array", source.where(item.start))
    if not item.arguments:
        raise EmbedError(f"`{item.keyword}` says nothing to start", source.where(item.start))
    try:
        return CommandLine(json_strings(item.arguments), item.arguments)
    except TypeError:
        raise _no_strings(source, item) from None


def _no_strings(source: Source, item: Instruction) -> EmbedError:
    message = f"the array of `{item.keyword}` has something else than strings: put it in double quotes"
    return EmbedError(message, source.where(item.arguments_start))


def json_strings(arguments: str) -> tuple[str, ...] | None:
    """Return the strings of a JSON array, None when `arguments` are not JSON; `TypeError` when not all are strings."""
    if not arguments.startswith("["):
        return None
    try:
        items = _JSON.decode(arguments)
    except RecursionError:
        raise TypeError from None
    except ValueError:
        return None
    if not all(isinstance(item, str) for item in items):
        raise TypeError
    return tuple(re.sub("[\ud800-\udfff]", "\ufffd", item) for item in items)


def pairs(item: Instruction, escape: str) -> Iterator[tuple[str, str | None]]:
    """Yield the names and values (with their quotes) of ENV, LABEL or ARG; builders let values be missing in ARG only.

    `ENV NAME the rest` is the old form: one name, and all of the rest.
    """
    words = _words(item.arguments, escape)
    if item.keyword != "ARG" and words and "=" not in words[0]:
        name, *rest = _BLANKS.split(item.arguments, maxsplit=1)
        yield name, rest[0] if rest else None
        return
    for word in words:
        name, equals, value = word.partition("=")
        yield name, value if equals else None


def _words(text: str, escape: str) -> list[str]:
    """Return the words of `text` with their quotes (BuildKit, `parseWords`)."""
    words: list[str] = []
    word, quote, at = "", "", 0
    while at < len(text):
        char = text[at]
        if not quote and char in SPACE:
            words += [word] if word else []
            word = ""
        elif char == escape and quote != "'":
            word += text[at : at + 2] if at + 1 < len(text) else ""
            at += 1
        else:
            if char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote = char
            word += char
        at += 1
    return [*words, word] if word else words
