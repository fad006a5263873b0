"""A Dockerfile's lines into instructions that know where they stand.

The rules are those of BuildKit's `frontend/dockerfile/parser`: parser directives, line continuation, comments and blank
lines inside continued lines, here-documents, flags.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from bartizan.embed.dockerfile.shell_words import SPACE, SubstitutionError, plain_words, raw_words
from bartizan.embed.errors import EmbedError, Where

LINE_LIMIT = 65_535
"""bytes of the longest line that builders read (Go, `bufio.MaxScanTokenSize`)"""

_KEYWORDS = re.compile(
    "ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER"
    "|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR"
).fullmatch
_WITH_HEREDOC = frozenset(("ADD", "COPY", "RUN"))
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=(.*)", re.ASCII).fullmatch
_DIRECTIVES = ("syntax", "escape", "check")
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"[0-9]*<<(-?)([^<]*)").fullmatch
_BOM = "\ufeff"
# Those of bytes that are not UTF-8 (PEP 383) can be written again as they were.
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]").search


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a line of its own, outside instructions; `start` is at its `#`, `end` before the line break."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. Offsets count in the text of the file, those named `_at` in `line`."""

    keyword: str
    """in capitals"""
    start: int
    """where the keyword begins"""
    end: int
    """where its last line ends, here-documents included, without the line break"""
    line: str
    """all of it as one line: continuation, comments and blank lines taken out"""
    offsets: tuple[tuple[int, int], ...]
    """pairs: from this place in `line` on, it stands in the text from there on"""
    flags: tuple[str, ...]
    arguments: str
    """what follows keyword and flags, without blanks around it"""
    arguments_at: int
    dangling: bool = False
    """whether the file ends inside it, after a continuation"""

    def place(self, at: int) -> int:
        """Return where in the text that stands which stands at `at` in `line`."""
        return self._place(at, bisect_right(self.offsets, (at, float("inf"))) - 1)

    def place_end(self, at: int) -> int:
        """Return where in the text that ends which ends at `at` in `line`."""
        return self._place(at, max(bisect_right(self.offsets, (at - 1, float("inf"))) - 1, 0))

    def _place(self, at: int, index: int) -> int:
        in_line, in_text = self.offsets[index]
        return in_text + at - in_line

    @property
    def arguments_start(self) -> int:
        """Where the arguments begin in the text."""
        return self.place(self.arguments_at)

    @property
    def arguments_end(self) -> int:
        """Where the arguments end in the text."""
        return self.place_end(self.arguments_at + len(self.arguments))


@dataclass(frozen=True, slots=True)
class Source:
    """A Dockerfile as a sequence of instructions, with what stands between them."""

    text: str
    escape: str
    instructions: tuple[Instruction, ...]
    comments: tuple[Comment, ...]
    breaks: tuple[int, ...]
    """where the line breaks are"""

    def where(self, offset: int) -> Where:
        """Return the place of an offset, as people count."""
        before = bisect_left(self.breaks, offset)
        return Where(before + 1, offset - (self.breaks[before - 1] if before else -1))

    def newline(self, offset: int) -> str:
        """Return the line break in use at `offset`: that of its line, else the first of the file."""
        for at in (self.text.find("\n", offset), self.text.find("\n")):
            if at >= 0:
                return "\r\n" if self.text[at - 1 : at] == "\r" else "\n"
        return "\n"


