"""The files of apps that are pushed to Cloud Foundry, and the Defender among them."""

import contextlib
import fnmatch
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bartizan.cli.app_places import NAME, ArchivePlace, FolderPlace, Place
from bartizan.cli.failure import Failure

if TYPE_CHECKING:
    from bartizan.embed.json_text import Value


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
        """Return the Procfiles of apps, by app."""
        places = {app.name: self._place(app.name, app.path) for app in self._apps if app.image is None}
        return {name: place.procfile() for name, place in places.items() if place is not None}

    @contextlib.contextmanager
    def holding(
        self, content: bytes, apps: Mapping[str, str | None], *, known: Sequence[str], force: bool
    ) -> Iterator[None]:
        """Put the Defender `content` beside `apps`; when what is done then fails, take away what was new.

        A file of that name with another content is left alone and refused, unless its SHA-256 is `known` or `force`d.
        """
        places = self._places(apps)
        before = {place: place.digest() for place in places.values()}
        for app, place in places.items():
            if before[place] not in {None, *known, hashlib.sha256(content).hexdigest()} and not force:
                raise Failure(f"`{place.shown}` is another file than the Defender of `{app}`: move it, or give --force")
        try:
            for place in before:
                place.put(content)
            yield
        except BaseException:
            for place, found in before.items():
                if found is None:
                    place.take_away()
            raise

    def take_away(self, apps: Mapping[str, str | None], digest: str) -> Iterator[str]:
        """Take the Defender of `digest` away from beside `apps`; yield what stays, and why."""
        for app, declared in apps.items():
            place = self._place(app, declared)
            if place is None:
                yield f"the Defender of `{app}` stays where it is: give --app-dir to take it away too"
                continue
            found = place.digest()
            if found is not None and digest and found == digest:
                place.take_away()
            elif found is not None:
                yield f"`{place.shown}` stays: it is not the Defender that was put there"

    def faults(self, apps: Mapping[str, str | None], digest: str) -> Iterator[tuple[str, str]]:
        """Yield app and what is wrong with the Defender beside it; places that cannot be known are passed over."""
        for app, declared in apps.items():
            place = self._place(app, declared)
            if place is None:
                continue
            found = place.digest()
            if found is None:
                yield app, f"there is no `{place.shown}` for `{app}` to start under: protect the manifest again"
            elif digest and found != digest:
                yield app, f"`{place.shown}` is not the Defender that was put there: protect the manifest again"
            elif not place.is_executable():
                yield app, f"`{place.shown}` cannot be executed: protect the manifest again"

    def _places(self, apps: Mapping[str, str | None]) -> dict[str, Place]:
        """Return where the Defender goes, by app. Raises Failure for a place where none can be."""
        places = {}
        for app, declared in apps.items():
            place = self._place(app, declared)
            if place is None:
                folder = self._known_folder(app, declared)
                if folder is None:
                    raise Failure(f"the `path` of `{app}` has a variable: give --var, or --app-dir `{app}=DIR`")
                raise Failure(f"there is no `{folder}`, where the files of `{app}` should be: give --app-dir")
            if isinstance(place, FolderPlace) and _is_ignored(place.folder):
                ignoring = place.folder / ".cfignore"
                raise Failure(f"`{ignoring}` keeps `{NAME}` from being pushed: add a line `!{NAME}` to it")
            places[app] = place
        return places

    def _place(self, app: str, declared: str | None) -> Place | None:
        """Return where an app's files are, None when that is unknown or not there."""
        path = self._known_folder(app, declared)
        if path is None or not path.exists():
            return None
        return FolderPlace(path) if path.is_dir() else ArchivePlace(path)

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
