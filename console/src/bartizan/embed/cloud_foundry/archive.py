"""The Defender inside an app that is pushed as an archive (JAR, WAR, ZIP), added so that it can be cut off again.

A ZIP file is read from its end (PKWARE's APPNOTE, 4.3.1 and 4.3.16), so we append: the member, then the central
directory once more with one entry more. What was there stays as it is, offsets hold, and the first bytes of the result
are the input: cutting the file there is the way back. Cloud Foundry unpacks the archive into the app's directory, modes
included.
"""

import struct
import zlib
from dataclasses import dataclass

from bartizan.embed.errors import EmbedError

NAME = b"defender"
_MARK = b"Bartizan"
"""The comment of our entry, by which it is known."""
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_SIGNATURE, _ENTRY_SIGNATURE, _LOCAL_SIGNATURE = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_UNIX, _VERSION, _DEFLATED = 3 << 8, 20, 8
_MIDNIGHT, _NEW_YEAR_1980 = 0, 0x21
_PROGRAM = 0o100755 << 16
_LONGEST_COMMENT, _ZIP64 = 0xFFFF, 0xFFFF
_SIZE_LIMIT = 256 << 20
_LARGEST = 0xFFFF_0000


@dataclass(frozen=True, slots=True)
class _Directory:
    count: int
    start: int
    end: int
    comment: bytes


def with_defender(archive: bytes, program: bytes) -> bytes:
    """Return the archive with `program` in it as `defender`, executable, in place of one that this added before.

    Raises `EmbedError` for what is no ZIP file that we can read, and for one with a `defender` of its own.
    """
    archive = without_defender(archive)
    directory = _directory(archive)
    entries = archive[directory.start : directory.end]
    if _find(archive, directory) is not None:
        raise EmbedError("it has a file `defender` of its own")
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = compressor.compress(program) + compressor.flush()
    shared = (0, _DEFLATED, _MIDNIGHT, _NEW_YEAR_1980, zlib.crc32(program), len(data), len(program), len(NAME))
    local = _LOCAL.pack(_LOCAL_SIGNATURE, _VERSION, *shared, 0) + NAME + data
    start = len(archive) + len(local)
    if start + len(entries) > _LARGEST:
        raise EmbedError("it is too large: unpack it, and set `path` to the folder")
    entry = _ENTRY.pack(
        _ENTRY_SIGNATURE, _UNIX | _VERSION, _VERSION, *shared, 0, len(_MARK), 0, 0, _PROGRAM, len(archive)
    )
    entries += entry + NAME + _MARK
    count = directory.count + 1
    end = _END.pack(_END_SIGNATURE, 0, 0, count, count, len(entries), start, len(directory.comment))
    return archive + local + entries + end + directory.comment


def without_defender(archive: bytes) -> bytes:
    """Return the archive as it was before `with_defender`, itself when that was never done; raise as that does."""
    found = _find(archive, _directory(archive))
    return archive[: found.offset] if found is not None and found.ours else archive


def defender_in(archive: bytes) -> bytes | None:
    """Return the Defender that `with_defender` put into the archive, None when there is none; raise as that does."""
    found = _find(archive, _directory(archive))
    if found is None or not found.ours:
        return None
    local = archive[found.offset : found.offset + _LOCAL.size]
    if len(local) < _LOCAL.size or local[:4] != _LOCAL_SIGNATURE:
        return None
    *_, size, _, name, extra = _LOCAL.unpack(local)
    start = found.offset + _LOCAL.size + name + extra
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(archive[start : start + size], _SIZE_LIMIT)
    except zlib.error:
        return None


@dataclass(frozen=True, slots=True)
class _Found:
    offset: int
    ours: bool


def _directory(archive: bytes) -> _Directory:
    """Return where the central directory is; raise `EmbedError` for what is no plain ZIP file."""
    at = archive.rfind(_END_SIGNATURE, max(len(archive) - _END.size - _LONGEST_COMMENT, 0))
    if at < 0 or len(archive) - at < _END.size:
        raise EmbedError("it is no ZIP file")
    _, disk, first, here, count, size, start, comment = _END.unpack_from(archive, at)
    if disk or first or here != count or count == _ZIP64 or start == 0xFFFFFFFF:  # noqa: PLR2004 - APPNOTE 4.4.24
        raise EmbedError("it is a ZIP64 file or one in parts: unpack it, and set `path` to the folder")
    if start + size != at or at + _END.size + comment != len(archive):
        raise EmbedError("it is no plain ZIP file, or is damaged: unpack it, and set `path` to the folder")
    return _Directory(count, start, at, archive[at + _END.size :])


def _find(archive: bytes, directory: _Directory) -> _Found | None:
    """Return the entry of the file `defender`; ours is marked, and what stands before it is an archive by itself."""
    at = directory.start
    for _ in range(directory.count):
        if directory.end - at < _ENTRY.size or archive[at : at + 4] != _ENTRY_SIGNATURE:
            raise EmbedError("its central directory is damaged: make it anew")
        *_, name, extra, comment, _, _, _, offset = _ENTRY.unpack_from(archive, at)
        behind = at + _ENTRY.size + name
        if archive[at + _ENTRY.size : behind] == NAME:
            marked = archive[behind + extra : behind + extra + comment] == _MARK
            return _Found(offset, marked and _is_archive(archive[:offset]))
        at = behind + extra + comment
    return None


def _is_archive(data: bytes) -> bool:
    try:
        _directory(data)
    except EmbedError:
        return False
    return True
