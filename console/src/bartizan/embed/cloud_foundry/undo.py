"""The way back, carried by the protected manifest itself in a comment.

The comment holds the reverse edits, counted in the text without the comment, with a digest of that text: when it is
still the one we made, undoing gives the input back byte for byte. For a text that was changed since it holds what our
edits added, so that values lead back as well; and even without it a command shows the line that it wraps.

The comment is input like any other: its decompression is bounded, its types are checked, and what it says about values
can only take out what is ours.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bartizan.embed import edit
from bartizan.embed.cloud_foundry import start_command
from bartizan.embed.cloud_foundry.manifest import GONE, Manifest, command_at, with_value
from bartizan.embed.cloud_foundry.settings import OWN_ENVIRONMENT
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value, place
from bartizan.embed.undo import digest

SIZE_LIMIT = 1 << 20
"""Bytes a comment may unpack to: what cf takes of a manifest."""

_COMMENT = re.compile(
    r"^# Bartizan (?P<version>\S+) protects this manifest; its undo needs this line: (?P<record>\S*)\r?$", re.MULTILINE
)


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the comment says.

    `added` are the keys of the starts whose command was not in the manifest before, `environment` the variables of ours
    that an app had before, by app (null when it had no `env` at all), `skipped` the keys that were left alone, and
    `defender` the SHA-256 of the Defender put beside the apps.
    """

    digest: str
    edits: list[tuple[int, int, str]]
    added: list[str] = []
    environment: dict[str, dict[str, Any] | None] = {}
    skipped: list[str] = []
    defender: str = ""
    v: int = 1


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment found in a text: by which version, what it says, and its span without its line end."""

    version: str
    record: Record
    start: int
    end: int


def find(text: str) -> Comment | None:
    """Return the comment of an earlier protection; raise `EmbedError` for two of them and for one that is damaged."""
    found = list(_COMMENT.finditer(text))
    if not found:
        return None
    if len(found) > 1:
        raise EmbedError("the manifest has two comments of Bartizan's: remove one", place(text, found[1].start()))
    match = found[0]
    try:
        record = _decode(match["record"])
    except EmbedError as error:
        raise EmbedError(error.message, place(text, match.start("record"))) from None
    return Comment(match["version"], record, match.start(), match.end("record"))


def exact(text: str, comment: Comment) -> tuple[Edit, ...] | None:
    """Return the edits that give the input back byte for byte, None when the text is not the one we made."""
    for gone in _without(text, comment):
        bare = edit.apply(text, (gone,))
        if digest(bare) != comment.record.digest:
            continue
        back = [Edit(start, end, old, "", "as it was before") for start, end, old in comment.record.edits]
        try:
            edit.apply(bare, back)
        except ValueError:
            message = "the comment of Bartizan's is damaged: its edits do not fit the text"
            raise EmbedError(message, place(text, comment.start)) from None
        return edit.compose(text, (gone,), back)
    return None


def _without(text: str, comment: Comment) -> Iterator[Edit]:
    """Yield the ways to take the comment out: with the line end behind it, with the one before it."""
    behind = re.compile(r"\r?\n").match(text, comment.end)
    if behind:
        yield Edit(comment.start, behind.end(), "", "", "the way back")
    before = text[: comment.start]
    yield Edit(len(before.removesuffix("\n").removesuffix("\r")), comment.end, "", "", "the way back")


def same_but_edits(left: Record, right: Record) -> bool:
    """Return whether two records are about the same text; how its edits are cut may differ between releases."""
    return msgspec.structs.replace(left, edits=[]) == msgspec.structs.replace(right, edits=[])


def comment_gone(text: str, comment: Comment) -> Edit:
    """Return the edit that takes the comment out of a text that was changed since."""
    return next(_without(text, comment))


def comment(text: str, result: str, version: str, record: Record) -> str:
    """Return what goes behind `result`, the protected text, to hold the way back; line ends are those of `text`."""
    newline = "\r\n" if "\r\n" in text else "\n"
    packed = json.dumps(msgspec.to_builtins(record), separators=(",", ":")).encode()
    if len(packed) > SIZE_LIMIT:
        raise EmbedError("the manifest changes too much for the way back to be kept: split it")
    encoded = base64.b64encode(zlib.compress(packed, 9)).decode()
    line = f"# Bartizan {version} protects this manifest; its undo needs this line: {encoded}"
    return line + newline if result.endswith("\n") else newline + line


def restored(manifest: Manifest, record: Record | None) -> Value:
    """Return the manifest's value without the protection, as far as values tell."""
    value: Value = manifest.value
    added = frozenset(record.added) if record else frozenset()
    before: Mapping[str, dict[str, Any] | None] = record.environment if record else {}
    for app in manifest.apps:
        ours = False
        for start in app.starts:
            for path in start.places:
                wrapped = start_command.unwrap(command_at(value, path) or "")
                if wrapped is not None:
                    ours = True
                    value = with_value(value, path, "command", GONE if start.key in added else wrapped.line)
        if ours:
            value = _environment(value, app.path, app.environment, before.get(app.name))
    return value


def _environment(
    value: Value, path: tuple[str | int, ...], now: dict[str, Value], before: dict[str, Any] | None
) -> Value:
    left = {key: item for key, item in now.items() if key not in OWN_ENVIRONMENT}
    left |= {key: item for key, item in (before or {}).items() if key in OWN_ENVIRONMENT}
    return with_value(value, path, "env", left if left or before is not None else GONE)


def _decode(encoded: str) -> Record:
    name = "the comment of Bartizan's"
    unpacking = zlib.decompressobj()
    try:
        packed = unpacking.decompress(base64.b64decode(encoded, validate=True), SIZE_LIMIT)
        if not unpacking.eof:
            raise EmbedError(f"{name} is cut off or unpacks to more than {SIZE_LIMIT} bytes")
        record = msgspec.convert(json.loads(packed), Record)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise EmbedError(f"{name} is damaged: take the manifest from your history") from None
    if record.v != 1:
        raise EmbedError(f"{name} is of version {record.v}, made by a newer release: use that one")
    return record
