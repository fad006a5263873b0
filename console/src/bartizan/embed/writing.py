"""From a plan to edits: the new values in the text's own layout, the reasons for people, the way back in a label."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from bartizan.embed import advice, edit, rewrite, undo, wrap, yaml_rewrite
from bartizan.embed.definition import TaskDefinition
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value, pointer
from bartizan.embed.options import ProtectSettings
from bartizan.embed.plan import Plan
from bartizan.embed.report import SIZE_LIMIT, ContainerReport, Report, size
from bartizan.embed.restore import record


def write(planned: Plan, settings: ProtectSettings) -> tuple[tuple[Edit, ...], Report]:
    """Write a plan down as edits of its text, the way back included, and report it."""
    definition = planned.definition
    blank = _explained(definition, rewritten(definition, planned.desired, unwrap=True), planned.removed)
    label = undo.encode(_record(planned, blank))
    after = size(planned.desired) + len(label)
    if after > SIZE_LIMIT:
        message = f"protected, the definition has {after:,} bytes and AWS takes {SIZE_LIMIT:,}"
        raise EmbedError(f"{message}: move values out of it, for instance into `environmentFiles` or `secrets`")
    return _with_label(blank, label), advice.report(planned, settings, after)


def skipped_report(definition: TaskDefinition, settings: ProtectSettings, reason: str) -> Report:
    """Return the report of a definition that is left as it is."""
    bytes_now = size(definition.value)
    return Report(
        family=definition.family,
        logical_id=definition.logical_id,
        app_id=settings.app_id(definition.family),
        version=settings.version,
        sidecar=settings.sidecar_name,
        sidecar_image=settings.defender_image,
        containers=tuple(
            ContainerReport(name=container.name, image=container.image, skipped=reason)
            for container in definition.containers
        ),
        removed_fields=(),
        warnings=(),
        bytes_before=bytes_now,
        bytes_after=bytes_now,
        iam_statement=None,
        skipped=reason,
    )


def rewritten(definition: TaskDefinition, desired: dict[str, Value], *, unwrap: bool = False) -> tuple[Edit, ...]:
    """Return the edits that make a definition spell `desired`, and take off what describe-task-definition put on."""
    document, node = definition.document, definition.node
    spelled = definition.dialect.spelled(desired)
    in_layout = yaml_rewrite.rewrite if document.syntax == "yaml" else rewrite.rewrite
    inner = in_layout(document, node, spelled)
    outer = definition.wrapper
    if outer is None or not unwrap:
        return inner
    return (Edit(outer.start, node.start, ""), *inner, Edit(node.end, outer.end, ""))


def explained(definition: TaskDefinition, desired: dict[str, Value]) -> tuple[Edit, ...]:
    """Return the edits that make a definition spell `desired`, with their reasons."""
    return _explained(definition, rewritten(definition, desired), ())


_REASONS = (
    ("/dockerLabels", "version and the way back"),
    ("/entryPoint", "starts under the Defender"),
    ("/command", "the image's command, which a given entrypoint would clear"),
    ("/environment", "tells the Defender which container it is in"),
    ("/dependsOn", "waits for the sidecar to be healthy"),
    ("/volumesFrom", "brings the Defender, read-only"),
    ("/portMappings", "the port is the sidecar's now, where the firewall listens"),
    ("/linuxParameters", "lets the Defender look into the processes it watches"),
    ("/tags", "tags stood beside the definition"),
)


def _explained(definition: TaskDefinition, edits: Sequence[Edit], removed: Sequence[str]) -> tuple[Edit, ...]:
    prefix = pointer(definition.path)
    return tuple(
        replace(made, pointer=prefix + made.pointer if made.pointer else made.pointer, why=_why(made, removed))
        for made in edits
    )


def _why(made: Edit, removed: Sequence[str]) -> str:
    if made.why:
        return made.why
    if made.pointer == "":
        return "what describe-task-definition puts around the definition"
    steps = made.pointer.split("/")
    if steps[1] in removed:
        return "AWS fills this in and takes it from nobody"
    if all(step.isdecimal() or step == rewrite.CONDITION for step in steps[2:]):
        if made.replacement:
            return "the sidecar: brings the Defender and speaks to the Console"
        return "the vendor's sidecar"
    told = made.pointer.lower()
    return next((why for member, why in _REASONS if member.lower() in told), "part of the vendor's protection")


def _record(planned: Plan, edits: Sequence[Edit]) -> undo.Record:
    definition = planned.definition
    start, end = undo.scope(definition)
    part = definition.document.text[start:end]
    within = [
        replace(made, start=made.start - start, end=made.end - start)
        for made in edits
        if start <= made.start and made.end <= end
    ]
    wrapper = definition.wrapper
    return undo.Record(
        digest=undo.digest(edit.apply(part, within)),
        edits=[(back.start, back.end, back.replacement) for back in edit.reverse(part, within)],
        steps=list(record(definition.value, planned.desired)),
        wrapper={key: item for key, item in wrapper.value.items() if key != "taskDefinition"} if wrapper else None,
        sources=_sources(planned),
        skipped=[container.name for container, _ in planned.skipped],
        following=[(list(one.path), one.old, one.now) for one in planned.following],
    )


def _sources(planned: Plan) -> dict[str, undo.Source]:
    """Return what images were asked or pinned, by container; what a container has more of them is numbered."""
    sources: dict[str, undo.Source] = {}
    for container, start in planned.selected:
        asked = {**planned.pinned.get(container.index, {}), **start.sources}
        for image, config in asked.items():
            names = (f"{container.name}#{number}" if number else container.name for number in count())
            name = next(name for name in names if name not in sources)
            sources[name] = undo.Source(image, list(config.entrypoint), list(config.cmd), config.origin, config.digest)
    return sources


def _with_label(edits: Sequence[Edit], label: str) -> tuple[Edit, ...]:
    """Fill the sidecar's empty undo label, the last one our edits write, with `label`."""
    filled = list(edits)
    for index in reversed(range(len(filled))):
        written = filled[index].replacement
        key = written.rfind(wrap.UNDO_LABEL)
        if key >= 0:
            behind = key + len(wrap.UNDO_LABEL) + 1
            at = max(written.find('""', behind), written.find("''", behind)) + 1
            filled[index] = replace(filled[index], replacement=written[:at] + label + written[at:])
            break
    return tuple(filled)
