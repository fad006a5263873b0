"""A Cloud Foundry manifest: its apps, and all that they start.

What cf CLI v7 and later read (docs, "App manifest attribute reference"), and what v6 did beside it: fields at the top
are inherited by each app, and a manifest without `applications` is one app.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bartizan.embed import yaml_text
from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.json_text import Document, Node, Object, Scalar, Value

Path = tuple[str | int, ...]
Kind = Literal["web", "process", "sidecar"]

_KEYS = (
    "buildpack buildpacks command disk_quota docker domain domains env health-check-type host hosts instances memory "
    "name no-hostname no-route path processes random-route routes services sidecars stack timeout"
)
_APP_KEYS = frozenset(_KEYS.split())
_NO_COMMAND = frozenset({"", "null", "default"})
"""What cf takes for "the buildpack's own" (cf CLI, `push -c`)."""


@dataclass(frozen=True, slots=True)
class Start:
    """One thing that an app starts: the command of its web process, of another process, or of a sidecar.

    `places` are the mappings that may hold its `command`: the last one that does counts. `line` is that command, None
    when the manifest leaves it to the buildpack. `key` is how people name it: `APP`, `APP/TYPE`,
    `APP/sidecar/NAME`.
    """

    key: str
    kind: Kind
    name: str
    places: tuple[Path, ...]
    line: str | None
    where: Where


@dataclass(frozen=True, slots=True)
class App:
    """One app: its value (merges resolved, inherited fields not), and where it stands."""

    name: str
    value: dict[str, Value]
    path: Path
    where: Where
    starts: tuple[Start, ...]

    @property
    def image(self) -> str | None:
        """The image that the app runs instead of a droplet."""
        docker = self.value.get("docker")
        image = docker.get("image") if isinstance(docker, dict) else None
        return str(image) if image is not None else ("" if docker is not None else None)

    @property
    def folder(self) -> str | None:
        """Where the app's files are, as `path` has it."""
        path = self.value.get("path")
        return None if path is None else str(path)

    @property
    def environment(self) -> dict[str, Value]:
        """What the app's `env` says."""
        env = self.value.get("env")
        return env if isinstance(env, dict) else {}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest read."""

    document: Document
    apps: tuple[App, ...]

    @property
    def value(self) -> dict[str, Value]:
        """The whole manifest."""
        root = self.document.root.value
        return root if isinstance(root, dict) else {}

    def node(self, path: Path) -> Node:
        """Return the node at a path of the value, or its nearest parent that the text spells out."""
        node = self.document.root
        for step in path:
            if isinstance(node, Object) and step in node.members:
                node = node.members[str(step)].node
            elif not isinstance(node, (Object, Scalar)) and isinstance(step, int):
                node = node.items[step]
            else:
                break
        return node

    def where(self, path: Path) -> Where:
        """Return the place of a path."""
        return self.document.where(self.node(path).start)


def read(text: str, locate: Callable[[int], Where] | None = None) -> Manifest:
    """Read a manifest; raise `EmbedError` with the place for a text that is none."""
    document = yaml_text.parse(text, locate)
    manifest = Manifest(document, ())
    if not isinstance(document.root, Object):
        raise EmbedError("this is no manifest: it must be a mapping with `applications`", manifest.where(()))
    apps = tuple(_app(manifest, path) for path in _app_paths(manifest))
    seen: set[str] = set()
    for start in (start for app in apps for start in app.starts):
        if start.key in seen:
            raise EmbedError(f"two things are called `{start.key}`: give each its own name", start.where)
        seen.add(start.key)
    return replace(manifest, apps=apps)


def _app_paths(manifest: Manifest) -> Iterator[Path]:
    value = manifest.value
    if "applications" not in value:
        if not _APP_KEYS & value.keys():
            raise EmbedError("this is no manifest of Cloud Foundry: it has no `applications`", manifest.where(()))
        yield ()
        return
    applications = value["applications"]
    if not isinstance(applications, list) or not applications:
        raise EmbedError("`applications` must be a list of apps", manifest.where(("applications",)))
    yield from (("applications", index) for index in range(len(applications)))


def _app(manifest: Manifest, path: Path) -> App:
    value = _at(manifest.value, path)
    if not isinstance(value, dict):
        raise EmbedError("an app must be a mapping", manifest.where(path))
    name = value.get("name")
    if name is not None and not isinstance(name, (str, int)):
        raise EmbedError("the `name` of an app must be text", manifest.where((*path, "name")))
    if value.get("env") is not None and not isinstance(value["env"], dict):
        raise EmbedError("`env` must be a mapping", manifest.where((*path, "env")))
    name = "" if name is None or isinstance(name, bool) else str(name)
    app = App(name, value, path, manifest.where(path), ())
    return replace(app, starts=tuple(_starts(manifest, app)))


def _starts(manifest: Manifest, app: App) -> Iterator[Start]:
    processes = list(_entries(manifest, app, "processes", "type"))
    web = next((path for name, path in processes if name == "web"), None)
    inherited: tuple[Path, ...] = ((),) if app.path else ()
    places = (*inherited, app.path, *([web] if web is not None else []))
    yield _start(manifest, app, "web", "web", places)
    for name, path in processes:
        if name != "web":
            yield _start(manifest, app, "process", name, (path,))
    for name, path in _entries(manifest, app, "sidecars", "name"):
        yield _start(manifest, app, "sidecar", name, (path,))


def _entries(manifest: Manifest, app: App, key: str, known_by: str) -> Iterator[tuple[str, Path]]:
    """Yield name and place of each process, or sidecar."""
    entries = app.value.get(key)
    if entries is None:
        return
    if not isinstance(entries, list):
        raise EmbedError(f"`{key}` must be a list", manifest.where((*app.path, key)))
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        path = (*app.path, key, index)
        name = entry.get(known_by) if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise EmbedError(f"each of the `{key}` needs a `{known_by}`", manifest.where(path))
        if name in seen:
            raise EmbedError(f"two of the `{key}` have the {known_by} `{name}`", manifest.where(path))
        seen.add(name)
        yield name, path


def _start(manifest: Manifest, app: App, kind: Kind, name: str, places: tuple[Path, ...]) -> Start:
    line: str | None = None
    where = manifest.where(places[-1])
    for path in places:
        holder = _at(manifest.value, path)
        command = holder.get("command") if isinstance(holder, dict) else None
        if command is None:
            continue
        if not isinstance(command, str):
            raise EmbedError("`command` must be text: put it in quotes", manifest.where((*path, "command")))
        if command.strip() not in _NO_COMMAND:
            line, where = command, manifest.where((*path, "command"))
    key = {"web": app.name, "process": f"{app.name}/{name}", "sidecar": f"{app.name}/sidecar/{name}"}[kind]
    return Start(key, kind, name, places, line, where)


def _at(value: Value, path: Path) -> Value:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
    return value


def with_value(value: Value, path: Path, key: str, new: Value) -> Value:
    """Return `value` with the member `key` of the mapping at `path` set to `new`, or taken out when that is `GONE`."""
    if not path:
        if not isinstance(value, dict):
            return value
        if new is GONE:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: new}
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(step, str) and step in value:
        return {**value, step: with_value(value[step], rest, key, new)}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return [*value[:step], with_value(value[step], rest, key, new), *value[step + 1 :]]
    return value


GONE: Value = {"": "gone"}


def command_at(value: Value, path: Path) -> str | None:
    """Return the command that the mapping at `path` gives, None when it gives none."""
    holder = _at(value, path)
    command = holder.get("command") if isinstance(holder, dict) else None
    return command if isinstance(command, str) and command.strip() not in _NO_COMMAND else None
