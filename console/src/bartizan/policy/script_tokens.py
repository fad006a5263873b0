"""Scripts of custom rules taken apart into words, numbers, texts and signs."""

import re
from dataclasses import dataclass
from typing import Literal

_SIGNS = ("!=", "<=", ">=", "=", "<", ">", "(", ")", ",")
_WORD = re.compile(r"[A-Za-z0-9._]+")
_PLAIN = re.compile(r'[^"\\]*')
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_WRITTEN = str.maketrans({char: f"\\{letter}" for letter, char in _ESCAPES.items()})
_SPOKEN = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "'": "\\'", '"': '\\"', "\\": "\\\\"}
# Python calls these four blanks, Unicode's White_Space does not hold them.
_NO_BLANKS = "\x1c\x1d\x1e\x1f"
HIGHEST_NUMBER = 2**32 - 1


class ScriptError(ValueError):
    """A script that is no condition; `column` counts characters from 1."""

    def __init__(self, column: int, reason: str) -> None:
        self.column = column
        self.reason = reason
        super().__init__(f"column {column}: {reason}")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a script and where it starts; of a text what stands between its quotes."""

    kind: Literal["word", "number", "text", "sign"]
    text: str
    column: int


def tokens(script: str) -> list[Token]:
    """Return the pieces. Raises ScriptError for what starts none, a text without end, an unknown escape."""
    found = []
    position = 0
    while position < len(script):
        char = script[position]
        if char.isspace() and char not in _NO_BLANKS:
            position += 1
            continue
        token, position = _token(script, position)
        found.append(token)
    return found


def is_number(text: str, *, highest: int) -> bool:
    """Return whether this is a decimal number from 0 to `highest`; leading zeros do not count."""
    digits = text.lstrip("0") or "0"
    return text.isascii() and text.isdigit() and len(digits) <= len(str(highest)) and int(digits) <= highest


def quoted(text: str) -> str:
    """Return a text as it stands in a script."""
    return f'"{text.translate(_WRITTEN)}"'


def _token(script: str, start: int) -> tuple[Token, int]:
    char = script[start]
    if char == '"':
        return _text(script, start)
    word = _WORD.match(script, start)
    if word is not None and char != ".":
        if not char.isdigit():
            return Token("word", word.group(), start + 1), word.end()
        if not is_number(word.group(), highest=HIGHEST_NUMBER):
            reason = f"`{word.group()}` is not a number from 0 to {HIGHEST_NUMBER}"
            raise ScriptError(start + 1, f"{reason}; texts and addresses stand in double quotes")
        return Token("number", word.group(), start + 1), word.end()
    for sign in _SIGNS:
        if script.startswith(sign, start):
            return Token("sign", sign, start + 1), start + len(sign)
    raise ScriptError(start + 1, f"`{_spoken(char)}` is not understood")


def _text(script: str, start: int) -> tuple[Token, int]:
    pieces = []
    position = start + 1
    while True:
        plain = _PLAIN.match(script, position)
        if plain is not None:
            pieces.append(plain.group())
            position = plain.end()
        if script.startswith('"', position):
            return Token("text", "".join(pieces), start + 1), position + 1
        letter = script[position + 1 : position + 2]
        if not letter:
            raise ScriptError(start + 1, 'this text does not end; a `"` is missing')
        if letter not in _ESCAPES:
            reason = f"`\\{_spoken(letter)}` is not an escape; write `\\\\` for a backslash"
            raise ScriptError(position + 1, reason)
        pieces.append(_ESCAPES[letter])
        position += 2


def _spoken(char: str) -> str:
    if char in _SPOKEN:
        return _SPOKEN[char]
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"
