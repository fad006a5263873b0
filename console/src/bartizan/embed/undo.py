"""The way back, carried by the protected definition itself in a label of its sidecar.

The label holds (a) the reverse edits, counted in the protected text with the label's value blanked, with a digest of
that text: when the text is still the one we made, undoing gives the input back byte for byte; and (b) the same way back
in terms of values (`Step`), for a text that was laid out anew, changed since, or printed by describe-task-definition.

The label is input like any other: its decompression is bounded, its types are checked, its steps can only change what
they find.
"""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from bartizan.embed import edit
from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.intrinsics import map_branches
from bartizan.embed.json_text import Object, Scalar, Value
from bartizan.embed.launch import ImageConfig
from bartizan.embed.restore import STEPS_LIMIT, Step
from bartizan.embed.rewrite import same
from bartizan.embed.wrap import UNDO_LABEL, VERSION_LABEL
from bartizan.embed.yaml_text import end_with_comments

SIZE_LIMIT = 1 << 20
"""Bytes a label may unpack to: sixteen times the largest task definition."""


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an image was found to start, kept so that an upgrade need not look again."""

    image: str
    entrypoint: list[str] = []
    cmd: list[str] = []
    origin: str = ""
    digest: str | None = None


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the label says."""

    digest: str
    edits: list[tuple[int, int, str]]
    steps: list[Step] = []
    wrapper: dict[str, Any] | None = None
    sources: dict[str, Source] = {}
    skipped: list[str] = []
    following: list[tuple[list[str], str, Any]] = []
    """what follows a port elsewhere in the template: its path, how it was written, what it says now"""
    v: int = 1


class Embedding(msgspec.Struct, frozen=True):
    """An earlier protection found in a definition: its sidecar, version, record, and where the label's value stands."""

    sidecar: Container
    version: str
    record: Record
    label: Scalar

    def images(self) -> dict[str, ImageConfig]:
        """Return what was recorded about images, by image."""
        return {
            source.image: ImageConfig(tuple(source.entrypoint), tuple(source.cmd), source.origin, source.digest)
            for source in self.record.sources.values()
        }


def find(definition: TaskDefinition) -> Embedding | None:
    """Return the protection a definition carries, None when there is none.

    Raises `EmbedError` for two of them and for a label that is not one of ours.
    """
    found = [container for container in definition.containers if _label(container, UNDO_LABEL) is not None]
    if not found:
        return None
    if len(found) > 1:
        message = f"both `{found[0].name}` and `{found[1].name}` are sidecars of the Defender: remove one"
        raise EmbedError(message, found[1].where)
    label, version = _label(found[0], UNDO_LABEL), _label(found[0], VERSION_LABEL)
    if label is None or not isinstance(label.value, str):
        raise EmbedError(f"the label `{UNDO_LABEL}` must be a string", found[0].where_of("dockerLabels"))
    try:
        record = decode(label.value)
    except EmbedError as error:
        raise EmbedError(error.message, definition.document.where(label.start)) from None
    return Embedding(found[0], str(version.value) if version else "", record, label)


def is_labelled(definition: TaskDefinition) -> bool:
    """Return whether a container of the definition has our label."""
    return any(_label(container, UNDO_LABEL) is not None for container in definition.containers)


def _label(container: Container, name: str) -> Scalar | None:
    member = container.node.members.get(container.dialect.key("dockerLabels"))
    labels = member.node if member else None
    label = labels.members.get(name) if isinstance(labels, Object) else None
    return label.node if label and isinstance(label.node, Scalar) else None


def scope(definition: TaskDefinition) -> tuple[int, int]:
    """Return the span of the text that a definition's record is about.

    Of a template that is one resource, to the end of its last line and of the comments there, so that what else the
    template says may change.
    """
    text = definition.document.text
    if not definition.dialect.pascal or not definition.path:
        return 0, len(text)
    start, end = definition.node.start, definition.node.end
    if text[start] in "{[":
        return start, end
    return start, end_with_comments(text, end, start - text.rfind("\n", 0, start) - 1)


