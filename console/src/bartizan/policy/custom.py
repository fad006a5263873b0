"""
The language of custom rules (`docs/reference/custom-rules.md`), checked when a rule is stored.

The Defender has the same grammar in Rust; both run the vectors of `contract/vectors/custom-rules`. Here a script is
only checked, so that who writes it is told what is wrong and at which column; what it means is decided there.

    or = and *("or" and)        and = not *("and" not)        not = "not" not / "(" or ")" / test
    test = field op value / field "in" "(" value *("," value) ")" / field
"""

import enum
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bartizan.policy.defender_policy import CustomKind

LONGEST_SCRIPT = 4096
_DEEPEST = 32
_MOST_VALUES = 256
_WORDS = frozenset(("and", "or", "not", "in", "contains", "startswith", "endswith", "matches"))
_ORDER = ("<", ">", "<=", ">=")
_TEXT_OPERATORS = ("contains", "startswith", "endswith", "matches")
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
      | (?P<number>[0-9]+)(?![A-Za-z0-9_.])
      | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<text>"(?:[^"\\\n]|\\["\\])*")
      | (?P<sign><=|>=|!=|=|<|>)
      | (?P<mark>[(),])""",
    re.VERBOSE,
)


class ScriptError(ValueError):
    """A script that is no condition; `column` counts characters from 1."""

    def __init__(self, column: int, reason: str) -> None:
        self.column = column
        self.reason = reason
        super().__init__(f"column {column}: {reason}")


class _Kind(enum.Enum):
    TEXT = enum.auto()
    NUMBER = enum.auto()
    ADDRESS = enum.auto()
    YES_NO = enum.auto()


_PROCESS = {
    **dict.fromkeys(
        (
            "proc.name",
            "proc.pname",
            "proc.path",
            "proc.ppath",
            "proc.user",
            "proc.cmdline",
            "proc.args",
            "proc.sha256",
            "proc.ancestors",
        ),
        _Kind.TEXT,
    ),
}
_FILE = dict.fromkeys(("file.path", "file.dir", "file.operation"), _Kind.TEXT)
_NETWORK = {
    "net.outgoing_port": _Kind.NUMBER,
    "net.outgoing_ip": _Kind.ADDRESS,
    "net.private_subnet": _Kind.YES_NO,
    "net.domain": _Kind.TEXT,
}
FIELDS = {
    CustomKind.PROCESSES: _PROCESS,
    CustomKind.FILESYSTEM: {**_PROCESS, **_FILE},
    CustomKind.NETWORK_OUTGOING: {**_PROCESS, **_NETWORK},
}
"""The fields that a rule of each kind may ask for."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def check_script(script: str, kind: CustomKind) -> frozenset[str]:
    """
    Return the fields that a script asks for.

    Raises ScriptError for what is no condition of this kind, in time linear in its length.
    """
    if len(script.encode(errors="surrogatepass")) > LONGEST_SCRIPT:
        raise ScriptError(1, f"the script is longer than {LONGEST_SCRIPT} bytes")
    reader = _Reader(list(_tokens(script)), len(script) + 1, FIELDS[kind])
    reader.condition(0)
    reader.end()
    return frozenset(reader.used)


def _tokens(script: str) -> Iterator[_Token]:
    position = 0
    while position < len(script):
        found = _TOKEN.match(script, position)
        if found is None:
            raise ScriptError(position + 1, _unreadable(script[position]))
        if found.lastgroup and found.lastgroup != "blank":
            yield _Token(found.lastgroup, found.group(), position + 1)
        position = found.end()


