"""What is to be done to a manifest: which commands are wrapped, what each app's environment becomes."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bartizan.embed.cloud_foundry import start_command
from bartizan.embed.cloud_foundry.manifest import App, Kind, Manifest, Start, command_at, with_value
from bartizan.embed.cloud_foundry.procfile import read_procfile
from bartizan.embed.cloud_foundry.settings import OWN_ENVIRONMENT, ManifestSettings
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.launch import ImageConfig
from bartizan.embed.selection import listed
from bartizan.embed.waas_ports import WaasPort

FROM_MANIFEST, FROM_PROCFILE, FROM_OPTION, FROM_BEFORE = "manifest", "Procfile", "--command", "earlier protection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier protection, or one by hand, knew: lines by key and `DEFENDER_ID` by app."""

    lines: Mapping[str, str] = field(default_factory=dict)
    app_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What was looked up before: Procfiles by app, what images start by reference."""

    procfiles: Mapping[str, str]
    images: Mapping[str, ImageConfig]
    earlier: Earlier


@dataclass(frozen=True, slots=True)
class PlannedStart:
    """What happens to one start: left alone for the reason `skipped`, or run under the Defender."""

    start: Start
    line: str = ""
    origin: str = ""
    skipped: str | None = None
    migrated: bool = False


@dataclass(frozen=True, slots=True)
class PlannedApp:
    """What happens to one app; `app_id` is empty when nothing does."""

    app: App
    app_id: str
    starts: tuple[PlannedStart, ...]
    program: str = start_command.DEFENDER
    shell: start_command.Shell = "bash"
    port: WaasPort | None = None
    """where the firewall before its web process listens, and where that does itself"""

    def wrap(self, line: str, kind: Kind) -> str:
        """Return the command that runs `line`, of a start of that kind, under the app's Defender."""
        by_hand = start_command.unwrap_by_hand(line)
        port = self.port if kind == "web" else None
        own = by_hand.line if by_hand else line
        return start_command.wrap(own, program=self.program, shell=self.shell, port=port)


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to a manifest, and what it then says."""

    manifest: Manifest
    apps: tuple[PlannedApp, ...]
    desired: Value


def make(manifest: Manifest, known: Known, settings: ManifestSettings) -> Plan:
    """Plan the protection of a manifest that has none; raise `EmbedError` for what cannot be protected."""
    _check_names(manifest, settings)
    missing: list[Start] = []
    apps = [_app(app, known, settings, missing) for app in manifest.apps]
    if missing:
        raise _missing(missing, manifest)
    if not any(app.app_id for app in apps):
        raise EmbedError("nothing is left to protect: all that the manifest starts is excluded", manifest.where(()))
    desired: Value = manifest.value
    for planned in apps:
        desired = _with_commands(desired, planned)
        if planned.app_id:
            own = settings.environment(planned.app_id, planned.app.name)
            _check_environment(manifest, planned, own)
            env = {
                key: item for key, item in planned.app.environment.items() if key not in OWN_ENVIRONMENT or key in own
            }
            desired = with_value(desired, planned.app.path, "env", {**env, **own})
    return Plan(manifest, tuple(apps), desired)


def _check_names(manifest: Manifest, settings: ManifestSettings) -> None:
    keys = {start.key for app in manifest.apps for start in app.starts}
    for option, names in (
        ("include", settings.include),
        ("exclude", settings.exclude),
        ("command", settings.commands),
    ):
        for name in names:
            if name not in keys:
                raise EmbedError(f"nothing is called `{name}` ({option}): the manifest has {listed(sorted(keys))}")
    apps = [app.name for app in manifest.apps]
    for name in (*settings.app_ids, *settings.compat, *settings.waas_ports):
        if name not in apps and not (name == "" and len(apps) == 1):
            raise EmbedError(f"no app is called `{name}`: the manifest has {listed(apps)}")


def _app(app: App, known: Known, settings: ManifestSettings, missing: list[Start]) -> PlannedApp:
    reasons = {start.key: _skip_reason(app, start, settings) for start in app.starts}
    if None not in reasons.values():
        if app.name in settings.waas_ports:
            message = f"`{app.name}` is to have the firewall of port {settings.waas_ports[app.name]}, and is left alone"
            raise EmbedError(f"{message}: include it, or leave the port out", app.where)
        return PlannedApp(app, "", tuple(PlannedStart(start, skipped=reasons[start.key]) for start in app.starts))
    if app.image is not None and settings.image_defender is None:
        message = f"`{app.name}` runs an image, beside which no file can be put: build the Defender into the image "
        message += "(`bartizan app-embedded embed Dockerfile`), or say where the image has it (--image-defender)"
        raise EmbedError(message, app.where)
    if str(app.value.get("stack", "")).startswith("windows"):
        raise EmbedError(f"`{app.name}` runs on Windows, the Defender on Linux only: exclude it", app.where)
    starts = []
    for start in app.starts:
        found = None if reasons[start.key] else _line(app, start, known, settings)
        if found is not None:
            by_hand = start_command.unwrap_by_hand(found[0])
            line = by_hand.line if by_hand else found[0]
            starts.append(PlannedStart(start, line, found[1], migrated=by_hand is not None))
        elif reasons[start.key] is not None:
            starts.append(PlannedStart(start, skipped=reasons[start.key]))
        else:
            missing.append(start)
    app_id, port = _app_id(app, known.earlier, settings), settings.port(app.name)
    if port is not None and not any(start.kind == "web" and reasons[start.key] is None for start in app.starts):
        message = f"no web process of `{app.name}` is protected, before which the firewall of port {port} could stand"
        raise EmbedError(message, app.where)
    if app.image is not None and settings.image_defender is not None:
        return PlannedApp(app, app_id, tuple(starts), settings.image_defender, "/bin/sh", port)
    return PlannedApp(app, app_id, tuple(starts), port=port)


def _skip_reason(app: App, start: Start, settings: ManifestSettings) -> str | None:
    names = {app.name, start.key}
    if names & set(settings.exclude):
        return "excluded by name"
    if settings.include and not names & set(settings.include):
        return "not among the names to include"
    return None


def _line(app: App, start: Start, known: Known, settings: ManifestSettings) -> tuple[str, str] | None:
    """Return the shell line of a start and where it was learnt, None when nobody says."""
    given = settings.commands.get(start.key)
    if start.line is not None:
        if given is not None:
            message = f"`{start.key}` has a command of its own: change it there rather than by --command"
            raise EmbedError(message, start.where)
        return start.line, FROM_MANIFEST
    if given is not None:
        return given, FROM_OPTION
    procfile = read_procfile(known.procfiles.get(app.name, ""))
    if start.kind != "sidecar" and start.name in procfile:
        return procfile[start.name], FROM_PROCFILE
    image = known.images.get(app.image) if app.image else None
    if image is not None and start.kind == "web" and (image.entrypoint or image.cmd):
        return shlex.join([*image.entrypoint, *image.cmd]), image.origin
    before = known.earlier.lines.get(start.key)
    return (before, FROM_BEFORE) if before is not None else None


def _app_id(app: App, earlier: Earlier, settings: ManifestSettings) -> str:
    given = settings.app_ids.get(app.name) or settings.app_ids.get("")
    found = given or earlier.app_ids.get(app.name) or str(app.environment.get("DEFENDER_ID") or "") or app.name
    if not found:
        raise EmbedError("this app has no name for its Defender to be known by: give it one, or --app-id", app.where)
    return found


def _check_environment(manifest: Manifest, planned: PlannedApp, own: Mapping[str, Value]) -> None:
    """Raise `EmbedError` when the app has a use of its own for a variable of the Defender, which it would not see."""
    env = planned.app.environment
    if env.get("DEFENDER_TYPE") == "appEmbedded" or any(start.migrated for start in planned.starts):
        return
    for name, value in env.items():
        if name in OWN_ENVIRONMENT and str(value) != str(own.get(name)):
            message = (
                f"`{planned.app.name}` uses the variable `{name}` itself, which the Defender keeps from apps: rename it"
            )
            raise EmbedError(message, manifest.where((*planned.app.path, "env", name)))


def _with_commands(desired: Value, planned: PlannedApp) -> Value:
    for each in planned.starts:
        if each.skipped is not None:
            continue
        own = [path for path in each.start.places if path or not planned.app.path]
        holding = [path for path in own if command_at(desired, path) is not None]
        # A command that a process of the same type overrules is wrapped too: cf may be told to leave the process out.
        for path in holding or own[-1:]:
            line = command_at(desired, path) if path in holding[:-1] else each.line
            desired = with_value(desired, path, "command", planned.wrap(line or each.line, each.start.kind))
    return desired


def _missing(starts: Sequence[Start], manifest: Manifest) -> EmbedError:
    """Return the refusal of what starts nobody knows, with the way to learn it."""
    names = listed([start.key or "the app" for start in starts])
    verb, it = ("has", "it") if len(starts) == 1 else ("have", "them")
    options = " ".join(f"--command {shlex.quote(start.key + '=LINE')}" for start in starts[:_SHOWN])
    options += " …" if len(starts) > _SHOWN else ""
    image = next((app.image for app in manifest.apps if starts[0] in app.starts), None)
    inherit = " here (what `inherit` names is not looked at)" if "inherit" in manifest.value else ""
    if image is not None:
        message = f"{names} {verb} no command, so the image says what starts: give --image {image}=SOURCE, or {options}"
    else:
        message = (
            f"{names} {verb} no command{inherit}, so the buildpack chooses {it} at staging: give {options}; of an app "
            'that runs, `cf curl "/v3/apps/$(cf app NAME --guid)/droplets/current"` tells it under `process_types`'
        )
    return EmbedError(message, starts[0].where)


_SHOWN = 3
