"""Protecting the task definitions in a text, and taking the protection out again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bartizan.embed import edit, exposure, plan, selection, services, undo, wrap, writing, yaml_text
from bartizan.embed.definition import TaskDefinition
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value, place
from bartizan.embed.launch import ImageConfig
from bartizan.embed.options import ProtectSettings
from bartizan.embed.plan import Plan
from bartizan.embed.reading import Source, read
from bartizan.embed.report import Report, size
from bartizan.embed.restore import restore
from bartizan.embed.rewrite import same
from bartizan.embed.undo import Embedding
from bartizan.embed.waas_ports import read_waas_ports

_SHOWN_PORTS = 8


@dataclass(frozen=True, slots=True)
class Protection:
    """A protected text: the edits of the text given, their result, and what to tell people, one report a task."""

    edits: tuple[Edit, ...]
    text: str
    reports: tuple[Report, ...]

    @property
    def report(self) -> Report:
        """The report of the first task definition; but for templates there is no other."""
        return self.reports[0]


@dataclass(frozen=True, slots=True)
class NeededImage:
    """An image that must be known: how the text calls it, how a registry does, and for which processor it is wanted.

    `reference` is None when only a deployment knows it: `unknown` says what of it, in names for people.
    """

    expression: str
    reference: str | None
    container: str
    architecture: str
    unknown: tuple[str, ...] = ()


def protect(
    text: str,
    *,
    images: Mapping[str, ImageConfig],
    settings: ProtectSettings,
    parameters: Mapping[str, str] | None = None,
) -> Protection:
    """Protect the task definitions in `text`.

    `images` says what images start, by reference, by the expression the text has for it, or by the container's name;
    `needed_images` tells which are asked for. `parameters` are values for the parameters of a template: they only help
    to know what an image is called. What is protected already is upgraded in place; when it is up to date there are no
    edits. Raises `EmbedError` for what cannot be protected.
    """
    given = read(text, parameters=parameters)
    original, back, found = _without_protection(given, parameters)
    plans, skipped = _plans(original, images, settings, found)
    written = [writing.write(planned, settings) for planned in plans]
    reports = _compared([report for _, report in written], plans, given, found, settings)
    if all(report.unchanged for report in reports):
        return Protection((), text, (*reports, *skipped))
    edits = _with_following(plans, tuple(made for some, _ in written for made in some))
    result = edit.apply(original.document.text, edits)
    _check(result, original, plans, [some for some, _ in written], settings.sidecar_name)
    return Protection(edit.compose(text, back, edits) if back else edits, result, (*reports, *skipped))


def _with_following(plans: Sequence[Plan], edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Return `edits` with those of what follows a port; raise `EmbedError` where two tasks want one value."""
    following = {one.path: one for planned in plans for one in planned.following}
    for planned in plans:
        for one in planned.following:
            if following[one.path] != one:
                message = f"two task definitions want different values at `{'/'.join(one.path)}`"
                raise EmbedError(f"{message}: give each its own service and target group")
    return tuple(sorted((*edits, *(one.edit() for one in following.values())), key=lambda made: (made.start, made.end)))


def unprotect(text: str) -> str:
    """Return the text as it was before `protect`, byte for byte when what was protected has not been touched since.

    What was laid out anew or changed since keeps its layout and its changes, and only loses the protection. Raises
    `EmbedError` when there is no protection to take out.
    """
    given = read(text)
    original, _, found = _without_protection(given, None)
    if not found:
        raise EmbedError(f"this definition carries no protection: no container has the label `{wrap.UNDO_LABEL}`")
    return original.document.text


def explain_protection(text: str) -> tuple[Edit, ...]:
    """Return the edits that protected `text`, with their reasons, as offsets of the text without protection.

    Raises `EmbedError` when it carries no protection.
    """
    given = read(text)
    original, _, found = _without_protection(given, None)
    if not found:
        raise EmbedError(f"this definition carries no protection: no container has the label `{wrap.UNDO_LABEL}`")
    now = {definition.path: definition.value for definition in given.definitions}
    made = [
        each
        for definition in original.definitions
        if definition.path in found
        for each in writing.explained(definition, now[definition.path])
    ]
    made += services.explained(original.document, [one for each in found.values() for one in each.record.following])
    return tuple(sorted(made, key=lambda each: (each.start, each.end)))


