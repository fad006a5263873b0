"""Protecting a Dockerfile, and taking the protection out again."""

from dataclasses import dataclass, replace

from bartizan.embed import edit
from bartizan.embed.dockerfile import lint, platforms, start, transform, undo
from bartizan.embed.dockerfile.model import Dockerfile, read
from bartizan.embed.dockerfile.options import DockerfileSettings
from bartizan.embed.dockerfile.report import DockerfileReport
from bartizan.embed.dockerfile.scope import SCRATCH, lineage
from bartizan.embed.dockerfile.transform import Plan
from bartizan.embed.dockerfile.undo import Embedding, ImageRecord, Record
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.launch import ImageConfig

FROM_FILE = "Dockerfile"


@dataclass(frozen=True, slots=True)
class DockerfileProtection:
    """A protected Dockerfile: the edits of the text given, their result, and what to tell people."""

    edits: tuple[Edit, ...]
    text: str
    report: DockerfileReport
    architectures: tuple[str, ...]
    """those the archive must have a Defender for"""


def needed_image(text: str, *, settings: DockerfileSettings) -> str | None:
    """Return the base image that must be known to say what the stage starts, variables replaced; None when none must.

    An image that an earlier protection recorded is named too, for its tag may have moved since; `protect` goes by the
    record when it is not given. Raises as `protect` does.
    """
    file, _, _ = _original(text)
    line = lineage(file, settings)
    platforms.platform(file, line, None, settings)
    found = start.start(file, line, None)
    return line.base if found.needs_image and line.base != SCRATCH else None


def protect(text: str, *, image: ImageConfig | None, settings: DockerfileSettings) -> DockerfileProtection:
    """Protect a stage of the Dockerfile `text`.

    `image` is what the image named by `needed_image` says; without it the default shell is assumed where only the shell
    is unknown. A file that is protected already is upgraded in place; when it is up to date there are no edits. Raises
    `EmbedError` for what cannot be protected.
    """
    file, back, earlier = _original(text)
    plan, known = _plan(file, image, settings, earlier)
    forward = _edits(plan, known)
    result = edit.apply(file.text, forward)
    report = _report(plan, known)
    if earlier is None:
        return DockerfileProtection(forward, result, report, plan.platform.architectures)
    if result == text:
        report = replace(report, unchanged=True)
    return DockerfileProtection(
        edit.compose(text, back, forward),
        result,
        replace(report, upgraded_from=earlier.version),
        plan.platform.architectures,
    )


def unprotect(text: str) -> str:
    """Return the Dockerfile as it was before `protect`, byte for byte when it has not been touched since.

    A file that was changed since keeps its changes and only loses the protection. Raises `EmbedError` when there is no
    protection to take out.
    """
    file = read(text)
    earlier = undo.find(file.source)
    if earlier is None:
        raise EmbedError("this Dockerfile carries no protection: it has no block of Bartizan")
    return edit.apply(text, undo.back(file.source, earlier))


def _original(text: str) -> tuple[Dockerfile, tuple[Edit, ...], Embedding | None]:
    """Return the file without an earlier protection, the edits that take that out, and what it was."""
    file = read(text)
    earlier = undo.find(file.source)
    if earlier is None:
        return file, (), None
    back = undo.back(file.source, earlier)
    return read(edit.apply(text, back)), back, earlier


def _plan(
    file: Dockerfile, image: ImageConfig | None, settings: DockerfileSettings, earlier: Embedding | None
) -> tuple[Plan, ImageConfig | None]:
    line = lineage(file, settings)
    if image is None and earlier is not None and earlier.record.image is not None:
        image = earlier.record.image.config() if earlier.record.image.base == line.base else None
    platform = platforms.platform(file, line, image, settings)
    found = start.start(file, line, image)
    plan = Plan(file, line, found, platform, settings)
    if found.entrypoint.argv is None or (found.cmd_is_lost and found.cmd.argv is None):
        message = f"what the image `{line.base}` starts is not known, and stage {line.stage.label} does not say all"
        raise EmbedError(f"{message}: give the image's entrypoint", file.where(line.stages[0].start))
    if not plan.arguments:
        message = f"stage {line.stage.label} starts nothing: neither it nor the image `{line.base}` says what"
        raise EmbedError(f"{message}: add an `ENTRYPOINT`", file.where(line.stage.start))
    needed = start.start(file, line, None).needs_image and line.base != SCRATCH
    return plan, image if needed else None


def _edits(plan: Plan, image: ImageConfig | None) -> tuple[Edit, ...]:
    """Return the edits of the plan with the way back in them."""
    bare = transform.edits(plan, "")
    wrapped = transform.wrap(plan)
    text = plan.file.text
    record = Record(
        digest=undo.digest(edit.apply(text, bare)),
        edits=[(one.start, one.end, one.replacement) for one in edit.reverse(text, bare)],
        entrypoint=(wrapped.now, wrapped.then) if wrapped else None,
        image=_image_record(plan.line.base, image) if image is not None else None,
        target=plan.settings.target,
    )
    return transform.edits(plan, undo.encode(record))


def _image_record(base: str, image: ImageConfig) -> ImageRecord:
    return ImageRecord(
        base,
        list(image.entrypoint),
        list(image.cmd),
        image.origin,
        image.digest,
        image.user,
        list(image.shell),
        list(image.volumes),
        list(image.on_build),
        image.os,
    )


def _report(plan: Plan, image: ImageConfig | None) -> DockerfileReport:
    return DockerfileReport(
        app_id=plan.settings.app_id,
        version=plan.settings.version,
        stage=plan.line.stage.name or str(plan.line.stage.index),
        base=plan.line.base,
        data_folder=plan.settings.data_folder,
        architectures=plan.platform.architectures,
        arguments=plan.arguments,
        origin=image.origin if image is not None else FROM_FILE,
        digest=image.digest if image is not None else None,
        user=plan.start.user,
        warnings=tuple(lint.warnings(plan)),
    )
