"""
Reading JSON strictly: every function takes the value, its place for messages, and the list that problems are put on.

A value that is wrong is one problem, and an inert value goes on in its stead, so that all problems are found at once.
"""

import enum
import json
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from bartizan.policy.defender_policy import Effect

_MOST_PROBLEMS = 10
_MOST_SHOWN = 1000
_LONGEST_NOTE = 10_000
# Half a character of UTF-16: JSON can write it, UTF-8 cannot.
_SURROGATE = re.compile("[\ud800-\udfff]")
_E = TypeVar("_E", bound=enum.Enum)


class Harmless(str):
    """A problem that nothing is wrong by: what it is about does nothing at all, which nobody can have meant."""

    __slots__ = ()


class FutileError(ValueError):
    """An entry that could never match anything; `entry` is its normal form."""

    def __init__(self, entry: str, reason: str) -> None:
        super().__init__(reason)
        self.entry = entry


class PolicyError(ValueError):
    """A policy that was refused; `problems` names every reason, with its place, and the text the first of them."""

    def __init__(self, problems: list[str]) -> None:
        # Keys may hold lone surrogates, which no answer could carry.
        self.problems = tuple(str(item).encode(errors="backslashreplace").decode() for item in problems)
        more = len(problems) - _MOST_PROBLEMS
        text = "; ".join(self.problems[:_MOST_PROBLEMS])
        super().__init__(f"{text}; and {more} more" if more > 0 else text)

    @property
    def shown(self) -> tuple[str, ...]:
        """The problems one by one, as many as an answer carries."""
        more = len(self.problems) - _MOST_SHOWN
        return (*self.problems[:_MOST_SHOWN], f"and {more} more") if more > 0 else self.problems


def load(data: bytes | str) -> object:
    """Return the JSON value. Raises PolicyError, also for keys that are given twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(key for index, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:index]))
            raise PolicyError([f"the key `{twice}` is given twice in one object"])
        return found

    def refuse(word: str) -> None:
        raise PolicyError([f"`{word}` is no JSON value"])

    try:
        return json.loads(data, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise PolicyError([f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}"]) from None
    except UnicodeDecodeError as error:
        raise PolicyError([f"not UTF-8: byte {error.start}"]) from None
    except RecursionError:
        raise PolicyError(["nested too deeply"]) from None
    except PolicyError:
        raise
    except ValueError:
        raise PolicyError(["a number is too long"]) from None


def effect_of(document: dict[str, Any], place: str, problems: list[str]) -> Effect:
    """Return the effect of a section; one without is disabled."""
    return effect(document.get("effect") or "disable", f"{place}.effect", Effect, problems) or Effect.DISABLE


def effect(value: object, place: str, kind: type[_E], problems: list[str]) -> _E | None:
    """Return a member of an enumeration of effects by its name."""
    possible = [str(member.value) for member in kind]
    if value in possible:
        return kind(value)
    hint = ", use `prevent`" if value == "block" else ""
    problems.append(f"{place}: `{value}` is not possible, only {', '.join(possible)}{hint}")
    return None


def only(document: dict[str, Any], known: Collection[str], prefix: str, problems: list[str]) -> None:
    """Put every further field that asks for something on the problems."""
    for key, value in document.items():
        if key not in known and not asks_for_nothing(value):
            problems.append(f"{prefix}{key}: this is not supported, leave it out, empty or disabled")


def asks_for_nothing(value: object) -> bool:
    """Return whether a field may stand there although nobody reads it."""
    return value is None or value is False or value in ("", "disable") or value in ([], {})


def entries_of(value: object, place: str, read: Callable[[str], str], problems: list[str]) -> tuple[str, ...]:
    """Return the entries of a list in their normal form, each once."""
    items = a_list(value, place, problems)
    found = (entry(item, f"{place}[{index}]", read, problems) for index, item in enumerate(items))
    return tuple(dict.fromkeys(item for item in found if item is not None))


def entry(value: object, place: str, read: Callable[[str], str], problems: list[str]) -> str | None:
    """Return one entry as `read` gives it; its ValueError is the problem."""
    if not isinstance(value, str):
        problems.append(f"{place}: it has to be a string")
        return None
    try:
        return read(value)
    except FutileError as error:
        problems.append(Harmless(f"{place}: {error}"))
        return error.entry
    except ValueError as error:
        problems.append(f"{place}: {error}")
        return None


def an_object(value: object, place: str, problems: list[str]) -> dict[str, Any]:
    """Return a JSON object."""
    if isinstance(value, dict):
        return value
    problems.append(f"{place}: it has to be an object")
    return {}


def a_list(value: object, place: str, problems: list[str]) -> list[Any]:
    """Return a JSON list; null is an empty one."""
    if value is None or isinstance(value, list):
        return value or []
    problems.append(f"{place}: it has to be a list")
    return []


def flag(value: object, place: str, problems: list[str]) -> bool:
    """Return true or false; null is false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    problems.append(f"{place}: it has to be true or false")
    return False


def text(value: object, place: str, problems: list[str]) -> str:
    """Return a text for people; null is an empty one."""
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= _LONGEST_NOTE and not _SURROGATE.search(value):
        return value
    problems.append(f"{place}: it has to be a string of at most {_LONGEST_NOTE} characters")
    return ""
