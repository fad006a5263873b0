"""The folders of apps that are pushed to Cloud Foundry, and the Defender in them."""

import contextlib
import fnmatch
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bartizan.cli.failure import Failure

if TYPE_CHECKING:
    from bartizan.embed.json_text import Value

NAME = "defender"
_EXECUTABLE = 0o755
_PROCFILE_LIMIT = 1 << 20


class Folders:
    """Where the apps of a manifest lie: `--app-dir`, else the manifest's `path`, as `cf push` would find it.

    `path` counts from the manifest's directory, its absence means the working directory (cf CLI, "App manifest
    attribute reference", `path`). Raises `EmbedError` for a text that is no manifest.
    """

    def __init__(self, text: str, *, manifest: str, given: Sequence[str], variables: "Mapping[str, Value]") -> None:
        from bartizan.embed.cloud_foundry import app_folders  # noqa: PLC0415 - keeps `--help` quick

        self._apps = app_folders(text)
        self._base = Path() if manifest == "-" else Path(manifest).parent
        self._variables = variables
        self._given = self._read(given)

    def _read(self, given: Sequence[str]) -> dict[str, Path]:
        found = {}
        for option in given:
            name, equals, directory = option.partition("=")
            if equals and name in self.names:
                found[name] = Path(directory)
            elif len(self._apps) == 1:
                found[self.names[0]] = Path(option)
            else:
                raise Failure(f"`{option}` is not APP=DIR: the manifest has more than one app")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the apps; that of an app without one is empty."""
        return tuple(app.name for app in self._apps)

    @property
    def any_droplet(self) -> bool:
        """Whether any app is pushed as files rather than run from an image."""
        return any(app.image is None for app in self._apps)

    def images(self) -> Iterator[tuple[str, str]]:
        """Yield the images that apps run, as the manifest writes them and with their variables filled in."""
        from bartizan.embed.cloud_foundry import filled_in  # noqa: PLC0415 - keeps `--help` quick

        for app in self._apps:
            if app.image:
                yield app.image, filled_in(app.image, self._variables) or app.image

    def procfiles(self) -> dict[str, str]:
        """Return the Procfiles that lie beside apps, by app."""
        found = {}
        for app in self._apps:
            folder = self._known_folder(app.name, app.path) if app.image is None else None
            path = folder / "Procfile" if folder is not None else None
            if path is not None and path.is_file() and path.stat().st_size <= _PROCFILE_LIMIT:
                found[app.name] = path.read_text("utf-8", "replace")
        return found

    @contextlib.contextmanager
    def holding(
        self, content: bytes, apps: Mapping[str, str | None], *, known: Sequence[str], force: bool
    ) -> Iterator[None]:
        """Put the Defender `content` beside `apps`; when what is done then fails, take away what was new.

        A file of that name with another content is left alone and refused, unless its SHA-256 is `known` or `force`d.
        """
        places = self._places(apps)
        for app, path in places.items():
            if path.exists() and not force and _digest(path) not in {*known, hashlib.sha256(content).hexdigest()}:
                raise Failure(f"`{path}` is another file than the Defender of `{app}`: move it, or give --force")
        new = [path for path in dict.fromkeys(places.values()) if not path.exists()]
        try:
            for path in dict.fromkeys(places.values()):
                _write_program(path, content)
            yield
        except BaseException:
            for path in new:
                path.unlink(missing_ok=True)
            raise

    def take_away(self, apps: Mapping[str, str | None], digest: str) -> Iterator[str]:
        """Take the Defender of `digest` away from beside `apps`; yield what stays, and why."""
        for app, declared in apps.items():
            folder = self._known_folder(app, declared)
            path = folder / NAME if folder is not None else None
            if path is None:
                yield f"the Defender of `{app}` stays where it is: give --app-dir to take it away too"
            elif not path.is_file():
                continue
            elif digest and _digest(path) == digest:
                path.unlink()
            else:
                yield f"`{path}` stays: it is not the Defender that was put there"

    def faults(self, apps: Mapping[str, str | None], digest: str) -> Iterator[tuple[str, str]]:
        """Yield app and what is wrong with the Defender beside it; folders that cannot be known are passed over."""
        for app, declared in apps.items():
            folder = self._known_folder(app, declared)
            if folder is None or not folder.is_dir():
                continue
            path = folder / NAME
            if not path.is_file():
                yield app, f"there is no `{path}` for `{app}` to start under: protect the manifest again"
            elif digest and _digest(path) != digest:
                yield app, f"`{path}` is not the Defender that was put there: protect the manifest again"
            elif not os.access(path, os.X_OK):
                yield app, f"`{path}` cannot be executed: protect the manifest again"

    def _places(self, apps: Mapping[str, str | None]) -> dict[str, Path]:
        """Return where the Defender goes, by app. Raises Failure for a place where none can be."""
        places = {}
        for app, declared in apps.items():
            folder = self._known_folder(app, declared)
            if folder is None:
                raise Failure(f"the `path` of `{app}` has a variable: give --var, or --app-dir `{app}=DIR`")
            if folder.is_file():
                message = f"`{folder}` of `{app}` is an archive: unpack it, set `path` to the folder"
                raise Failure(f"{message}, and protect the manifest again")
            if not folder.is_dir():
                raise Failure(f"there is no folder `{folder}`, where the files of `{app}` should be: give --app-dir")
            if _is_ignored(folder):
                raise Failure(f"`{folder / '.cfignore'}` keeps `{NAME}` from being pushed: add a line `!{NAME}` to it")
            places[app] = folder / NAME
        return places

    def _known_folder(self, app: str, declared: str | None) -> Path | None:
        from bartizan.embed.cloud_foundry import filled_in  # noqa: PLC0415 - keeps `--help` quick

        if app in self._given:
            return self._given[app]
        if declared is None:
            return Path()
        path = filled_in(declared, self._variables)
        return None if path is None else self._base / path


def _is_ignored(folder: Path) -> bool:
    """Return whether a `.cfignore` keeps the Defender out (Cloud Foundry docs, "Ignore unnecessary files")."""
    path = folder / ".cfignore"
    ignored = False
    for line in path.read_text("utf-8", "replace").splitlines() if path.is_file() else ():
        pattern = line.strip()
        if fnmatch.fnmatchcase(NAME, pattern.removeprefix("!").removeprefix("/")) and not pattern.startswith("#"):
            ignored = not pattern.startswith("!")
    return ignored


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Failure(f"`{path}` cannot be read: {error.strerror}") from None


def _write_program(path: Path, content: bytes) -> None:
    """Write an executable whole or not at all."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(_EXECUTABLE)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise Failure(f"`{path}` cannot be written: {error.strerror}") from None