def needed_images(
    text: str, *, settings: ProtectSettings, parameters: Mapping[str, str] | None = None
) -> tuple[NeededImage, ...]:
    """Return the images that `protect` must know of, in the order of the text and without repetition.

    Those that an earlier protection recorded are among them, for a tag may have moved since; when they are not given,
    `protect` goes by the record. Raises as `protect` does.
    """
    original, _, _ = _without_protection(read(text, parameters=parameters), parameters)
    needed: dict[tuple[str, str | None, str], NeededImage] = {}
    for definition in original.definitions:
        architecture = plan.architecture(definition)
        for container, image in plan.needed(definition, settings):
            key = (image.expression, image.reference, architecture)
            new = NeededImage(image.expression, image.reference, container.name, architecture, image.unknown)
            needed.setdefault(key, new)
    return tuple(needed.values())


_Found = Mapping[tuple[str, ...], Embedding]


def _without_protection(given: Source, parameters: Mapping[str, str] | None) -> tuple[Source, tuple[Edit, ...], _Found]:
    """Return the text without any protection, the edits that lead there, and the protections found, by path.

    The labels are trusted in nothing.
    """
    embeddings = {definition.path: undo.find(definition) for definition in given.definitions}
    found = {path: embedding for path, embedding in embeddings.items() if embedding is not None}
    if not found:
        return given, (), found
    back = tuple(
        made
        for definition in given.definitions
        if definition.path in found
        for made in _back(definition, found[definition.path])
    )
    text = given.document.text
    first = next(iter(found.values()))
    back = tuple(sorted((*back, *_following_back(given, found)), key=lambda made: (made.start, made.end)))
    try:
        stripped = edit.apply(text, back)
        original = read(stripped, lambda offset: place(text, edit.offset_before(back, offset)), parameters)
    except EmbedError as error:
        message = f"without its protection this is no task definition: {error.message}"
        raise EmbedError(message, first.sidecar.where_of("dockerLabels")) from None
    for definition in original.definitions:
        if undo.is_labelled(definition):
            sidecar = found.get(definition.path, first).sidecar
            message = f"the label `{wrap.UNDO_LABEL}` does not take out `{sidecar.name}`: was the sidecar renamed?"
            raise EmbedError(message, sidecar.where)
    return original, back, found


def _following_back(given: Source, found: _Found) -> list[Edit]:
    """Return the edits that give back what follows a port; raise `EmbedError` when they would do anything else."""
    document = given.document
    made = services.back(document, [one for each in found.values() for one in each.record.following])
    if not made:
        return []
    edits = sorted(made.values(), key=lambda each: (each.start, each.end))
    before = document.root.value
    try:
        after = read(edit.apply(document.text, edits)).document.root.value
    except EmbedError:
        after = None
    for path in made if after is not None else ():
        before, after = _without(before, path), _without(after, path)
    if not same(before, after):
        label = next(each.label for each in found.values() if each.record.following)
        message = f"the label `{wrap.UNDO_LABEL}` is damaged: it would change more of the template than ports"
        raise EmbedError(message, document.where(label.start))
    return edits


def _back(given: TaskDefinition, earlier: Embedding) -> tuple[Edit, ...]:
    """Return the edits that take the protection out of a definition."""
    edits = undo.exact(given, earlier)
    if edits is not None:
        return edits
    restored = restore(given.value, earlier.record.steps)
    if given.wrapper is None and earlier.record.wrapper is not None:
        restored = {"taskDefinition": restored, **earlier.record.wrapper}
    return tuple(replace(made, why="as it was before") for made in writing.rewritten(given, restored))


def _plans(
    original: Source, images: Mapping[str, ImageConfig], settings: ProtectSettings, found: _Found
) -> tuple[list[Plan], list[Report]]:
    """Return what is to be done to each definition; of several, those that cannot be protected are only reported."""
    selection.check_names([each for definition in original.definitions for each in definition.containers], settings)
    plans: list[Plan] = []
    skipped: list[Report] = []
    for definition in original.definitions:
        earlier = found.get(definition.path)
        known = {**earlier.images(), **images} if earlier is not None else images
        try:
            plans.append(plan.make(definition, known, settings))
        except plan.NothingToProtectError as reason:
            if len(original.definitions) == 1:
                raise
            skipped.append(writing.skipped_report(definition, settings, reason.message))
    ports = read_waas_ports(settings.waas_ports)
    for port in exposure.missing(ports, [one for planned in plans for one in planned.moved]):
        message = f"no container maps port {port.app} of `{port}`"
        mapped = list(dict.fromkeys(each for planned in plans for each in exposure.mapped_ports(planned.definition)))
        if mapped:
            raise EmbedError(f"{message}: mapped are {', '.join(map(str, mapped[:_SHOWN_PORTS]))}")
        raise EmbedError(f"{message}, nor any other: map the port on which the application listens in the definition")
    if not plans:
        raise EmbedError(f"no task definition is left to protect: {skipped[0].skipped}")
    return plans, skipped


