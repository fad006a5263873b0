"""Whether a Dockerfile is protected, for a gate in front of a build."""

from collections.abc import Iterator
from typing import cast, get_args

from bartizan.embed.dockerfile import shell_words, undo
from bartizan.embed.dockerfile.model import Dockerfile, Stage, pairs, read
from bartizan.embed.dockerfile.options import ARCHITECTURES, DockerfileSettings
from bartizan.embed.dockerfile.protect import protect
from bartizan.embed.dockerfile.scope import lineage
from bartizan.embed.dockerfile.undo import Embedding
from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.options import FailMode
from bartizan.embed.verify import Finding


def verify(text: str, *, version: str, settings: DockerfileSettings | None = None) -> list[Finding]:
    """Return what keeps a Dockerfile from being protected by `version`; an empty list is good.

    What stands in the file must be what `protect` makes of it now: with the values that its block has, and with
    `settings` when they are given. Raises `EmbedError` for a text that is no Dockerfile.
    """
    file = read(text)
    found = undo.find(file.source)
    if found is None:
        stage = lineage(file, settings).stage if settings is not None else file.stages[-1]
        message = f"stage {stage.label} runs unprotected: protect the Dockerfile"
        return [Finding("unprotected", message, file.where(stage.start), stage.name)]
    stage = _stage(file, found)
    where = file.source.where(found.start)
    if found.version != version:
        message = f"protected by version `{found.version}`, not `{version}`: protect it again"
        return [Finding("stale", message, where, stage.name)]
    findings = list(_against(text, stage, _settings(file, found), "tampered", where))
    if not findings and settings is not None:
        findings += _against(text, stage, settings, "stale", where)
    return findings


def _stage(file: Dockerfile, found: Embedding) -> Stage:
    return next((one for one in reversed(file.stages) if one.start.start < found.start), file.stages[0])


def _settings(file: Dockerfile, found: Embedding) -> DockerfileSettings | EmbedError:
    """Return the settings that the block was made with, or why they cannot be told."""
    inside = [item for item in file.source.instructions if found.start < item.start < found.end]
    values: dict[str, str] = {}
    added = ""
    try:
        for item in inside:
            if item.keyword == "ENV":
                for name, value in pairs(item, file.source.escape):
                    values[name] = shell_words.expand(value or "", {}, escape=file.source.escape)
            elif item.keyword == "ADD":
                added = item.arguments
        architecture = next((name for name in ARCHITECTURES if f"-{name}.tar" in added), None)
        fail_mode = values.get("DEFENDER_FAIL_MODE", "")
        return DockerfileSettings(
            app_id=values.get("DEFENDER_APP_ID", ""),
            install_bundle=values.get("INSTALL_BUNDLE", ""),
            version=found.version,
            ws_address=values.get("WS_ADDRESS", ""),
            data_folder=values.get("DATA_FOLDER", ""),
            filesystem_monitoring=values.get("FILESYSTEM_MONITORING") == "true",
            fail_mode=cast("FailMode", fail_mode if fail_mode in get_args(FailMode) else ""),
            target=found.record.target,
            build_args=found.record.build_args,
            architecture=architecture,
            compat=values.get("DEFENDER_TIER") == "compat",
            allow_32bit=values.get("DEFENDER_ALLOW_32BIT") == "true",
            waas_ports=tuple(filter(None, values.get("DEFENDER_WAAS_PORTS", "").split(","))),
            migrate=True,
        )
    except shell_words.SubstitutionError as error:
        return EmbedError(str(error))
    except EmbedError as error:
        return error


def _against(
    text: str, stage: Stage, settings: DockerfileSettings | EmbedError, code: str, where: Where
) -> Iterator[Finding]:
    """Find what `protect` would change today."""
    try:
        if isinstance(settings, EmbedError):
            raise settings
        wanted = protect(text, image=None, settings=settings).text
    except EmbedError as error:
        message = f"what the Defender needs is not as it was put in: {error.message}: protect it again"
        yield Finding("tampered" if code == "tampered" else "stale", message, error.where or where, stage.name)
        return
    now, then = undo.without_record(text), undo.without_record(wanted)
    number = next((had[0] for had, wants in zip(now, then, strict=False) if had[1] != wants[1]), None)
    if number is None and len(now) != len(then):
        number = now[-1][0]
    if number is None:
        return
    if code == "tampered":
        message = f"line {number} is not as `protect` leaves it: protect it again"
        yield Finding("tampered", message, Where(number, 1), stage.name)
    else:
        message = f"these settings would change it from line {number} on: protect it again"
        yield Finding("stale", message, Where(number, 1), stage.name)
