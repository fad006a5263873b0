"""The way back, carried by the protected Dockerfile itself in comments of its block.

The record holds (a) the reverse edits, counted in the protected text without these comments, with a digest of that
text: when the text is still the one we made, undoing gives the input back byte for byte; and (b) what the ENTRYPOINT
was, for a text that was changed since. The record is input like any other: its size is bounded, its types are checked,
and it can only change what it finds.
"""

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from bartizan.embed import edit
from bartizan.embed.dockerfile.block import BEGIN, END, MODE, UNDO
from bartizan.embed.dockerfile.lexer import Comment, Instruction, Source
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.launch import ImageConfig

_WRAPPER = re.compile(rf'\[\s*("[^"]*defender"\s*,\s*"{MODE}"\s*(?:,\s*)?)').match
SIZE_LIMIT = 1 << 20
"""bytes a record may unpack to"""


class ImageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the base image was found to say, kept so that an upgrade need not look again."""

    base: str
    entrypoint: list[str] = []
    cmd: list[str] = []
    origin: str = ""
    digest: str | None = None
    user: str = ""
    shell: list[str] = []
    volumes: list[str] = []
    on_build: list[str] = []
    os: str = ""

    def config(self) -> ImageConfig:
        """Return it as the image's configuration."""
        return ImageConfig(
            tuple(self.entrypoint),
            tuple(self.cmd),
            self.origin,
            self.digest,
            self.user,
            tuple(self.shell),
            tuple(self.volumes),
            tuple(self.on_build),
            self.os,
        )


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the comments say."""

    digest: str
    edits: list[tuple[int, int, str]]
    entrypoint: tuple[str, str] | None = None
    """the arguments of ENTRYPOINT as they are now, and as they were"""
    exposed: list[tuple[str, str]] = []
    """the arguments of each changed EXPOSE as they are now, and as they were"""
    image: ImageRecord | None = None
    target: str | None = None
    build_args: dict[str, str] = {}
    """those that FROM lines use"""
    v: int = 1


class Embedding(msgspec.Struct, frozen=True):
    """An earlier protection found in a Dockerfile: its version, its record, and where its block stands."""

    version: str
    record: Record
    start: int
    """of the block: at the `#` of its first line"""
    end: int
    """of the block: after the last character of its last line"""
    comments: tuple[int, int]
    """the lines that carry the record, line breaks included"""


def find(source: Source) -> Embedding | None:
    """Return the protection a Dockerfile carries, None when there is none.

    Raises `EmbedError` for a block that is not whole, for two of them, and for a record that is none.
    """
    begins = [item for item in source.comments if _is(item, BEGIN)]
    ends = [item for item in source.comments if _is(item, END)]
    undos = [item for item in source.comments if _is(item, UNDO)]
    if not begins and not ends and not undos:
        return None
    marks = sorted([*begins, *ends, *undos], key=lambda item: item.start)
    if len(begins) > 1:
        raise EmbedError("there are two blocks of Bartizan: take one out", source.where(begins[1].start))
    if not (begins and undos and len(ends) == 1 and marks[0] is begins[0] and marks[-1] is ends[0]):
        message = f"the block of Bartizan is not whole: it lacks `{BEGIN}`, `{UNDO}` or `{END}`"
        raise EmbedError(f"{message}: protect the original file", source.where(marks[0].start))
    for before, after in pairwise(undos):
        if source.text[before.end : after.start].strip("\r\n \t"):
            message = f"the lines `{UNDO}` do not follow each other: protect the original file"
            raise EmbedError(message, source.where(after.start))
    try:
        record = decode("".join(item.text.removeprefix(UNDO).strip() for item in undos))
    except EmbedError as error:
        raise EmbedError(error.message, source.where(undos[0].start)) from None
    return Embedding(
        version=begins[0].text.removeprefix(BEGIN).strip(),
        record=record,
        start=begins[0].start,
        end=ends[0].end,
        comments=(undos[0].start, _line_end(source.text, undos[-1].end)),
    )


def _is(comment: Comment, mark: str) -> bool:
    return comment.text == mark or comment.text.startswith(f"{mark} ")


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def back(source: Source, embedding: Embedding) -> tuple[Edit, ...]:
    """Return the edits that take the protection out: exactly when the text is as we made it, else by what is found."""
    text = source.text
    blank = Edit(*embedding.comments, "")
    blanked = edit.apply(text, (blank,))
    if digest(blanked) == embedding.record.digest:
        edits = [Edit(start, end, old, "", "as it was before") for start, end, old in embedding.record.edits]
        try:
            edit.apply(blanked, edits)
        except ValueError:
            message = f"the lines `{UNDO}` are damaged: their edits do not fit the text"
            raise EmbedError(message, source.where(embedding.comments[0])) from None
        return edit.compose(text, (blank,), edits)
    return _by_what_is_found(source, embedding)


def _by_what_is_found(source: Source, embedding: Embedding) -> tuple[Edit, ...]:
    text = source.text
    start = embedding.start
    for _ in range(2):  # the blank line before the block, and the line break before that
        before = text.rfind("\n", 0, start)
        if before < 0 or text[before:start].strip():
            break
        start = before - 1 if text[before - 1 : before] == "\r" else before
    edits = [Edit(start, embedding.end, "", "", "the block is taken out")]
    stage = _stage(source, embedding)
    edits += [made for item in stage for made in _exposed(item, embedding.record)]
    for item in reversed(stage):
        if item.keyword == "ENTRYPOINT":
            edits += _entrypoint(item, embedding.record)
            break
    return tuple(sorted(edits, key=lambda made: made.start))


def _stage(source: Source, embedding: Embedding) -> list[Instruction]:
    """Return the instructions of the stage that the block is in, without the block's own."""
    stage: list[Instruction] = []
    for item in source.instructions:
        if item.keyword == "FROM":
            if item.start > embedding.start:
                break
            stage = []
        elif not embedding.start < item.start < embedding.end:
            stage.append(item)
    return stage


