"""Protecting a Dockerfile, and taking the protection out again."""

from dataclasses import dataclass, replace

from bartizan.embed import edit
from bartizan.embed.dockerfile import exposure, lint, platforms, start, transform, undo, vendor
from bartizan.embed.dockerfile.model import Dockerfile, read
from bartizan.embed.dockerfile.options import DockerfileSettings
from bartizan.embed.dockerfile.report import DockerfileReport
from bartizan.embed.dockerfile.scope import SCRATCH, Lineage, lineage
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


@dataclass(frozen=True, slots=True)
class _Given:
    """The Dockerfile given, the edits that take out what it carries already, and the file that these leave."""

    text: str
    back: tuple[Edit, ...]
    """from `text` to `before`"""
    before: str
    """the file as it was before an earlier protection"""
    removal: tuple[Edit, ...]
    """from `before` to `original`"""
    original: Dockerfile
    """without another Defender"""
    earlier: Embedding | None
    migrated_from: str | None


def needed_image(text: str, *, settings: DockerfileSettings) -> str | None:
    """Return the base image that must be known to say what the stage starts, variables replaced; None when none must.

    An image that an earlier protection recorded is named too, for its tag may have moved since; `protect` goes by the
    record when it is not given. Raises as `protect` does.
    """
    original = _given(text, settings).original
    line = lineage(original, settings)
    platforms.platform(original, line, None, settings)
    return line.base if _needs_image(original, line) else None


def build_architectures(text: str, *, settings: DockerfileSettings) -> tuple[str, ...]:
    """Return the architectures the stage may be built for; the base image is to be looked up for the first.

    Raises as `protect` does.
    """
    original = _given(text, settings).original
    return platforms.platform(original, lineage(original, settings), None, settings).architectures


def protect(text: str, *, image: ImageConfig | None, settings: DockerfileSettings) -> DockerfileProtection:
    """Protect a stage of the Dockerfile `text`.

    `image` is what the image named by `needed_image` says; without it the default shell is assumed where only the shell
    is unknown. A file that is protected already is upgraded in place; when it is up to date there are no edits. Raises
    `EmbedError` for what cannot be protected.
    """
    given = _given(text, settings)
    plan, known = _plan(given, image, settings)
    record, edits = _edits(given, plan, known)
    result = edit.apply(text, edits)
    report = _report(given, plan, known)
    if given.earlier is not None and _is_same(text, result, given.earlier.record, record):
        edits, result, report = (), text, replace(report, unchanged=True)
    return DockerfileProtection(edits, result, report, plan.platform.architectures)


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


def _given(text: str, settings: DockerfileSettings) -> _Given:
    file = read(text)
    earlier = undo.find(file.source)
    back = undo.back(file.source, earlier) if earlier is not None else ()
    original = read(edit.apply(text, back)) if back else file
    line = lineage(original, settings)
    other = vendor.traces(original, line)
    if other is None:
        return _Given(text, back, original.text, (), original, earlier, None)
    name, shown_by = other
    if not settings.migrate:
        message = f"this file carries {name}: take it out, or ask for it to be migrated"
        raise EmbedError(message, original.where(shown_by))
    removal = vendor.removal(original, line)
    return _Given(text, back, original.text, removal, read(edit.apply(original.text, removal)), earlier, name)


def _needs_image(file: Dockerfile, line: Lineage) -> bool:
    return line.base != SCRATCH and start.start(file, line, None).needs_image


def _plan(given: _Given, image: ImageConfig | None, settings: DockerfileSettings) -> tuple[Plan, ImageConfig | None]:
    """Return what to do, and what the base image says when that matters."""
    file = given.original
    line = lineage(file, settings)
    record = given.earlier.record.image if given.earlier is not None else None
    if image is None and record is not None and record.base == line.base:
        image = record.config()
    platform = platforms.platform(file, line, image, settings)
    found = start.start(file, line, image)
    plan = Plan(file, line, found, platform, settings)
    if found.entrypoint.argv is None or (found.cmd_is_lost and found.cmd.argv is None):
        message = f"what the image `{line.base}` starts is not known, and stage {line.stage.label} does not say all"
        raise EmbedError(f"{message}: let it be looked up, or add `ENTRYPOINT`", file.where(line.stages[0].start))
    if not plan.arguments:
        message = f"stage {line.stage.label} starts nothing: neither it nor the image `{line.base}` says what"
        raise EmbedError(f"{message}: add an `ENTRYPOINT`", file.where(line.stage.start))
    return plan, image if _matters(plan) else None


def _matters(plan: Plan) -> bool:
    """Return whether what the base image says makes a difference to what is started."""
    unknown = start.start(plan.file, plan.line, None)
    said, assumed = ((one.entrypoint.argv, one.cmd.argv) for one in (plan.start, unknown))
    return plan.line.base != SCRATCH and (unknown.needs_image or said != assumed)


def _edits(given: _Given, plan: Plan, image: ImageConfig | None) -> tuple[Record, tuple[Edit, ...]]:
    """Return the record and the edits of the file given, with that record in them."""
    bare = edit.compose(given.before, given.removal, transform.edits(plan, ""))
    wrapped = transform.wrap(plan)
    record = Record(
        digest=undo.digest(edit.apply(given.before, bare)),
        edits=[(one.start, one.end, one.replacement) for one in edit.reverse(given.before, bare)],
        entrypoint=(wrapped.now, wrapped.then) if wrapped else None,
        exposed=[(one.now, one.then) for one in exposure.changed(plan.file, plan.line, plan.settings.ports)],
        image=_image_record(plan.line.base, image) if image is not None else None,
        target=plan.settings.target,
        build_args={name: value for name, value in plan.settings.build_args.items() if name in plan.line.depends_on},
    )
    forward = edit.compose(given.before, given.removal, transform.edits(plan, undo.encode(record)))
    return record, edit.compose(given.text, given.back, forward)


def _is_same(text: str, result: str, earlier: Record, record: Record) -> bool:
    """Return whether two protected files differ in nothing, or in how their equal records were packed."""
    if text == result:
        return True
    lines, others = undo.without_record(text), undo.without_record(result)
    return earlier == record and [line for _, line in lines] == [line for _, line in others]


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


def _report(given: _Given, plan: Plan, image: ImageConfig | None) -> DockerfileReport:
    return DockerfileReport(
        app_id=plan.settings.app_id,
        version=plan.settings.version,
        stage=plan.line.stage.name or str(plan.line.stage.index),
        target=plan.settings.target,
        base=plan.line.base,
        data_folder=plan.settings.data_folder,
        architectures=plan.platform.architectures,
        arguments=plan.arguments,
        origin=image.origin if image is not None else FROM_FILE,
        digest=image.digest if image is not None else None,
        user=plan.start.user,
        moved_ports=exposure.told(plan.settings.ports),
        warnings=tuple(lint.warnings(plan, image)),
        migrated_from=given.migrated_from,
        upgraded_from=given.earlier.version if given.earlier is not None else None,
    )
