"""The edits that protect a stage: the block at its end, and the wrap of the ENTRYPOINT it has."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bartizan.embed.dockerfile import block, exposure
from bartizan.embed.dockerfile.lexer import LINE_LIMIT, Instruction
from bartizan.embed.dockerfile.model import Dockerfile, command_line
from bartizan.embed.dockerfile.options import DockerfileSettings
from bartizan.embed.dockerfile.platforms import Platform
from bartizan.embed.dockerfile.scope import Lineage
from bartizan.embed.dockerfile.start import Start
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError

_KEYWORD = re.compile("^(ADD|ARG|CMD|ENTRYPOINT|ENV|EXPOSE) ").sub
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
    exposed = exposure.changed(plan.file, plan.line, plan.settings.ports)
    made = [_block(plan, undo), *([wrapped.edit] if wrapped else []), *(each for one in exposed for each in one.edits)]
    for one in made:
        for line in one.replacement.split("\n"):
            if len(line.encode("utf-8", "surrogatepass")) >= LINE_LIMIT:
                message = f"it would take a line of more than {LINE_LIMIT:,} bytes, which builders do not read"
                raise EmbedError(f"{message}: put the command in a file", plan.file.source.where(one.start))
    return tuple(sorted(made, key=lambda one: one.start))


def _block(plan: Plan, undo: str) -> Edit:
    last, source = _last(plan), plan.file.source
    newline = source.newline(last.start)
    lines = block.compose(
        plan.settings,
        add=block.add_lines(plan.platform.architectures, plan.platform.variable),
        escape=source.escape,
        commands=[*exposure.added(plan.file, plan.line, plan.settings.ports), *_commands(plan)],
        undo=undo,
    )
    if source.text[plan.line.stage.start.start] == "f":  # the file's own style: keywords in small letters
        lines = [_KEYWORD(lambda found: found[0].lower(), line) for line in lines]
    text = newline.join(lines)
    why = f"the Defender and what it needs, at the end of stage {plan.line.stage.label}"
    return Edit(last.end, last.end, f"{newline}{newline}{text}", f"line {source.where(last.end).line + 1}", why)


def _last(plan: Plan) -> Instruction:
    """Return the instruction that the block stands behind: the last of the stage that does not go on to the end."""
    stage = plan.line.stage
    for item in (stage.start, *stage.instructions)[::-1]:
        if not item.dangling:
            return item
    raise EmbedError("this `FROM` ends in a line continuation: remove that", plan.file.where(stage.start))


def _commands(plan: Plan) -> Iterator[str]:
    """Yield the ENTRYPOINT and CMD of the block: what the stage does not say itself."""
    if plan.start.written_entrypoint is None:
        yield f"ENTRYPOINT {_array(plan, (*block.wrapper(plan.settings.program), *plan.entrypoint))}"
    if plan.start.cmd_is_lost and plan.start.cmd.argv:
        yield f"CMD {_array(plan, plan.start.cmd.argv)}"


def _array(plan: Plan, argv: tuple[str, ...]) -> str:
    if any("\ud800" <= char <= "\udfff" for word in argv for char in word):
        where = plan.file.where(plan.start.entrypoint.by or plan.line.stage.start)
        raise EmbedError("what is started is not all UTF-8, which exec form cannot keep: put it in a file", where)
    return block.json_array(argv)


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
    pointer, why = f"line {plan.file.where(item).line}", "starts the program under the Defender"
    if line.argv is None or line.argv in RESETS or is_wrapped(line.argv):
        now = _array(plan, (*wrapper, *plan.entrypoint))
        return Wrap(Edit(start, end, now, pointer, why), now, then)
    inserted = "".join(f"{block.json_string(word)}, " for word in wrapper)
    if then[1:2] == " ":  # the file's own style: a blank inside the brackets
        inserted = f" {inserted[:-1]}"
    now = f"[{inserted}{item.arguments[1:]}"
    return Wrap(Edit(start + 1, start + 1, inserted, pointer, why), now, then)