def _entrypoint(item: Instruction, record: Record) -> Iterator[Edit]:
    """Yield the edit that gives ENTRYPOINT back as it was; of one that was changed since, it loses the Defender."""
    if record.entrypoint is None:
        return
    now, then = record.entrypoint
    if item.arguments == now:
        yield Edit(item.arguments_start, item.arguments_end, then, "", "as it was before")
    elif found := _WRAPPER(item.arguments):
        start, end = (item.arguments_at + at for at in found.span(1))
        yield Edit(item.place(start), item.place_end(end), "", "", "the Defender is taken out")


def _exposed(item: Instruction, record: Record) -> Iterator[Edit]:
    """Yield the edit that gives an EXPOSE its ports back, unless they were changed since."""
    then = dict(record.exposed).get(item.arguments) if item.keyword == "EXPOSE" else None
    if then is not None:
        yield Edit(item.arguments_start, item.arguments_end, then, "", "as it was before")


def exposes(item: Instruction, record: Record) -> bool:
    """Return whether an instruction is an EXPOSE of the file given, with the firewall's port."""
    return any(True for _ in _exposed(item, record))


def wraps(item: Instruction, record: Record) -> bool:
    """Return whether an instruction is the ENTRYPOINT of the file given, with the Defender in front."""
    return item.keyword == "ENTRYPOINT" and any(True for _ in _entrypoint(item, record))


def without_record(text: str) -> list[tuple[int, str]]:
    """Return the lines of a text, numbered from 1, but for those that look like the record's."""
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if not line.startswith(f"{UNDO} ")]


def digest(text: str) -> str:
    """Return the digest by which a text is known: SHA-256, lower-case hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def encode(record: Record) -> str:
    """Return the record as base64 of zlib of JSON; raise `EmbedError` when `decode` would refuse its size."""
    packed = json.dumps(msgspec.to_builtins(record), separators=(",", ":")).encode()
    if len(packed) > SIZE_LIMIT:
        raise EmbedError("the Dockerfile changes too much for the way back to be kept: put long commands in a file")
    return base64.b64encode(zlib.compress(packed, 9)).decode()


def decode(text: str) -> Record:
    """Read what `encode` wrote; raise `EmbedError` for anything else."""
    damaged = EmbedError(f"the lines `{UNDO}` are damaged: protect the original file")
    try:
        unpacker = zlib.decompressobj()
        packed = unpacker.decompress(base64.b64decode(text, validate=True), SIZE_LIMIT)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise damaged
        record = msgspec.convert(json.loads(packed), Record)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise damaged from None
    if record.v != 1:
        raise EmbedError("the file was protected by a newer Bartizan: use that one")
    return record
