"""What was done to a Dockerfile, for people."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileReport:
    """What was done to a Dockerfile, and what to mind."""

    app_id: str
    version: str
    stage: str
    """name of the protected stage, its number when it has none"""
    target: str | None
    """the stage that was asked for, None for the last one"""
    base: str
    """the image at the root of the stage"""
    data_folder: str
    architectures: tuple[str, ...]
    arguments: tuple[str, ...]
    """what is started under the Defender"""
    origin: str
    """where the entrypoint was found: `Dockerfile`, or where the image was looked up"""
    digest: str | None = None
    """of the image that was looked up"""
    user: str | None = None
    """as which user, None when only the base image could say"""
    moved_ports: tuple[str, ...] = ()
    """which ports the firewall takes, in words"""
    warnings: tuple[str, ...] = ()
    migrated_from: str | None = None
    upgraded_from: str | None = None
    unchanged: bool = False


def render_report(report: DockerfileReport) -> str:
    """Return the report as lines of text, for standard error."""
    started = json.dumps(list(report.arguments), ensure_ascii=False)
    digest = f" ({report.digest[:19]}…)" if report.digest else ""
    notes = [
        ("stage", f"{report.stage}, from {report.base}"),
        ("starts", f"{started}  from {report.origin}{digest}"),
        ("user", report.user or ("root" if report.user == "" else "as the base image says")),
        ("folder", report.data_folder),
        ("platform", ", ".join(f"linux/{architecture}" for architecture in report.architectures)),
    ]
    if report.migrated_from is not None:
        notes.append(("migrated", f"took out {report.migrated_from}"))
    notes += [("firewall", told) for told in report.moved_ports]
    notes += [("warning", warning) for warning in report.warnings]
    return "\n".join([_headline(report), "", *(f"  {label:<8}  {text}" for label, text in notes), ""])


def _headline(report: DockerfileReport) -> str:
    if report.unchanged:
        return f"{report.app_id}: the Dockerfile is already protected by Bartizan {report.version}: nothing changed"
    done = f"{report.app_id}: Dockerfile protected by Bartizan {report.version}"
    if report.upgraded_from is not None and report.upgraded_from != report.version:
        done += f", upgraded from {report.upgraded_from}"
    return done
