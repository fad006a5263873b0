"""Where the Defender of an app of Cloud Foundry lies: in a folder, or in the archive that is pushed."""

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from bartizan.cli.failure import Failure
from bartizan.cli.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
NAME = "defender"
PROCFILE = "Procfile"
_EXECUTABLE = 0o755
_PROCFILE_LIMIT = 1 << 20


class Place(Protocol):
    """A place that can hold the Defender. All methods raise Failure for files that cannot be read or written."""

    @property
    def shown(self) -> str:
        """How people call the file."""
        ...

    def digest(self) -> str | None:
        """Return the SHA-256 of what is called `defender` there, None when nothing is."""
        ...

    def is_executable(self) -> bool:
        """Return whether what is there can be started."""
        ...

    def put(self, content: bytes) -> None:
        """Put the Defender there, whole or not at all, in place of what is."""
        ...

    def take_away(self) -> None:
        """Take away what is called `defender` there."""
        ...

    def procfile(self) -> str:
        """Return the Procfile there, empty when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder whose files are pushed."""

    folder: Path

    @property
    def shown(self) -> str:
        """How people call the file."""
        return str(self.folder / NAME)

    def digest(self) -> str | None:
        """Return the SHA-256 of the file."""
        path = self.folder / NAME
        return hashlib.sha256(_read(path)).hexdigest() if path.exists() else None

    def is_executable(self) -> bool:
        """Return whether the file has that mode."""
        return os.access(self.folder / NAME, os.X_OK)

    def put(self, content: bytes) -> None:
        """Write the file with mode 0755."""
        write_bytes(str(self.folder / NAME), content, mode=_EXECUTABLE)

    def take_away(self) -> None:
        """Remove the file."""
        (self.folder / NAME).unlink(missing_ok=True)

    def procfile(self) -> str:
        """Return the Procfile beside it."""
        path = self.folder / PROCFILE
        return path.read_text("utf-8", "replace") if path.is_file() and path.stat().st_size <= _PROCFILE_LIMIT else ""


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """An archive that is pushed as it is (JAR, WAR, ZIP)."""

    path: Path

    @property
    def shown(self) -> str:
        """How people call the file."""
        return f"{NAME} in {self.path}"

    def digest(self) -> str | None:
        """Return the SHA-256 of the Defender that we put there."""
        from bartizan.embed.cloud_foundry import defender_in  # noqa: PLC0415 - keeps `--help` quick

        found = self._of(defender_in)
        return None if found is None else hashlib.sha256(found).hexdigest()

    def is_executable(self) -> bool:
        """Return whether the file has that mode: ours always does."""
        return self.digest() is not None

    def put(self, content: bytes) -> None:
        """Write the archive with the Defender in it."""
        from bartizan.embed.cloud_foundry import with_defender  # noqa: PLC0415 - keeps `--help` quick

        write_bytes(str(self.path), self._of(lambda archive: with_defender(archive, content)))

    def take_away(self) -> None:
        """Write the archive as it was before."""
        from bartizan.embed.cloud_foundry import without_defender  # noqa: PLC0415 - keeps `--help` quick

        write_bytes(str(self.path), self._of(without_defender))

    def procfile(self) -> str:
        """Return the Procfile inside."""
        try:
            with zipfile.ZipFile(io.BytesIO(_read(self.path))) as archive:
                if PROCFILE not in archive.namelist() or archive.getinfo(PROCFILE).file_size > _PROCFILE_LIMIT:
                    return ""
                return archive.read(PROCFILE).decode("utf-8", "replace")
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError):
            return ""

    def _of(self, look: "Callable[[bytes], T]") -> T:
        from bartizan.embed import EmbedError  # noqa: PLC0415 - keeps `--help` quick

        try:
            return look(_read(self.path))
        except EmbedError as error:
            raise Failure(f"the Defender cannot be put into `{self.path}`: {error.message}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"`{path}` cannot be read: {error.strerror}") from None