def exact(definition: TaskDefinition, embedding: Embedding) -> tuple[Edit, ...] | None:
    """Return the edits that give the input back byte for byte, None when the text is not the one we made."""
    text = definition.document.text
    start, end = scope(definition)
    label = embedding.label
    quotes = text[label.start] * 2
    blank = Edit(label.start - start, label.end - start, quotes)
    part = text[start:end]
    blanked = edit.apply(part, (blank,))
    if digest(blanked) != embedding.record.digest:
        return None
    back = [Edit(first, last, old, "", "as it was before") for first, last, old in embedding.record.edits]
    try:
        edit.apply(blanked, back)
    except ValueError:
        raise EmbedError(f"the label `{UNDO_LABEL}` is damaged: its edits do not fit the text") from None
    return tuple(
        replace(made, start=made.start + start, end=made.end + start) for made in edit.compose(part, (blank,), back)
    )


def digest(text: str) -> str:
    """Return the digest by which a text is known: SHA-256, lower-case hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def encode(record: Record) -> str:
    """Return the label's value: base64 of zlib of JSON; raise `EmbedError` when `decode` would refuse its size."""
    packed = json.dumps(msgspec.to_builtins(record), separators=(",", ":")).encode()
    if len(packed) > SIZE_LIMIT or len(record.steps) > STEPS_LIMIT:
        message = "what is replaced in the definition is too large for the way back to be kept"
        raise EmbedError(f"{message}: shorten entrypoints and commands, remove its read-only fields")
    return base64.b64encode(zlib.compress(packed, 9)).decode()


def decode(label: str) -> Record:
    """Read a label's value; raise `EmbedError` for anything that `encode` would not write."""
    unpacking = zlib.decompressobj()
    try:
        packed = unpacking.decompress(base64.b64decode(label, validate=True), SIZE_LIMIT)
        if not unpacking.eof:
            raise EmbedError(f"the label `{UNDO_LABEL}` is cut off or unpacks to more than {SIZE_LIMIT} bytes")
        record = msgspec.convert(json.loads(packed), Record)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise EmbedError(f"the label `{UNDO_LABEL}` is damaged: {_cause(error)}") from None
    if record.v != 1:
        raise EmbedError(f"the label `{UNDO_LABEL}` is of version {record.v}, made by a newer release: use that one")
    if len(record.steps) > STEPS_LIMIT:
        raise EmbedError(f"the label `{UNDO_LABEL}` is damaged: it has more than {STEPS_LIMIT} steps")
    return record


def _cause(error: Exception) -> str:
    match error:
        case binascii.Error():
            return "it is not base64"
        case zlib.error():
            return "it does not unpack"
        case msgspec.ValidationError():
            return "what it holds has the wrong shape"
        case _:
            return "what it holds is not JSON"


def same_but_label(left: Mapping[str, Value], right: Mapping[str, Value], sidecar: str) -> bool:
    """Return whether two protected definitions differ in nothing but the undo label of `sidecar`.

    The label's bytes may differ between builds of zlib, and its edits between layouts of the same definition.
    """
    return same(_blanked(left, sidecar), _blanked(right, sidecar))


def _blanked(definition: Mapping[str, Value], sidecar: str) -> dict[str, Value]:
    def blank(container: Value) -> Value:
        labels = container.get("dockerLabels") if isinstance(container, dict) else None
        if isinstance(container, dict) and isinstance(labels, dict) and container.get("name") == sidecar:
            return {**container, "dockerLabels": {**labels, UNDO_LABEL: ""}}
        return container

    def blank_all(containers: Value) -> Value:
        return [blank(container) for container in containers] if isinstance(containers, list) else containers

    return {**definition, "containerDefinitions": map_branches(definition.get("containerDefinitions"), blank_all)}
