"""
The language of custom rules (`docs/reference/custom-rules.md`), checked when a rule is stored.

The Defender has the same grammar in Rust (`defender/core/src/custom`); both run `contract/vectors/custom-rules`. Here a
script is only checked, so that who writes it is told at once what is wrong and where; what it means is decided there.

    any  = all *("or" all)
    all  = unary *("and" unary)
    unary = "not" unary | "(" any ")" | test
    test = field operator value | field "in" "(" value *("," value) ")" | flag
"""

import enum
import ipaddress
import re
from dataclasses import dataclass

from bartizan.policy.defender_policy import CustomKind
from bartizan.policy.script_tokens import HIGHEST_NUMBER, ScriptError, Token, is_number, quoted, tokens

LONGEST_SCRIPT = 16 * 1024
"""How long a script may be, in bytes."""
DEEPEST = 32
"""How deep parentheses and `not` may be nested."""
_OPERATIONS = ("create", "write", "rename", "remove", "attributes")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Holds(enum.Enum):
    """What a field holds."""

    TEXT = enum.auto()
    OPERATION = enum.auto()
    DIGEST = enum.auto()
    LIST = enum.auto()
    NUMBER = enum.auto()
    USER = enum.auto()
    ADDRESSES = enum.auto()
    FLAG = enum.auto()


_NUMBER_OPERATORS = ("=", "!=", "in", "<", ">", "<=", ">=")
_OPERATORS = {
    _Holds.TEXT: ("=", "!=", "in", "contains", "startswith", "endswith", "matches"),
    _Holds.OPERATION: ("=", "!=", "in"),
    _Holds.DIGEST: ("=", "!=", "in"),
    _Holds.LIST: ("contains", "in", "startswith", "endswith", "matches"),
    _Holds.NUMBER: _NUMBER_OPERATORS,
    _Holds.USER: _NUMBER_OPERATORS,
    _Holds.ADDRESSES: ("=", "!=", "in"),
}
_KNOWN_OPERATORS = frozenset(operator for operators in _OPERATORS.values() for operator in operators)
_PROCESS = {
    "proc.name": _Holds.TEXT,
    "proc.pname": _Holds.TEXT,
    "proc.path": _Holds.TEXT,
    "proc.ppath": _Holds.TEXT,
    "proc.user": _Holds.USER,
    "proc.cmdline": _Holds.TEXT,
    "proc.args": _Holds.LIST,
    "proc.sha256": _Holds.DIGEST,
    "proc.ancestors": _Holds.LIST,
}
_FILE = {"file.path": _Holds.TEXT, "file.dir": _Holds.TEXT, "file.operation": _Holds.OPERATION}
_NETWORK = {
    "net.outgoing_port": _Holds.NUMBER,
    "net.outgoing_ip": _Holds.ADDRESSES,
    "net.private_subnet": _Holds.FLAG,
    "net.domain": _Holds.TEXT,
}
_ALL = {**_PROCESS, **_FILE, **_NETWORK}
# Contents are hashed when a program starts, not when it writes or connects.
_ACTOR = {name: holds for name, holds in _PROCESS.items() if holds is not _Holds.DIGEST}
FIELDS = {
    CustomKind.PROCESSES: _PROCESS,
    CustomKind.FILESYSTEM: {**_ACTOR, **_FILE},
    CustomKind.NETWORK_OUTGOING: {**_ACTOR, **_NETWORK},
}
"""The fields that a rule of each kind may speak of."""


@dataclass(frozen=True, slots=True)
class Script:
    """A condition in the one form in which it is printed, and the fields that it speaks of."""

    printed: str
    fields: frozenset[str]


