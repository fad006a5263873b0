"""What an image starts, by Docker's rules about ENTRYPOINT, CMD and SHELL.

An ENTRYPOINT resets the CMD that was there before its stage, not one of its own stage (BuildKit,
`dispatchEntrypoint`; imagebuilder, `entrypoint`): triggers of ONBUILD belong to the stage they run in. The last of each
counts. `[]` and `[""]` reset the entrypoint (moby, `daemon/create.go`).
"""

from dataclasses import dataclass, replace

from bartizan.embed.dockerfile.lexer import Instruction, parse_line
from bartizan.embed.dockerfile.model import Dockerfile, command_line
from bartizan.embed.dockerfile.scope import SCRATCH, Lineage
from bartizan.embed.errors import EmbedError
from bartizan.embed.launch import ImageConfig

DEFAULT_SHELL = ("/bin/sh", "-c")
_STATE = ("CMD", "ENTRYPOINT", "SHELL", "USER")


@dataclass(frozen=True, slots=True)
class Value:
    """A list of arguments, None when only the base image could say; `by` is the instruction that says it."""

    argv: tuple[str, ...] | None
    by: Instruction | None = None
    assumes_shell: bool = False
    """whether it has the default shell in it because the base image's is not known"""
    own: bool = False
    """whether the stage to protect says it, or a trigger that runs in it"""


@dataclass(frozen=True, slots=True)
class Start:
    """What the stage to protect starts."""

    entrypoint: Value
    cmd: Value
    shell: tuple[str, ...] | None
    user: str | None
    """as written, None when only the base image could say"""

    @property
    def written_entrypoint(self) -> Instruction | None:
        """The ENTRYPOINT that counts, when it stands in the stage to protect."""
        return self.entrypoint.by if self.entrypoint.own else None

    @property
    def cmd_is_lost(self) -> bool:
        """Whether an ENTRYPOINT put into the stage resets the CMD, so that it must be written out again."""
        return self.written_entrypoint is None and not self.cmd.own

    @property
    def needs_image(self) -> bool:
        """Whether the base image must be known to say what is started."""
        lost = self.cmd if self.cmd_is_lost else Value(())
        return self.entrypoint.argv is None or self.entrypoint.assumes_shell or lost.argv is None or lost.assumes_shell


def start(file: Dockerfile, line: Lineage, image: ImageConfig | None) -> Start:
    """Follow the stages of `line` from the base image on; raise `EmbedError` for instructions that cannot be read."""
    state = _from_image(ImageConfig() if line.base == SCRATCH else image)
    triggers = [(text, line.stages[0].start) for text in (image.on_build if image is not None else ())]
    triggers = triggers if line.base != SCRATCH else []
    for stage in line.stages:
        state = replace(state, entrypoint=replace(state.entrypoint, own=False), cmd=replace(state.cmd, own=False))
        for text, shown_by in triggers:
            state = _triggered(file, state, text, shown_by)
        for item in stage.instructions:
            state = _followed(file, state, item, by=item)
        triggers = [(item.arguments, item) for item in stage.every("ONBUILD")]
    return state


def _triggered(file: Dockerfile, state: Start, text: str, shown_by: Instruction) -> Start:
    """Follow a trigger; `shown_by` is where people can look for it."""
    words = text.split(maxsplit=1)
    if not words or words[0].upper() not in _STATE:
        return state
    try:
        return _followed(file, state, parse_line(text), by=None)
    except EmbedError as error:
        message = f"the trigger `ONBUILD {text[:40]}` cannot be read: {error.message}"
        raise EmbedError(message, file.where(shown_by)) from None


def _from_image(image: ImageConfig | None) -> Start:
    if image is None:
        return Start(Value(None), Value(None), None, None)
    return Start(Value(image.entrypoint), Value(image.cmd), image.shell or DEFAULT_SHELL, image.user)


def _followed(file: Dockerfile, state: Start, item: Instruction, *, by: Instruction | None) -> Start:
    match item.keyword:
        case "SHELL":
            argv = command_line(file.source, item).argv
            if not argv:
                raise EmbedError("`SHELL` takes a JSON array of strings", file.where(item))
            return replace(state, shell=argv)
        case "USER":
            return replace(state, user=item.arguments)
        case "CMD":
            return replace(state, cmd=_value(file, state, item, by))
        case "ENTRYPOINT":
            cmd = state.cmd if state.cmd.own else Value(())
            return replace(state, entrypoint=_value(file, state, item, by), cmd=cmd)
    return state


def _value(file: Dockerfile, state: Start, item: Instruction, by: Instruction | None) -> Value:
    line = command_line(file.source, item)
    assumes_shell = line.argv is None and state.shell is None
    return Value(line.under(state.shell or DEFAULT_SHELL), by, assumes_shell, own=True)
