"""Which stage is protected, what it is built from, and the variables its FROM lines may use."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.embed.dockerfile import shell_words
from bartizan.embed.dockerfile.lexer import Instruction
from bartizan.embed.dockerfile.model import Dockerfile, Stage, pairs
from bartizan.embed.dockerfile.options import DockerfileSettings
from bartizan.embed.dockerfile.shell_words import SubstitutionError
from bartizan.embed.errors import EmbedError

SCRATCH = "scratch"
_SHOWN = 20
BY_BUILDER = frozenset(
    f"{kind}{part}" for kind in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
"""variables that BuildKit sets by itself for FROM (Dockerfile reference, "Automatic platform ARGs")"""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The stage to protect and those it is built FROM, the first of them first."""

    stages: tuple[Stage, ...]
    base: str
    """the image that the first is built from, variables replaced"""
    platform: str | None
    """what its `--platform` says, variables replaced"""
    depends_on: frozenset[str]
    """the variables that its FROM lines use"""

    @property
    def stage(self) -> Stage:
        """The stage to protect."""
        return self.stages[-1]


def lineage(file: Dockerfile, settings: DockerfileSettings) -> Lineage:
    """Find the stage to protect and what it is built from; raise `EmbedError` when that cannot be told."""
    variables = _variables(file, settings)
    found = [_target(file, settings.target)]
    used: set[str] = set()
    indexes: dict[str | None, list[int]] = {}
    for stage in file.stages:
        indexes.setdefault(stage.name, []).append(stage.index)
    while True:
        stage = found[-1]
        base = _expanded(file, stage.start, stage.base, variables)
        if stage.platform is not None:
            used |= shell_words.names(stage.platform)
        used |= shell_words.names(stage.base)
        if not base:
            names = ", ".join(f"`{name}`" for name in sorted(shell_words.names(stage.base)))
            message = f"`FROM {stage.base}` names no image: give {names} as a build argument"
            raise EmbedError(message, file.where(stage.start))
        named = indexes.get(base.lower(), [])
        earlier = bisect_left(named, stage.index)
        if not earlier:
            break
        found.append(file.stages[named[earlier - 1]])
    platform = None
    if stage.platform is not None:
        platform = _expanded(file, stage.start, stage.platform, variables)
    return Lineage(tuple(found[::-1]), base, platform or None, frozenset(used))


def _target(file: Dockerfile, target: str | None) -> Stage:
    if target is None:
        return file.stages[-1]
    for stage in reversed(file.stages):
        if stage.name == target.lower():
            return stage
    if target.isascii() and target.isdigit() and len(target) <= len(str(len(file.stages))):
        index = int(target)
        if index < len(file.stages):
            return file.stages[index]
    names = ", ".join(stage.label for stage in file.stages[:_SHOWN])
    raise EmbedError(f"there is no stage `{target}`: choose one of {names}", file.where(file.stages[0].start))


def _variables(file: Dockerfile, settings: DockerfileSettings) -> dict[str, str]:
    """Return what FROM lines may use: what the builder sets, and ARG of the heading, which build arguments overrule."""
    architecture = settings.architecture or "amd64"
    variables = dict.fromkeys(BY_BUILDER, "")
    for kind in ("TARGET", "BUILD"):
        variables[f"{kind}OS"] = "linux"
        variables[f"{kind}ARCH"] = architecture
        variables[f"{kind}PLATFORM"] = f"linux/{architecture}"
    variables |= {name: value for name, value in settings.build_args.items() if name in BY_BUILDER}
    for item in file.heading:
        for name, value in pairs(item, file.source.escape):
            if name in settings.build_args:
                variables[name] = settings.build_args[name]
            elif value is not None:
                variables[name] = _expanded(file, item, value, variables)
    return variables


def _expanded(file: Dockerfile, item: Instruction, word: str, variables: Mapping[str, str]) -> str:
    try:
        return shell_words.expand(word, variables, escape=file.source.escape)
    except SubstitutionError as error:
        raise EmbedError(f"`{word[:80]}` cannot be read: {error}", file.where(item)) from None
