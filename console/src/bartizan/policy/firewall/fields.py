"""
Readers of JSON fields: each takes a value, its JSON path and the list of problems, and returns the value's normal form.

A shape is a table of readers, so that the fields of the vendor's WAAS policy stand in tables and nothing is read twice.
A wrong value is one problem, and the field's default goes on in its stead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bartizan.policy.entries import address_entry
from bartizan.policy.reading import a_list, an_object

Reader = Callable[[object, str, list[str]], Any]
LONGEST_TEXT = 10_000
_FIRST_PORT, _LAST_PORT = 1, 65535
# RFC 9110, section 5.6.2.
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """
    A JSON object: the readers of its fields by name.

    `refused` are fields that ask for what nobody does, with the reason; `needed` have to be there.
    """

    fields: Mapping[str, Reader]
    refused: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = ()

    def __call__(self, value: object, place: str, problems: list[str]) -> dict[str, Any]:
        """Return the object with all its fields in their normal form."""
        document = an_object({} if value is None else value, place or "the document", problems)
        prefix = f"{place}." if place else ""
        for name, given in document.items():
            if name not in self.fields and not inert(given):
                reason = self.refused.get(name, "this is not supported, leave it out, empty or disabled")
                problems.append(f"{prefix}{name}: {reason}")
        missing = [name for name in self.needed if document.get(name) in (None, "")]
        problems.extend(f"{prefix}{name}: it is missing" for name in missing)
        return {
            name: read(document.get(name), f"{prefix}{name}", [] if name in missing else problems)
            for name, read in self.fields.items()
        }


def inert(value: object) -> bool:
    """Return whether a field may stand there although nobody reads it: it asks for nothing, in all of its parts."""
    if isinstance(value, dict):
        return value.get("enabled") is False or all(map(inert, value.values()))
    if isinstance(value, list):
        return all(map(inert, value))
    return value is None or value is False or value in (0, "", "disable")


def effect(*possible: str, default: str = "disable") -> Reader:
    """Read an effect by its name."""

    def read(value: object, place: str, problems: list[str]) -> str:
        if value is None or value == "":
            return default
        if isinstance(value, str) and value in possible:
            return value
        hint = ": it is a service of its vendor, which requests are not sent to" if value == "reCAPTCHA" else ""
        problems.append(f"{place}: {_shown(value)} is not possible{hint}, only {', '.join(possible)}")
        return default

    return read


def choice(*possible: str, default: str = "") -> Reader:
    """Read one of several words."""
    return effect(*possible, default=default)


def flag(*, default: bool = False) -> Reader:
    """Read true or false."""

    def read(value: object, place: str, problems: list[str]) -> bool:
        if isinstance(value, bool):
            return value
        if value is not None:
            problems.append(f"{place}: it has to be true or false")
        return default

    return read


def whole(lowest: int, highest: int, *, default: int) -> Reader:
    """Read a whole number; 0 is the default, as the vendor's clients send for a number that was never set."""

    def read(value: object, place: str, problems: list[str]) -> int:
        if value is None or value is False:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            if lowest <= value <= highest:
                return value
            if value == 0:
                return default
        problems.append(f"{place}: it has to be a whole number from {lowest} to {highest}")
        return default

    return read


def port(value: object, place: str, problems: list[str]) -> int:
    """Read a port; 0 stands for one that is wrong."""
    if isinstance(value, int) and not isinstance(value, bool) and _FIRST_PORT <= value <= _LAST_PORT:
        return value
    problems.append(f"{place}: it has to be a port from {_FIRST_PORT} to {_LAST_PORT}")
    return 0


def ignored(_value: object, _place: str, _problems: list[str]) -> None:
    """Take whatever the vendor's server puts there for information."""


def text(*, longest: int = LONGEST_TEXT, lines: bool = False) -> Reader:
    """Read a text of printable characters; with `lines` it may have several."""

    def read(value: object, place: str, problems: list[str]) -> str:
        if value is None:
            return ""
        if isinstance(value, str) and len(value) <= longest and _is_plain(value, lines=lines):
            return value
        problems.append(f"{place}: it has to be a text of at most {longest} characters, none of them a control one")
        return ""

    return read


def header_name(value: object, place: str, problems: list[str]) -> str:
    """Read the name of a header field (RFC 9110, section 5.1)."""
    if isinstance(value, str) and 0 < len(value) <= 256 and _TOKEN.issuperset(value):  # noqa: PLR2004 - long enough
        return value
    problems.append(f"{place}: it has to be the name of a header field, such as `X-Api-Key`")
    return ""


def checked(check: Callable[[str], str], *, longest: int = 4096) -> Reader:
    """Read a text that `check` returns in its normal form; its ValueError is the problem."""

    def read(value: object, place: str, problems: list[str]) -> str:
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > longest:
            problems.append(f"{place}: it has to be a string of at most {longest} characters")
            return ""
        try:
            return check(value)
        except ValueError as error:
            problems.append(f"{place}: {error}")
            return ""

    return read


def several(read: Reader, *, most: int) -> Reader:
    """Read a list of at most `most` items."""

    def read_all(value: object, place: str, problems: list[str]) -> list[Any]:
        items = a_list(value, place or "the document", problems)
        if len(items) > most:
            problems.append(f"{place}: there are {len(items)} entries, at most {most} are possible")
            items = []
        return [read(item, f"{place}[{index}]", problems) for index, item in enumerate(items)]

    return read_all


def once(read: Reader, *, most: int) -> Reader:
    """Read a list of texts, each of which is kept once."""
    read_all = several(read, most=most)

    def read_each(value: object, place: str, problems: list[str]) -> list[str]:
        return list(dict.fromkeys(item for item in read_all(value, place, problems) if item))

    return read_each


def subnet(text_: str) -> str:
    """Return an address or CIDR block in its normal spelling. Raises ValueError."""
    return address_entry(text_)


def _is_plain(value: str, *, lines: bool) -> bool:
    return all(char.isprintable() or (lines and char in "\n\r\t") for char in value)


def _shown(value: object) -> str:
    return f"`{value[:64]}`" if isinstance(value, str) else "this"
