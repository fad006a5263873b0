"""The user a container runs as, from the image's own account files (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bartizan.runtask.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST_ID = 2**32 - 2


@dataclass(frozen=True, slots=True)
class User:
    """Numeric user, group and supplementary groups."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve_user(wanted: str, *, passwd: str, group: str) -> User:
    """Resolve `user`, `uid`, `user:group`, `uid:gid`; empty means root. Rules: moby/sys `user.GetExecUser`.

    `passwd` and `group` are the texts of the container's files, empty where there are none. Raises `TaskError`.
    """
    name, colon, group_name = wanted.partition(":")
    entry = next((e for e in _lines(passwd, 6) if name and (e[0] == name or e[2] == name)), None)
    if not name:
        entry = next((e for e in _lines(passwd, 6) if e[2] == "0"), None)
    if entry is not None:
        uid, gid, home = _number(entry[2], wanted), _number(entry[3], wanted), entry[5] or "/"
    elif not name or (name.isascii() and name.isdigit()):
        uid, gid, home = _number(name or "0", wanted), 0, "/"
    else:
        raise TaskError(f"user `{wanted}` is not in the image's /etc/passwd: use a number, or an image that has it")
    if colon and group_name:
        return User(uid, _group(group_name, group, wanted), (), home)
    account = entry[0] if entry is not None else None
    member_of = [e[2] for e in _lines(group, 4) if account is not None and account in e[3].split(",")]
    return User(uid, gid, tuple(sorted({_number(number, wanted) for number in member_of} - {gid})), home)


def _group(name: str, group: str, wanted: str) -> int:
    for entry in _lines(group, 3):
        if name in (entry[0], entry[2]):
            return _number(entry[2], wanted)
    if name.isascii() and name.isdigit():
        return _number(name, wanted)
    raise TaskError(f"group of user `{wanted}` is not in the image's /etc/group: use a number, or an image that has it")


def _lines(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) >= fields and all(part.isascii() and part.isdigit() for part in parts[2:3]):
            yield parts


def _number(text: str, wanted: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > _LARGEST_ID:  # noqa: PLR2004 - digits of 2^32
        raise TaskError(f"user `{wanted}` has the number `{text}`, which is out of range")
    return int(text)
