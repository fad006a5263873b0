"""The Defender as a tarball, the same bytes each time."""

import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 18
_GZIP = 31  # zlib manual, inflateInit2/deflateInit2: 15 bits of window, plus 16 for a gzip header


def defender_tarball(binary: Path) -> Iterator[bytes]:
    """Yield a gzipped tar archive with the one file `defender` (0755); times and owners are zero."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    with binary.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        header = tarfile.TarInfo("defender")
        header.size, header.mode = size, 0o755
        yield packer.compress(header.tobuf(tarfile.USTAR_FORMAT))
        left = size
        while left > 0:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                raise OSError(f"`{binary}` became shorter while it was read")
            left -= len(chunk)
            yield packer.compress(chunk)
    padding = -size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE
    yield packer.compress(bytes(padding)) + packer.flush()