def _unreadable(char: str) -> str:
    if char == '"':
        return r'the string does not end on its line, or holds a `\` that stands before neither `"` nor `\`'
    if char == "'":
        return "strings stand in double quotes"
    shown = char if char.isprintable() else char.encode("unicode_escape").decode()
    return f"`{shown}` means nothing here"


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, tokens: list[_Token], end: int, fields: dict[str, _Kind]) -> None:
        self._tokens = tokens
        self._end = end
        self._fields = fields
        self._position = 0
        self.used: set[str] = set()

    def condition(self, depth: int) -> None:
        """Read tests joined by `and` and `or`."""
        self._test(depth)
        while self._take("and", "or"):
            self._test(depth)

    def end(self) -> None:
        """Expect that nothing follows."""
        token = self._peek()
        if token is not None:
            raise ScriptError(token.column, f"`{token.text}` does not follow, `and` or `or` would")

    def _test(self, depth: int) -> None:
        while self._take("not"):
            pass
        if depth > _DEEPEST:
            raise self._wrong(f"nested more than {_DEEPEST} deep")
        if self._take("("):
            self.condition(depth + 1)
            self._expect(")")
            return
        name, kind = self._field()
        operator = self._peek()
        if kind is _Kind.YES_NO:
            return
        if operator is None or operator.text not in ("=", "!=", "in", *_ORDER, *_TEXT_OPERATORS):
            raise self._wrong(f"`{name}` has to be compared: an operator is missing")
        self._position += 1
        self._operator_fits(name, kind, operator)
        if operator.text == "in":
            self._values(name, kind)
        else:
            self._value(name, kind)

    def _field(self) -> tuple[str, _Kind]:
        token = self._peek()
        if token is None or token.kind != "word" or token.text in _WORDS:
            raise self._wrong("a field is expected")
        kind = self._fields.get(token.text)
        if kind is None:
            possible = ", ".join(sorted(self._fields))
            raise ScriptError(token.column, f"there is no field `{token.text}` here, only {possible}")
        self.used.add(token.text)
        self._position += 1
        return token.text, kind

    @staticmethod
    def _operator_fits(name: str, kind: _Kind, operator: _Token) -> None:
        if operator.text in _ORDER and kind is not _Kind.NUMBER:
            raise ScriptError(operator.column, f"`{operator.text}` compares numbers, and `{name}` is none")
        if operator.text in _TEXT_OPERATORS and kind is not _Kind.TEXT:
            raise ScriptError(operator.column, f"`{operator.text}` is for texts, and `{name}` is none")

    def _values(self, name: str, kind: _Kind) -> None:
        self._expect("(")
        self._value(name, kind)
        count = 1
        while self._take(","):
            count += 1
            if count > _MOST_VALUES:
                raise self._wrong(f"more than {_MOST_VALUES} values")
            self._value(name, kind)
        self._expect(")")

    def _value(self, name: str, kind: _Kind) -> None:
        token = self._peek()
        if token is None or token.kind not in ("text", "number"):
            wanted = "a number" if kind is _Kind.NUMBER else "a string in double quotes"
            raise self._wrong(f"{wanted} is expected")
        reason = _misfit(name, kind, token)
        if reason:
            raise ScriptError(token.column, reason)
        self._position += 1

    def _peek(self) -> _Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _take(self, *texts: str) -> bool:
        token = self._peek()
        if token is None or token.kind == "text" or token.text not in texts:
            return False
        self._position += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong(f"`{text}` is expected")

    def _wrong(self, reason: str) -> ScriptError:
        token = self._peek()
        return ScriptError(self._end if token is None else token.column, reason)


def _misfit(name: str, kind: _Kind, token: _Token) -> str:
    """Return why a literal cannot be compared with a field, or nothing."""
    if kind is _Kind.NUMBER:
        if token.kind != "number":
            return f"`{name}` is a number, without quotes"
        return "" if len(token.text) <= 5 and int(token.text) <= 65535 else "ports end at 65535"  # noqa: PLR2004
    if token.kind == "number":
        return "" if name == "proc.user" else f'`{name}` is compared with a string: write `"{token.text}"`'
    if kind is _Kind.ADDRESS:
        try:
            ipaddress.ip_network(token.text[1:-1], strict=False)
        except ValueError:
            return f"{token.text} is not an IP address or a CIDR block"
    return ""
