"""The edits that protect a stage: the block at its end, and the wrap of the ENTRYPOINT it has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bartizan.embed.dockerfile import block
from bartizan.embed.dockerfile.lexer import LINE_LIMIT
from bartizan.embed.dockerfile.model import Dockerfile, command_line
from bartizan.embed.dockerfile.options import DockerfileSettings
from bartizan.embed.dockerfile.platforms import Platform
from bartizan.embed.dockerfile.scope import Lineage
from bartizan.embed.dockerfile.start import Start
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError

RESETS = ((), ("",))
"""what Docker takes for no entrypoint"""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the edits follow from."""

    file: Dockerfile
    line: Lineage
    start: Start
    platform: Platform
    settings: DockerfileSettings

    @property
    def entrypoint(self) -> tuple[str, ...]:
        """The entrypoint to be wrapped, without a wrap that it has from elsewhere."""
        return unwrapped(self.start.entrypoint.argv or ())

    @property
    def arguments(self) -> tuple[str, ...]:
        """All that is started under the Defender."""
        return (*self.entrypoint, *(self.start.cmd.argv or ()))


def unwrapped(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return an entrypoint without a Defender in front, nothing for one that resets the entrypoint."""
    if argv in RESETS:
        return ()
    return argv[2:] if is_wrapped(argv) else argv


def is_wrapped(argv: Sequence[str]) -> bool:
    """Return whether an entrypoint starts a Defender, whosever it is."""
    return len(argv) > 1 and argv[0].rpartition("/")[2] == "defender" and argv[1] == block.MODE


def edits(plan: Plan, undo: str) -> tuple[Edit, ...]:
    """Return the edits that protect the stage, in order; `undo` is what the block carries, nothing when empty."""
    wrapped = wrap(plan)
    made = [_block(plan, undo), *([wrapped.edit] if wrapped else [])]
    for one in made:
        for line in one.replacement.split("\n"):
            if len(line.encode("utf-8", "surrogatepass")) >= LINE_LIMIT:
                message = f"it would take a line of more than {LINE_LIMIT:,} bytes, which builders do not read"
                raise EmbedError(f"{message}: put the command in a file", plan.file.source.where(one.start))
    return tuple(sorted(made, key=lambda one: one.start))


def _block(plan: Plan, undo: str) -> Edit:
    last, source = plan.line.stage.last, plan.file.source
    newline = source.newline(last.start)
    lines = block.compose(
        plan.settings,
        add=block.add_lines(plan.platform.architectures, plan.platform.variable),
        escape=source.escape,
        commands=_commands(plan),
        undo=undo,
    )
    text = newline.join(lines)
    why = f"the Defender and what it needs, at the end of stage {plan.line.stage.label}"
    if not last.dangling:
        return Edit(last.end, last.end, f"{newline}{newline}{text}", "", why)
    if last is plan.line.stage.start:
        raise EmbedError("this `FROM` ends in a line continuation: remove that", source.where(last.start))
    return Edit(last.start, last.start, f"{text}{newline}", "", why)


def _commands(plan: Plan) -> Iterator[str]:
    """Yield the ENTRYPOINT and CMD of the block: what the stage does not say itself."""
    if plan.start.written_entrypoint is None:
        argv = (*block.wrapper(plan.settings.program), *plan.entrypoint)
        yield f"ENTRYPOINT {block.json_array(argv)}"
    if plan.start.cmd_is_lost and plan.start.cmd.argv:
        yield f"CMD {block.json_array(plan.start.cmd.argv)}"


@dataclass(frozen=True, slots=True)
class Wrap:
    """The wrap of an ENTRYPOINT that is there: its edit, and its arguments after and before, the first on one line."""

    edit: Edit
    now: str
    then: str


def wrap(plan: Plan) -> Wrap | None:
    """Return the wrap of the stage's ENTRYPOINT, None when it has none."""
    item = plan.start.written_entrypoint
    if item is None:
        return None
    start, end = item.arguments_start, item.arguments_end
    then = plan.file.text[start:end]
    wrapper = block.wrapper(plan.settings.program)
    line = command_line(plan.file.source, item)
    why = "starts the program under the Defender"
    if line.argv is None or line.argv in RESETS or is_wrapped(line.argv):
        now = block.json_array((*wrapper, *plan.entrypoint))
        return Wrap(Edit(start, end, now, "", why), now, then)
    inserted = "".join(f"{block.json_string(word)}, " for word in wrapper)
    now = f"[{inserted}{item.arguments[1:]}"
    return Wrap(Edit(start + 1, start + 1, inserted, "", why), now, then)