def _compared(
    reports: Sequence[Report], plans: Sequence[Plan], given: Source, found: _Found, settings: ProtectSettings
) -> list[Report]:
    """Return the reports with what was there before."""
    before = {definition.path: definition for definition in given.definitions}
    compared: list[Report] = []
    for report, planned in zip(reports, plans, strict=True):
        path = planned.definition.path
        earlier, now = found.get(path), before[path]
        if earlier is None:
            compared.append(report)
            continue
        bytes_now = size(now.value)
        in_place = services.are_in_place(given.document, planned.following)
        if in_place and now.wrapper is None and undo.same_but_label(planned.desired, now.value, settings.sidecar_name):
            same_size = replace(report, bytes_before=bytes_now, bytes_after=bytes_now)
            compared.append(replace(same_size, unchanged=True, removed_fields=()))
        else:
            compared.append(replace(report, upgraded_from=earlier.version, bytes_before=bytes_now))
    return compared


def _check(
    result: str, original: Source, plans: Sequence[Plan], written: Sequence[Sequence[Edit]], sidecar: str
) -> None:
    """Raise `EmbedError` unless `result`, read again, says what was planned and nothing else has changed.

    JSON has one way to say a thing; YAML has many, and an indentation that we misread must not reach anyone. Where
    only the protected resources were touched, reading those again is enough.
    """
    if original.document.syntax == "json":
        return None
    shift = 0
    for planned, edits in zip(plans, written, strict=True):
        start, end = undo.scope(planned.definition)
        if planned.following or not all(start <= made.start and made.end <= end for made in edits):
            return _check_all(result, original, plans, sidecar)
        grown = sum(len(made.replacement) - (made.end - made.start) for made in edits)
        column = start - original.document.text.rfind("\n", 0, start) - 1
        part = " " * column + result[start + shift : end + shift + grown]
        try:
            value = planned.definition.dialect.native(yaml_text.parse(part).root.value)
        except EmbedError:  # it has aliases of what stands elsewhere
            return _check_all(result, original, plans, sidecar)
        if not isinstance(value, dict) or not undo.same_but_label(value, planned.desired, sidecar):
            raise _cannot_keep(planned.definition)
        shift += grown
    return None


def _check_all(result: str, original: Source, plans: Sequence[Plan], sidecar: str) -> None:
    desired = {planned.definition.path: planned for planned in plans}
    try:
        again = read(result)
    except EmbedError as error:
        raise _cannot_keep(plans[0].definition, error) from None
    for definition in again.definitions:
        planned = desired.get(definition.path)
        if planned is not None and not undo.same_but_label(definition.value, planned.desired, sidecar):
            raise _cannot_keep(planned.definition)
    if not all(services.are_in_place(again.document, planned.following) for planned in plans):
        raise _cannot_keep(plans[0].definition)
    before, after = original.document.root.value, again.document.root.value
    for path in (*desired, *(one.path for planned in plans for one in planned.following)):
        before, after = _without(before, path), _without(after, path)
    if not same(before, after):
        raise EmbedError("the rest of the text would change its meaning: write its aliases (`*name`) out and try again")


def _cannot_keep(definition: TaskDefinition, cause: EmbedError | None = None) -> EmbedError:
    message = f"the layout of `{definition.family}` cannot be kept: write it in plain block style and try again"
    message = message if cause is None else f"{message}: {cause.message}"
    return EmbedError(message, definition.where_of("containerDefinitions"))


def _without(value: Value, path: tuple[str, ...]) -> Value:
    """Return `value` with null at `path`."""
    if not path:
        return None
    if isinstance(value, list):
        index = int(path[0])
        return [*value[:index], _without(value[index], path[1:]), *value[index + 1 :]]
    if isinstance(value, dict):
        return {**value, path[0]: _without(value.get(path[0]), path[1:])}
    return value
