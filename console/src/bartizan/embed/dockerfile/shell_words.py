"""Words and variables as the builder reads them: quotes, escapes, `$NAME`, `${NAME:-word}`.

The rules are those of BuildKit's `frontend/dockerfile/shell/lex.go`; they resemble those of a shell without being them.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""what Go's `unicode.IsSpace` takes for a blank"""

_NESTING = 50
_PATTERN_LIMIT = 1000
_VALUE_LIMIT = 65_535
_SPECIAL = "@*#?-$!0"


class SubstitutionError(Exception):
    """A word cannot be expanded; the message is a clause for people."""


def expand(word: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """Return `word` without its quotes and with its variables replaced; one that is not set is empty.

    Raises `SubstitutionError` for what the builder refuses: an open quote, a bad `${…}`, `${NAME:?}` of nothing.
    """
    if not any(mark in word for mark in ("$", "'", '"', escape)):
        return word
    return _Lexer(word, variables, escape=escape).text()


def names(word: str, *, escape: str = "\\") -> frozenset[str]:
    """Return the variables whose values `word` depends on."""
    lexer = _Lexer(word, {}, escape=escape, keep_unset=True)
    with suppress(SubstitutionError):
        lexer.text()
    return frozenset(lexer.asked)


def raw_words(line: str) -> list[str]:
    """Return the words of `line` with their quotes, escapes and variables as they stand; none when a quote is open."""
    lexer = _Lexer(line, {}, escape="\\", keep_quotes=True, keep_escapes=True, keep_unset=True)
    try:
        return lexer.words()
    except SubstitutionError:
        return []


def plain_words(text: str) -> list[str]:
    """Return the words of `text` without their quotes, variables as they stand."""
    return _Lexer(text, {}, escape="\\", keep_unset=True).words()


@dataclass(slots=True)
class _Words:
    """Words as they grow; blanks end one only when they were not quoted."""

    done: list[str] = field(default_factory=list)
    word: list[str] = field(default_factory=list)

    def split(self, text: str) -> None:
        for char in text:
            if char in SPACE:
                self.finish()
            else:
                self.word.append(char)

    def add(self, text: str) -> None:
        self.word.append(text)

    def finish(self) -> list[str]:
        if word := "".join(self.word):
            self.done.append(word)
        self.word.clear()
        return self.done


@dataclass(slots=True)
class _Lexer:
    source: str
    variables: Mapping[str, str]
    escape: str
    keep_quotes: bool = False
    keep_escapes: bool = False
    keep_unset: bool = False
    at: int = 0
    depth: int = 0
    room: int = _VALUE_LIMIT
    """characters that values may still add"""
    asked: set[str] = field(default_factory=set)

    def text(self) -> str:
        return self._until("", keep_escapes=self.keep_escapes)[0]

    def words(self) -> list[str]:
        return self._until("", keep_escapes=self.keep_escapes)[1]

    def _until(self, stop: str, *, keep_escapes: bool) -> tuple[str, list[str]]:
        """Read up to the character `stop`, or to the end when it is empty."""
        result: list[str] = []
        words = _Words()
        while (char := self._next()) != "":
            if char == stop:
                return "".join(result), words.finish()
            if char == "$":
                piece = self._dollar()
                words.split(piece)
            elif char in "'\"":
                piece = self._single() if char == "'" else self._double(keep_escapes=keep_escapes)
                words.add(piece)
            elif char == self.escape:
                piece = (char if keep_escapes else "") + self._next()
                words.add(piece)
            else:
                piece = char
                words.split(char)
            result.append(piece)
        if stop:
            raise SubstitutionError(f"a `{stop}` is missing")
        return "".join(result), words.finish()

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _next(self) -> str:
        char = self._peek()
        self.at += 1
        return char

    def _single(self) -> str:
        end = self.source.find("'", self.at)
        if end < 0:
            raise SubstitutionError("a single quote is not closed")
        inner = self.source[self.at : end]
        self.at = end + 1
        return f"'{inner}'" if self.keep_quotes else inner

    def _double(self, *, keep_escapes: bool) -> str:
        quote = '"' if self.keep_quotes else ""
        result = [quote]
        while (char := self._next()) != '"':
            if char == "":
                raise SubstitutionError("a double quote is not closed")
            if char == "$":
                result.append(self._dollar())
            elif char == self.escape:
                follower = self._peek()
                if keep_escapes:
                    result.append(char)
                if follower and follower in f'"${self.escape}':
                    result.append(self._next())
                elif follower and not keep_escapes:
                    result.append(char)
            else:
                result.append(char)
        return "".join([*result, quote])

    def _dollar(self) -> str:
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._value(name)
            return f"${name}" if value is None and self.keep_unset else value or ""
        self.at += 1
        if self._peek() in ("", "{", "}", ":"):
            raise SubstitutionError("a `${…}` names no variable")
        name = self._name()
        operator = self._next()
        value = self._value(name)
        if operator == "}":
            return f"${{{name}}}" if value is None and self.keep_unset else value or ""
        self.depth += 1
        if self.depth > _NESTING:
            raise SubstitutionError(f"`${{…}}` is nested more than {_NESTING} deep")
        result = self._modified(name, value, operator)
        self.depth -= 1
        return result

    def _value(self, name: str) -> str | None:
        self.asked.add(name)
        value = self.variables.get(name)
        self.room -= len(value or "")
        if self.room < 0:
            raise SubstitutionError(f"it grows beyond {_VALUE_LIMIT:,} characters")
        return value

    def _modified(self, name: str, value: str | None, operator: str) -> str:
        if operator == "/":
            return self._replaced(value or "")
        colon = operator == ":"
        kind = self._next() if colon else operator
        if not kind or kind not in "+-?#%":
            raise SubstitutionError(f"the builder knows no `${{{name}{':' if colon else ''}{kind}…}}`")
        word = self._until("}", keep_escapes=kind in "#%")[0]
        if value is None and self.keep_unset:
            return f"${{{name}{':' if colon else ''}{kind}{word}}}"
        unset = value is None or (colon and value == "")
        if kind == "-":
            return word if unset else value or ""
        if kind == "+":
            return "" if unset else word
        if kind == "?":
            if unset:
                raise SubstitutionError(f"`{name}` has no value: {word}" if word else f"`{name}` has no value")
            return value or ""
        return _trimmed(value or "", word, kind)

    def _replaced(self, value: str) -> str:
        every = self._peek() == "/"
        self.at += every
        pattern = _tokens(self._until("/", keep_escapes=True)[0])
        new = self._until("}", keep_escapes=True)[0]
        _check_size(value)
        pieces, at = [], 0
        while at < len(value):
            ends = _ends(pattern, value[at:])
            if not ends or ends[-1] == 0:
                pieces.append(value[at])
                at += 1
                continue
            pieces.append(new)
            self.room -= len(new)
            at += ends[-1]
            if not every:
                break
        if self.room < 0:
            raise SubstitutionError(f"it grows beyond {_VALUE_LIMIT:,} characters")
        return "".join(pieces) + value[at:]

    def _name(self) -> str:
        start = self.at
        if self._peek().isdigit():
            accepts: Callable[[str], bool] = str.isdigit
        elif self._peek() and self._peek() in _SPECIAL:
            return self._next()
        else:
            accepts = _is_name
        while self._peek() and accepts(self._peek()):
            self.at += 1
        return self.source[start : self.at]


def _is_name(char: str) -> bool:
    return char.isalnum() or char == "_"


def _check_size(value: str) -> None:
    if len(value) > _PATTERN_LIMIT:
        raise SubstitutionError(f"a value of more than {_PATTERN_LIMIT} characters is matched with a pattern")


def _trimmed(value: str, word: str, kind: str) -> str:
    """Return `value` less the shortest, or for a doubled `kind` the longest, end that matches the pattern `word`."""
    longest = word.startswith(kind)
    _check_size(value)
    pattern = _tokens(word[longest:])
    if kind == "#":
        ends = _ends(pattern, value)
        return value[ends[-1 if longest else 0] :] if ends else value
    ends = _ends(pattern[::-1], value[::-1])
    return value[: len(value) - ends[-1 if longest else 0]] if ends else value


# One part of a pattern: a literal character, or "" with `many` for `*` and without for `?`.
_Token = tuple[str, bool]


def _tokens(pattern: str) -> list[_Token]:
    tokens: list[_Token] = []
    chars = iter(pattern)
    for char in chars:
        if char == "*":
            tokens.append(("", True))
        elif char == "?":
            tokens.append(("", False))
        else:
            tokens.append((next(chars, "\\") if char == "\\" else char, False))
    _check_size(pattern)
    return tokens


def _ends(pattern: Sequence[_Token], value: str) -> list[int]:
    """Return, rising, the lengths of the heads of `value` that match `pattern`: time is their product at most."""
    states = _closed(pattern, {0})
    ends = [0] if len(pattern) in states else []
    for length, char in enumerate(value, 1):
        moved = {
            state if pattern[state][1] else state + 1
            for state in states
            if state < len(pattern) and pattern[state][0] in ("", char)
        }
        states = _closed(pattern, moved)
        if len(pattern) in states:
            ends.append(length)
    return ends


def _closed(pattern: Sequence[_Token], states: set[int]) -> set[int]:
    """Return `states` and those that are reached by letting a `*` match nothing."""
    closed = set(states)
    for state in states:
        at = state
        while at < len(pattern) and pattern[at][1]:
            at += 1
            closed.add(at)
    return closed
