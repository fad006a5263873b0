"""What was done to a definition, for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bartizan.embed.json_text import Value

SIZE_LIMIT = 65_536
"""Bytes of JSON that RegisterTaskDefinition takes (ECS developer guide, "Amazon ECS service quotas")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerReport:
    """What was done to one container: wrapped when `skipped` is None, else left alone for that reason."""

    name: str
    image: str
    skipped: str | None = None
    arguments: tuple[str, ...] = ()
    """what it starts under the Defender"""
    origin: str = ""
    """where that was learnt"""
    digest: str | None = None
    """of which image, when the image was asked"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done to a definition. Sizes are bytes of JSON without blanks, as clients send it to AWS."""

    family: str
    app_id: str
    version: str
    sidecar: str
    sidecar_image: str
    containers: tuple[ContainerReport, ...]
    removed_fields: tuple[str, ...]
    warnings: tuple[str, ...]
    bytes_before: int
    bytes_after: int
    iam_statement: Mapping[str, Value] | None
    """what the task's execution role must be allowed, when the bundle travels by reference"""
    migrated_from: str | None = None
    """the vendor's sidecar that was taken out"""
    moved_ports: tuple[str, ...] = ()
    """which ports went to the sidecar, where the firewall listens, in words"""
    upgraded_from: str | None = None
    """the version of the protection that was there before"""
    unchanged: bool = False
    logical_id: str = ""
    """what the template calls it"""
    skipped: str | None = None
    """why it was left as it is, when a template has others"""


def privileged_warning(container: str, programs: Sequence[str]) -> str:
    """Return what to tell people of a container whose image has `programs` that gain rights, which they do not now."""
    listed = ", ".join(programs[:_MOST_PROGRAMS]) + (", …" if len(programs) > _MOST_PROGRAMS else "")
    return (
        f"`{container}` has programs that gain rights, and under the Defender they do not: {listed}; "
        f"if the application needs one, choose the compat tier for `{container}`"
    )


_MOST_PROGRAMS = 5


def render_report(report: Report) -> str:
    """Return the report as lines of text, for standard error."""
    lines = [_headline(report)]
    if report.skipped is not None:
        return lines[0] + "\n"
    rows = [_row(container) for container in report.containers]
    rows.append(("+", report.sidecar, report.sidecar_image, "sidecar"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for mark, name, image, rest in rows:
        lines.append(f"  {mark} {name:<{widths[1]}}  {image:<{widths[2]}}  {rest}".rstrip())
    notes = [("app id", report.app_id)]
    if report.migrated_from is not None:
        notes.append(("migrated", f"took out `{report.migrated_from}` and its wraps"))
    notes += [("firewall", told) for told in report.moved_ports]
    if report.removed_fields:
        notes.append(("removed", f"{', '.join(report.removed_fields)}: AWS fills these in and takes them from nobody"))
    notes += [("warning", warning) for warning in report.warnings]
    if report.iam_statement is not None:
        notes.append(("allow", f"the execution role needs {json.dumps(report.iam_statement)}"))
    notes.append(("size", f"{report.bytes_before:,} → {report.bytes_after:,} of {SIZE_LIMIT:,} bytes"))
    return "\n".join([*lines, "", *(f"  {label:<8}  {text}" for label, text in notes), ""])


def report_value(report: Report) -> dict[str, Value]:
    """Return a report as plain JSON, with the names of the API."""
    value: dict[str, Value] = {}
    for name in report.__dataclass_fields__:
        value[_camel(name)] = _plain(getattr(report, name))
    return value


def _plain(value: object) -> Value:
    if isinstance(value, ContainerReport):
        return {_camel(name): _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, bool)) else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def size(value: Value) -> int:
    """Return the bytes of a value as clients send it: JSON without blanks, UTF-8."""
    try:
        return len(msgspec.json.encode(value))
    except UnicodeEncodeError:  # half a surrogate pair, which clients send as an escape
        return len(json.dumps(value, separators=(",", ":")))


def _headline(report: Report) -> str:
    wrapped = sum(container.skipped is None for container in report.containers)
    if report.skipped is not None:
        return f"{_called(report)}: left as it is: {report.skipped}"
    if report.unchanged:
        done = f"is already protected by Bartizan {report.version}: nothing changed"
    elif report.upgraded_from is not None and report.upgraded_from != report.version:
        done = f"protected by Bartizan {report.version}, upgraded from {report.upgraded_from}"
    else:
        done = f"protected by Bartizan {report.version}"
    return f"{_called(report)}: {done} ({wrapped} of {len(report.containers)} containers wrapped)"


def _called(report: Report) -> str:
    same = report.logical_id in {"", report.family}
    return report.family if same else f"{report.logical_id} (family {report.family})"


def _row(container: ContainerReport) -> tuple[str, str, str, str]:
    if container.skipped is not None:
        return "-", container.name, container.image, f"skipped: {container.skipped}"
    digest = f" ({container.digest[:19]}…)" if container.digest and len(container.digest) > 20 else ""  # noqa: PLR2004
    started = json.dumps(list(container.arguments), ensure_ascii=False)
    return "✓", container.name, container.image, f"{_short(started)}  from {container.origin}{digest}"


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
