"""What was done to a manifest, for people."""

import re
from dataclasses import dataclass
from typing import Literal

from bartizan.embed.cloud_foundry import start_command
from bartizan.embed.cloud_foundry.plan import FROM_MANIFEST, Plan, PlannedApp
from bartizan.embed.cloud_foundry.procfile import read_procfile
from bartizan.embed.cloud_foundry.settings import ManifestSettings
from bartizan.embed.json_text import Value
from bartizan.embed.selection import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReport:
    """What was done to one start: left alone for the reason `skipped`, else run under the Defender."""

    key: str
    kind: Literal["web", "process", "sidecar"]
    skipped: str | None = None
    line: str = ""
    """the shell line that runs under the Defender"""
    origin: str = ""
    """where that was learnt"""
    shell: bool = False
    """a shell stays between the Defender and the program"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppReport:
    """What was done to one app; `app_id` is empty when nothing was.

    `path` is where its files are, as the manifest writes it; `image` tells that it runs an image instead.
    """

    name: str
    app_id: str
    path: str | None
    image: bool
    starts: tuple[StartReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestReport:
    """What was done to a manifest."""

    version: str
    apps: tuple[AppReport, ...]
    warnings: tuple[str, ...] = ()
    migrated: tuple[str, ...] = ()
    """keys of what ran under a Defender that was put there by hand"""
    moved_ports: tuple[str, ...] = ()
    """which ports the firewall takes, in words"""
    upgraded_from: str | None = None
    """the version of the protection that was there before"""
    unchanged: bool = False


def of(plan: Plan, settings: ManifestSettings, procfiles: dict[str, str]) -> ManifestReport:
    """Return the report on a plan."""
    return ManifestReport(
        version=settings.version,
        apps=tuple(_app(app) for app in plan.apps),
        warnings=tuple(_warnings(plan, settings, procfiles)),
        moved_ports=tuple(
            f"the Defender of `{app.name}` takes port {port.exposed}, its web process finds {port.app} in $PORT"
            for app, port in ((planned.app, planned.port) for planned in plan.apps)
            if port is not None
        ),
        migrated=tuple(each.start.key for app in plan.apps for each in app.starts if each.migrated),
    )


def _app(planned: PlannedApp) -> AppReport:
    starts = tuple(
        StartReport(key=each.start.key, kind=each.start.kind, skipped=each.skipped)
        if each.skipped is not None
        else StartReport(
            key=each.start.key,
            kind=each.start.kind,
            line=each.line,
            origin=each.origin,
            shell=start_command.runs_shell(planned.wrap(each.line, each.start.kind)),
        )
        for each in planned.starts
    )
    app = planned.app
    return AppReport(name=app.name, app_id=planned.app_id, path=app.folder, image=app.image is not None, starts=starts)


def _warnings(plan: Plan, settings: ManifestSettings, procfiles: dict[str, str]) -> list[str]:
    found = []
    if settings.install_bundle is not None:
        found.append(
            "the install bundle can be read in the manifest, and whoever reads it can enrol Defenders: "
            "keep the file to yourself, or give --bundle-var NAME"
        )
    if "inherit" in plan.manifest.value:
        found.append("what `inherit` names is not looked at: cf reads it up to version 6 only, so write it out")
    top = plan.manifest.value.get("command")
    if isinstance(top, str) and "applications" in plan.manifest.value:
        found.append("cf reads the `command` at the top up to version 6 only: its apps have one of their own now")
    for planned in plan.apps:
        if planned.app_id:
            found += _of_app(planned, read_procfile(procfiles.get(planned.app.name, "")))
    return found


_PLATFORM_PORT = 8080
"""what Cloud Foundry has in $PORT, unless a route names another (CF developer guide, "Configuring routes")"""


def _of_port(planned: PlannedApp) -> list[str]:
    """Return what may keep clients from the firewall, or lead around it."""
    port = planned.port
    if port is None:
        return []
    name = planned.app.name
    way = f"no network policy may open port {port.app} of `{name}` to other apps: that leads around the firewall"
    found = [way]
    if port.exposed != _PLATFORM_PORT:
        found.append(
            f"routes of `{name}` go to port {_PLATFORM_PORT} unless they say other: see that they go to {port.exposed}"
        )
    lines = [each.line for each in planned.starts if each.start.kind == "web"]
    if any(re.search(rf"(?<!\d){port.exposed}(?!\d)", line) for line in lines):
        found.append(f"the command of `{name}` names port {port.exposed} itself: let it listen on $PORT")
    return found


def _of_app(planned: PlannedApp, procfile: dict[str, str]) -> list[str]:
    app = planned.app
    found = []
    shells = [
        each.start.key
        for each in planned.starts
        if each.skipped is None and start_command.runs_shell(planned.wrap(each.line, each.start.kind))
    ]
    found += _of_port(planned)
    if shells:
        has = "is no simple command" if len(shells) == 1 else "are no simple commands"
        found.append(f"{listed(shells)} {has}: `{planned.shell}` runs what it says, so no rule may deny that")
    others = [name for name in procfile if name not in {each.start.name for each in planned.starts}]
    if others:
        found.append(
            f"{listed([f'{app.name}/{name}' for name in others])} in the Procfile "
            "runs unprotected when it is scaled up: name it under `processes:`"
        )
    buildpacks = [
        app.value.get("buildpack"),
        *(list(packs) if isinstance(packs := app.value.get("buildpacks"), list) else []),
    ]
    if any(isinstance(each, str) and "staticfile" in each for each in buildpacks):
        found.append(
            f"the static file buildpack moves what lies beside `{app.name}` to `public/`: "
            "name a `root:` in its Staticfile, so that `./defender` stays"
        )
    return found


def report_value(report: ManifestReport) -> dict[str, Value]:
    """Return a report as plain JSON, with the names of the API."""
    plain = _plain(report)
    return plain if isinstance(plain, dict) else {}


def _plain(value: object) -> Value:
    if isinstance(value, (ManifestReport, AppReport, StartReport)):
        return {_camel(name): _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, bool)) else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def render_report(report: ManifestReport) -> str:
    """Return the report as lines of text, for standard error."""
    lines = []
    for app in report.apps:
        lines.append(f"{app.name or 'the app'}: {_done(app, report)}")
        widths = max(len(start.key) for start in app.starts)
        for start in app.starts:
            if start.skipped is not None:
                lines.append(f"  - {start.key:<{widths}}  skipped: {start.skipped}")
            else:
                origin = "" if start.origin == FROM_MANIFEST else f"  from {start.origin}"
                lines.append(f"  ✓ {start.key:<{widths}}  {_short(start.line)}{origin}")
    notes = [("migrated", f"{listed(report.migrated)} ran under another Defender")] if report.migrated else []
    notes += [("firewall", told) for told in report.moved_ports]
    notes += [("warning", warning) for warning in report.warnings]
    if notes:
        lines += ["", *(f"  {label:<8}  {text}" for label, text in notes)]
    return "\n".join([*lines, ""])


def _done(app: AppReport, report: ManifestReport) -> str:
    if not app.app_id:
        return "left as it is"
    known = f", its Defender known as `{app.app_id}`"
    if report.unchanged:
        return f"is already protected by Bartizan {report.version}: nothing changed"
    if report.upgraded_from is not None and report.upgraded_from != report.version:
        return f"protected by Bartizan {report.version}, upgraded from {report.upgraded_from}{known}"
    return f"protected by Bartizan {report.version}{known}"


def _short(text: str, limit: int = 60) -> str:
    line = " ⏎ ".join(text.splitlines())
    return line if len(line) <= limit else line[: limit - 1] + "…"