def where(text: str, offset: int) -> Where:
    """Return the place of an offset of `text`, as people count."""
    return Where(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def scan(text: str) -> Source:
    """Split `text` into instructions; raise `EmbedError`, with the place, for what builders cannot read."""
    _check(text)
    return _Scanner(text).scan()


def _check(text: str) -> None:
    nul = text.find("\0")
    if nul >= 0:
        raise EmbedError("there is a NUL character: this is no Dockerfile", where(text, nul))
    lone = _LONE_SURROGATE(text)
    if lone:
        raise EmbedError("there is half a character: save the file as UTF-8", where(text, lone.start()))
    if len(text) * 4 <= LINE_LIMIT:
        return
    start = 0
    for line in text.split("\n"):
        if len(line) * 4 > LINE_LIMIT and len(line.encode("utf-8", "surrogatepass")) > LINE_LIMIT:
            message = f"this line is longer than the {LINE_LIMIT:,} bytes that builders read: put what it has in a file"
            raise EmbedError(message, where(text, start))
        start += len(line) + 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = len(_BOM) if text.startswith(_BOM) else 0
        self.escape = "\\"
        self.directives: set[str] | None = set()
        self.instructions: list[Instruction] = []
        self.comments: list[Comment] = []

    def scan(self) -> Source:
        while self.at < len(self.text):
            start, content, end = self._physical()
            stripped = content.lstrip(SPACE)
            start += len(content) - len(stripped)
            self._directive(stripped, start)
            if stripped.startswith("#"):
                self.comments.append(Comment(start, end, stripped))
            elif stripped:
                self._instruction(start, stripped, end)
        breaks = tuple(found.start() for found in re.finditer("\n", self.text))
        return Source(self.text, self.escape, tuple(self.instructions), tuple(self.comments), breaks)

    def _physical(self) -> tuple[int, str, int]:
        """Read a line: where it begins, what is on it, where that ends."""
        start = self.at
        stop = self.text.find("\n", start)
        stop = len(self.text) if stop < 0 else stop
        self.at = stop + 1
        content = self.text[start:stop].rstrip("\r")
        return start, content, start + len(content)

    def _directive(self, line: str, start: int) -> None:
        if self.directives is None:
            return
        found = _DIRECTIVE(line)
        name, value = (found[1].lower(), found[2].strip()) if found else ("", "")
        if name not in _DIRECTIVES or not value:
            self.directives = None
            return
        if name in self.directives:
            raise EmbedError(f"the directive `{name}` is given twice: keep one", where(self.text, start))
        self.directives.add(name)
        if name == "escape":
            if value not in ("\\", "`"):
                message = f"the escape character `{value[:20]}` is neither a backslash nor a backquote"
                raise EmbedError(message, where(self.text, start))
            self.escape = value

    def _instruction(self, start: int, first: str, end: int) -> None:
        line, ended = self._continued(first)
        offsets = [(0, start)]
        pieces, length = [line], len(line)
        while not ended and self.at < len(self.text):
            at, content, last = self._physical()
            stripped = content.lstrip(SPACE)
            if not stripped or stripped.startswith("#"):
                continue
            end = last
            more, ended = self._continued(content)
            offsets.append((length, at))
            pieces.append(more)
            length += len(more)
        line = "".join(pieces)
        if not ended:
            end = len(self.text)
        if not line.strip(SPACE):
            return
        made = self._split(line, tuple(offsets), end, dangling=not ended)
        self.instructions.append(self._with_heredocs(made) if "<<" in line else made)

    def _continued(self, content: str) -> tuple[str, bool]:
        """Return a line without its continuation, and whether the instruction ends with it."""
        trimmed = content.rstrip("\t ")
        if trimmed.endswith(self.escape) and trimmed[-2:-1] != self.escape:
            return trimmed[:-1], False
        return content, True

    def _split(self, line: str, offsets: tuple[tuple[int, int], ...], end: int, *, dangling: bool) -> Instruction:
        head = len(line) - len(line.lstrip(SPACE))
        stripped = line.rstrip(SPACE)
        blank = _BLANKS.search(stripped, head)
        keyword_end, rest = (blank.start(), blank.end()) if blank else (len(stripped), len(stripped))
        flags, at = split_flags(stripped, rest)
        arguments = stripped[at:].lstrip(SPACE)
        made = Instruction(
            keyword=stripped[head:keyword_end].upper(),
            start=0,
            end=end,
            line=line,
            offsets=offsets,
            flags=flags,
            arguments=arguments,
            arguments_at=len(stripped) - len(arguments),
            dangling=dangling,
        )
        start = made.place(head)
        if not _KEYWORDS(made.keyword):
            shown = made.keyword[:40].encode("unicode_escape").decode()
            raise EmbedError(f"`{shown}` is no instruction of a Dockerfile", where(self.text, start))
        return _replace(made, start=start)

    def _with_heredocs(self, made: Instruction) -> Instruction:
        keyword, arguments = made.keyword, made.arguments
        if keyword == "ONBUILD":
            keyword, _, arguments = arguments.partition(" ")
        if keyword.upper() not in _WITH_HEREDOC or arguments.lstrip(SPACE).startswith("["):
            return made
        end = made.end
        for name, chomp in _heredocs(made.line):
            end = self._heredoc(made, name, chomp=chomp)
        return _replace(made, end=end)

    def _heredoc(self, made: Instruction, name: str, *, chomp: bool) -> int:
        while self.at < len(self.text):
            _, content, end = self._physical()
            if (content.lstrip("\t") if chomp else content) == name:
                return end
        message = f"the here-document `{name}` does not end: put `{name}` on a line of its own after it"
        raise EmbedError(message, where(self.text, made.start))


def _replace(made: Instruction, *, start: int | None = None, end: int | None = None) -> Instruction:
    return Instruction(
        made.keyword,
        made.start if start is None else start,
        made.end if end is None else end,
        made.line,
        made.offsets,
        made.flags,
        made.arguments,
        made.arguments_at,
        made.dangling,
    )


def _heredocs(line: str) -> Iterator[tuple[str, bool]]:
    """Find what `line` announces: the word that ends each here-document, and whether tabs before it are taken off."""
    for word in raw_words(line):
        found = _HEREDOC(word)
        if found is None or not found[2]:
            continue
        try:
            bare = plain_words(found[2])
        except SubstitutionError:
            continue
        if len(bare) == 1:
            yield bare[0], bool(found[1])


def split_flags(line: str, at: int) -> tuple[tuple[str, ...], int]:
    """Return the flags (`--name=value`) that stand at `at` in `line`, unquoted, and where what follows begins."""
    flags: list[str] = []
    while True:
        while at < len(line) and line[at] in SPACE:
            at += 1
        if not line.startswith("--", at):
            return tuple(flags), at
        word, at = _flag(line, at)
        if word == "--":
            return tuple(flags), at
        flags.append(word)


def _flag(line: str, at: int) -> tuple[str, int]:
    word: list[str] = []
    quote = ""
    while at < len(line):
        char = line[at]
        if not quote and char in SPACE:
            break
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            if char == "\\":
                at += 1
                char = line[at : at + 1]
            word.append(char)
        at += 1
    return "".join(word), at


def parse_line(line: str) -> Instruction:
    """Return the instruction that `line` spells, as `ONBUILD` carries one; its offsets count in `line`.

    Raises `EmbedError` without a place for what is none.
    """
    found = scan(line).instructions if "\n" not in line else ()
    if len(found) != 1:
        raise EmbedError(f"`{line[:40]}` is no instruction of a Dockerfile")
    return found[0]
