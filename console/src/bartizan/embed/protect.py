"""Protecting a task definition, and taking the protection out again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bartizan.embed import advice, edit, launch, plan, undo, wrap
from bartizan.embed.definition import TaskDefinition, read
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value, place
from bartizan.embed.launch import ImageConfig
from bartizan.embed.options import ProtectSettings
from bartizan.embed.plan import Plan
from bartizan.embed.report import SIZE_LIMIT, Report, size
from bartizan.embed.restore import record, restore
from bartizan.embed.rewrite import rewrite
from bartizan.embed.undo import Embedding


@dataclass(frozen=True, slots=True)
class Protection:
    """A protected definition: the edits of the text given, their result, and what to tell people."""

    edits: tuple[Edit, ...]
    text: str
    report: Report


def protect(text: str, *, images: Mapping[str, ImageConfig], settings: ProtectSettings) -> Protection:
    """Protect the task definition `text`.

    `images` says what images start, by the very `image` of the container; `needed_images` tells which are asked for. A
    definition that is protected already is upgraded in place; when it is up to date there are no edits. Raises
    `EmbedError` for what cannot be protected.
    """
    given = read(text)
    earlier = undo.find(given)
    if earlier is None:
        return _write(plan.make(given, images, settings), settings)
    back, original = _original(given, earlier)
    fresh = plan.make(original, {**earlier.images(), **images}, settings)
    result = _write(fresh, settings)
    now = size(given.value)
    if given.wrapper is None and undo.same_but_label(fresh.desired, given.value, settings.sidecar_name):
        report = replace(result.report, unchanged=True, removed_fields=(), bytes_before=now, bytes_after=now)
        return Protection((), text, report)
    report = replace(result.report, upgraded_from=earlier.version, bytes_before=now)
    return Protection(edit.compose(text, back, result.edits), result.text, report)


def unprotect(text: str) -> str:
    """Return the definition as it was before `protect`, byte for byte when the text has not been touched since.

    What was laid out anew or changed since keeps its layout and its changes, and only loses the protection. Raises
    `EmbedError` when there is no protection to take out.
    """
    given = read(text)
    earlier = undo.find(given)
    if earlier is None:
        raise EmbedError(f"this definition carries no protection: no container has the label `{wrap.UNDO_LABEL}`")
    return _original(given, earlier)[1].document.text


def needed_images(text: str, *, settings: ProtectSettings) -> tuple[str, ...]:
    """Return the images that `protect` must know of, in the order of the definition and without repetition.

    Those that an earlier protection recorded are among them, for a tag may have moved since; when they are not given,
    `protect` goes by the record. Raises as `protect` does.
    """
    definition = read(text)
    earlier = undo.find(definition)
    if earlier is not None:
        definition = _original(definition, earlier)[1]
    containers = plan.own_containers(definition)[0]
    selected, _ = plan.select(definition, containers, settings)
    return tuple(dict.fromkeys(container.image for container in selected if launch.needs_image(container)))


def _original(given: TaskDefinition, earlier: Embedding) -> tuple[tuple[Edit, ...], TaskDefinition]:
    """Return the edits that take the protection out, and the definition without it; trust the label in nothing."""
    back = _back(given, earlier)
    text = given.document.text
    try:
        original = read(edit.apply(text, back), lambda offset: place(text, edit.offset_before(back, offset)))
    except EmbedError as error:
        message = f"without its protection this is no task definition: {error.message}"
        raise EmbedError(message, earlier.sidecar.where_of("dockerLabels")) from None
    if undo.is_labelled(original):
        message = f"the label `{wrap.UNDO_LABEL}` does not take out `{earlier.sidecar.name}`: was the sidecar renamed?"
        raise EmbedError(message, earlier.sidecar.where)
    return back, original


def _back(given: TaskDefinition, earlier: Embedding) -> tuple[Edit, ...]:
    """Return the edits that take the protection out of a text."""
    text = given.document.text
    edits = undo.exact(text, earlier)
    if edits is not None:
        return edits
    restored = restore(given.value, earlier.record.steps)
    if given.wrapper is None and earlier.record.wrapper is not None:
        restored = {"taskDefinition": restored, **earlier.record.wrapper}
    return tuple(replace(made, why="as it was before") for made in rewrite(given.document, given.node, restored))


def _write(planned: Plan, settings: ProtectSettings) -> Protection:
    """Write a plan down as edits, the way back included, and report it."""
    definition = planned.definition
    text = definition.document.text
    blank = _explained(_edits(definition, planned.desired), planned.removed)
    way_back = _record(planned, text, blank)
    label = undo.encode(way_back)
    after = size(planned.desired) + len(label)
    if after > SIZE_LIMIT:
        message = f"protected, the definition has {after:,} bytes and AWS takes {SIZE_LIMIT:,}"
        raise EmbedError(f"{message}: move values out of it, for instance into `environmentFiles` or `secrets`")
    edits = _with_label(blank, label)
    return Protection(edits, edit.apply(text, edits), advice.report(planned, settings, after))


def _edits(definition: TaskDefinition, desired: dict[str, Value]) -> tuple[Edit, ...]:
    inner = rewrite(definition.document, definition.node, desired)
    if definition.wrapper is None:
        return inner
    outer, node = definition.wrapper, definition.node
    return (Edit(outer.start, node.start, ""), *inner, Edit(node.end, outer.end, ""))


_REASONS = (
    ("/dockerLabels", "version and the way back"),
    ("/entryPoint", "starts under the Defender"),
    ("/command", "the image's command, which a given entrypoint would clear"),
    ("/environment", "tells the Defender which container it is in"),
    ("/dependsOn", "waits for the sidecar to be healthy"),
    ("/volumesFrom", "brings the Defender, read-only"),
    ("/linuxParameters", "lets the Defender look into the processes it watches"),
    ("/tags", "tags stood beside the definition"),
)


def _explained(edits: Sequence[Edit], removed: Sequence[str]) -> tuple[Edit, ...]:
    return tuple(replace(made, why=_why(made, removed)) for made in edits)


def _why(made: Edit, removed: Sequence[str]) -> str:
    steps = made.pointer.split("/")
    if made.pointer == "":
        return "what describe-task-definition puts around the definition"
    if steps[1] in removed:
        return "AWS fills this in and takes it from nobody"
    if len(steps) == 3 and made.replacement:  # noqa: PLR2004 - /containerDefinitions/<index>
        return "the sidecar: brings the Defender and speaks to the Console"
    if len(steps) == 3:  # noqa: PLR2004
        return "the vendor's sidecar"
    return next((why for member, why in _REASONS if member in made.pointer), "part of the vendor's protection")


def _record(planned: Plan, text: str, edits: Sequence[Edit]) -> undo.Record:
    definition = planned.definition
    wrapper = definition.wrapper
    return undo.Record(
        digest=undo.digest(edit.apply(text, edits)),
        edits=[(back.start, back.end, back.replacement) for back in edit.reverse(text, edits)],
        steps=list(record(definition.value, planned.desired)),
        wrapper={key: item for key, item in wrapper.value.items() if key != "taskDefinition"} if wrapper else None,
        sources={
            container.name: undo.Source(
                container.image,
                list(start.source.entrypoint),
                list(start.source.cmd),
                start.source.origin,
                start.source.digest,
            )
            for container, start in planned.selected
            if start.source is not None
        },
        skipped=[container.name for container, _ in planned.skipped],
    )


def _with_label(edits: Sequence[Edit], label: str) -> tuple[Edit, ...]:
    """Fill the sidecar's empty undo label, the last one our edits write, with `label`."""
    filled = list(edits)
    for index in reversed(range(len(filled))):
        written = filled[index].replacement
        key = written.rfind(f'"{wrap.UNDO_LABEL}"')
        if key >= 0:
            at = written.index('""', key + len(wrap.UNDO_LABEL) + 2) + 1
            filled[index] = replace(filled[index], replacement=written[:at] + label + written[at:])
            break
    return tuple(filled)
