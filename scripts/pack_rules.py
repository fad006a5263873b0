"""Packs a rule set into one file: `pack_rules.py FOLDER PACK`.

FOLDER is what scripts/rules.sh makes; PACK is what the Defender's build takes in. The same files give the same bytes,
and a pack that has them already is left alone, so that nothing is built anew.

A pack is the line `bartizan-rules 1`, then one zlib stream (RFC 1950) of entries: the name's length (u16), the name,
the text's length (u32), the text; numbers are big endian. Files of rules come in the order in which they are loaded.
"""

import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"bartizan-rules 1\n"


def main() -> None:
    """Write the pack and print its sizes."""
    folder, pack = Path(sys.argv[1]), Path(sys.argv[2])
    plain = b"".join(entry(name, path.read_bytes()) for name, path in files(folder))
    packed = MAGIC + zlib.compress(plain, 9)
    if not pack.is_file() or pack.read_bytes() != packed:
        write(pack, packed)
    print(f"rules: {folder.name}, {len(list(files(folder)))} files, {len(plain):,} bytes, packed {len(packed):,}")


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that a Defender needs, with its name in the pack: settings, rules, their words, their licence."""
    yield "crs-setup.conf", folder / "setup.conf"
    for suffix in (".conf", ".data"):
        for path in sorted((folder / "rules").glob(f"*{suffix}")):
            yield path.name, path
    yield "LICENSE", folder / "LICENSE"
    yield "VERSION", folder / "version"


def entry(name: str, text: bytes) -> bytes:
    """One file as it stands in the pack."""
    called = name.encode()
    return struct.pack(">H", len(called)) + called + struct.pack(">I", len(text)) + text


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o644)
    Path(temporary).replace(path)


if __name__ == "__main__":
    main()