def check_script(script: str, kind: CustomKind) -> Script:
    """
    Return what a script says.

    Raises ScriptError for the first thing that no rule of this kind could mean, in time linear in the length.
    """
    if len(script.encode(errors="surrogatepass")) > LONGEST_SCRIPT:
        raise ScriptError(1, f"a script has at most {LONGEST_SCRIPT} bytes")
    reader = _Reader(tokens(script), len(script) + 1, kind)
    found = reader.any()
    reader.end()
    return Script(found.text, frozenset(reader.used))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a condition, printed; `joined` by `and` or `or` if it has parts of its own."""

    text: str
    joined: str = ""

    def inside(self, *free: str) -> str:
        """Return it as a part of another: in parentheses, unless it is joined by one of `free`."""
        return self.text if self.joined in ("", *free) else f"({self.text})"


class _Reader:
    """Goes through the tokens once; `end` is the column behind the script."""

    def __init__(self, found: list[Token], end: int, kind: CustomKind) -> None:
        self._tokens = found
        self._end = end
        self._kind = kind
        self._position = 0
        self._depth = 0
        self.used: set[str] = set()

    def any(self) -> _Part:
        """Read parts of which one has to hold."""
        parts = [self._all()]
        while self._keyword("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _Part(" or ".join(part.inside("and") for part in parts), "or")

    def end(self) -> None:
        """Expect that nothing follows."""
        token = self._peek()
        if token is None:
            return
        closes = token.kind == "sign" and token.text == ")"
        raise ScriptError(token.column, "`)` closes nothing" if closes else "`and` or `or` is missing here")

    def _all(self) -> _Part:
        parts = [self._unary()]
        while self._keyword("and"):
            parts.append(self._unary())
        return parts[0] if len(parts) == 1 else _Part(" and ".join(part.inside() for part in parts), "and")

    def _unary(self) -> _Part:
        if self._depth == DEEPEST:
            raise ScriptError(self._column(), f"this is nested more than {DEEPEST} deep")
        self._depth += 1
        if self._keyword("not"):
            found = _Part(f"not {self._unary().inside()}")
        elif self._sign("("):
            found = self.any()
            self._expect(")")
        else:
            found = _Part(self._test())
        self._depth -= 1
        return found

    def _test(self) -> str:
        name, holds = self._field()
        if holds is _Holds.FLAG:
            return name
        column, token = self._column(), self._next()
        if token is None or token.kind not in ("word", "sign"):
            raise ScriptError(column, f"an operator is missing behind `{name}`")
        operator = token.text.lower()
        if operator not in _KNOWN_OPERATORS:
            raise ScriptError(column, f"`{operator}` is not an operator")
        if operator not in _OPERATORS[holds]:
            possible = ", ".join(_OPERATORS[holds])
            raise ScriptError(column, f"`{name}` is not compared by `{operator}`, only by {possible}")
        if operator != "in":
            return f"{name} {operator} {self._value(name, holds)}"
        self._expect("(")
        values = [self._value(name, holds)]
        while self._sign(","):
            values.append(self._value(name, holds))
        self._expect(")")
        return f"{name} in ({', '.join(values)})"

    def _field(self) -> tuple[str, _Holds]:
        column, token = self._column(), self._next()
        if token is None or token.kind != "word":
            raise ScriptError(column, "a field such as `proc.name` is missing here")
        fields = FIELDS[self._kind]
        if token.text not in _ALL:
            raise ScriptError(column, f"`{token.text}` is not a field; there are {', '.join(fields)}")
        if token.text not in fields:
            raise ScriptError(column, f"`{token.text}` is not known for rules of this type")
        self.used.add(token.text)
        return token.text, fields[token.text]

    def _value(self, name: str, holds: _Holds) -> str:
        column, token = self._column(), self._next()
        reason = _misfit(name, holds, token)
        if reason or token is None:
            raise ScriptError(column, reason)
        return _printed(name, holds, token)

    def _peek(self) -> Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _next(self) -> Token | None:
        token = self._peek()
        self._position += 1
        return token

    def _column(self) -> int:
        token = self._peek()
        return self._end if token is None else token.column

    def _keyword(self, word: str) -> bool:
        return self._take("word", word)

    def _sign(self, sign: str) -> bool:
        return self._take("sign", sign)

    def _take(self, kind: str, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind != kind or token.text.lower() != text:
            return False
        self._position += 1
        return True

    def _expect(self, sign: str) -> None:
        column = self._column()
        if not self._sign(sign):
            raise ScriptError(column, f"`{sign}` is missing here")


def _misfit(name: str, holds: _Holds, token: Token | None) -> str:
    """Return why a field cannot be compared with this, or nothing."""
    kind, text = (token.kind, token.text) if token is not None else ("", "")
    if holds is _Holds.NUMBER or (holds is _Holds.USER and kind != "text"):
        return "" if kind == "number" else f"`{name}` is compared with a number"
    if holds is _Holds.USER:
        known = text == "root" or is_number(text, highest=HIGHEST_NUMBER)
        return "" if known else f"users are known by number here; `{text}` is none, and only `root` has a name"
    if kind != "text":
        return f"`{name}` is compared with a text in double quotes"
    wrong = ""
    if holds is _Holds.ADDRESSES and not _are_addresses(text):
        wrong = f"`{text}` is not an IP address, a CIDR block or a range `first-last`"
    elif holds is _Holds.OPERATION and text not in _OPERATIONS:
        wrong = f"`{text}` is none of {', '.join(_OPERATIONS)}"
    elif holds is _Holds.DIGEST and not _DIGEST.fullmatch(text.lower()):
        wrong = f"`{text}` is not 64 hexadecimal digits"
    return wrong


def _printed(name: str, holds: _Holds, token: Token) -> str:
    """Return a value as it is printed: numbers as such, digests and names of domains in lower case."""
    if holds in (_Holds.NUMBER, _Holds.USER):
        return "0" if token.text == "root" else str(int(token.text.lstrip("0") or "0"))
    text = token.text
    if holds is _Holds.DIGEST:
        text = text.lower()
    elif name == "net.domain":
        text = "".join(char.lower() if char.isascii() else char for char in text.removesuffix("."))
    return quoted(text)


def _are_addresses(text: str) -> bool:
    """Return whether this is an address, a CIDR block, or a range `first-last` of one family."""
    try:
        first, dash, last = text.partition("-")
        if dash:
            low, high = _address(first), _address(last)
            return low.version == high.version and int(low) <= int(high)
        address, slash, prefix = text.partition("/")
        width = _address(address, mapped=False).max_prefixlen
        return not slash or is_number(prefix, highest=width)
    except ValueError:
        return False


def _address(text: str, *, mapped: bool = True) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if "%" in text:
        raise ValueError("a zone means nothing outside its host")
    found = ipaddress.ip_address(text)
    if mapped and isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
