"""The JSON of the log of changes."""

from typing import Any

import msgspec


class ChangedPlace(msgspec.Struct):
    """A place that changed, like `rules[shop].effect`; null is what is not there."""

    path: str
    before: Any = None
    after: Any = None


class ChangeAnswer(msgspec.Struct, rename="camel"):
    """
    One entry of the log of changes.

    `api` is method and path; `diff` what changed, by place, without secrets; `body` what was sent where nothing can be
    compared. `hash` chains the entry to the one before it.
    """

    id: int = msgspec.field(name="_id")
    time: str
    username: str
    role: str
    via: str
    type: str
    source_ip: str = msgspec.field(name="sourceIP")
    api: str
    status: int
    failure_message: str
    diff: list[ChangedPlace]
    query: dict[str, str]
    body: Any
    hash: str


class ChangesPage(msgspec.Struct, rename="camel"):
    """A page of entries, the newest first; `next` goes on with the page behind it, and is empty at the end."""

    entries: list[ChangeAnswer]
    next: str


class ChangesVerdict(msgspec.Struct, rename="camel"):
    """Whether nobody meddled with the log. `hash` is that of the last entry: keep it elsewhere, and compare."""

    intact: bool
    count: int
    problem: str
    hash: str


CHANGE_SHAPES = (ChangeAnswer, ChangedPlace, ChangesPage, ChangesVerdict)
