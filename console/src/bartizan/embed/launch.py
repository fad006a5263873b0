"""What a container starts: Docker's rule about ENTRYPOINT and CMD.

The image's CMD is used only when the task sets neither `entryPoint` nor `command` (moby, `daemon/commit.go`, `merge`: a
given entrypoint clears the inherited CMD); null and `[]` mean unset; `[""]` resets the image's entrypoint (docs of
`docker run --entrypoint ""`). Arguments are never split, joined or quoted anew. Where a template chooses between
values (`Fn::If`), the rule is applied to each, and the result chooses the same way.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bartizan.embed import intrinsics
from bartizan.embed.definition import Container
from bartizan.embed.errors import EmbedError
from bartizan.embed.intrinsics import NO_VALUE
from bartizan.embed.json_text import Value
from bartizan.embed.template import Template

_NAME = re.compile(r"\$\{([^}]*)\}")

FROM_TASK = "task definition"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says it starts. `origin` says to people where that was learnt, `digest` of which image.

    The rest matters to Dockerfiles only, and is as in the image's configuration: `User`, `Shell`, `Volumes`, `OnBuild`
    and `os`.
    """

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    origin: str = "image"
    digest: str | None = None
    user: str = ""
    shell: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()
    os: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a container starts.

    `entry_point` is an argument list, a function that gives one, or a choice of such. `command` is None when the task's
    own `command`, or its absence, is left as it is.
    """

    entry_point: Value
    command: Value
    arguments: tuple[str, ...]
    """all that is started, for people; of a choice the first"""
    sources: Mapping[str, ImageConfig] = field(default_factory=dict)
    """the images that were asked, by reference"""

    @property
    def origin(self) -> str:
        """Where the entrypoint came from."""
        return next((source.origin for source in self.sources.values()), FROM_TASK)

    @property
    def digest(self) -> str | None:
        """Which image that was."""
        return next((source.digest for source in self.sources.values()), None)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image that must be known. `reference` is None while some of its name is `unknown`."""

    expression: str
    reference: str | None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """The values that decide, under conditions that are known."""

    entry_point: Value
    command: Value
    image: Value
    known: Mapping[str, bool]


Images = Callable[[Reference], ImageConfig | None]


def references(container: Container, template: Template) -> tuple[Reference, ...]:
    """Return the images that must be known to know what `container` starts."""
    needed: list[Reference] = []

    def ask(reference: Reference) -> ImageConfig:
        needed.append(reference)
        return ImageConfig(("/",))

    _resolve(container, template, ask)
    return tuple(dict.fromkeys(needed))


def resolve(container: Container, template: Template, images: Mapping[str, ImageConfig]) -> Launch:
    """Return what `container` starts; `images` are known by reference, expression or the container's name.

    Raises `EmbedError` when only an image could say and it is not known, or when there is nothing to start.
    """

    def ask(reference: Reference) -> ImageConfig | None:
        keys = (reference.reference, reference.expression, container.name)
        return next((images[key] for key in keys if key is not None and key in images), None)

    launch = _resolve(container, template, ask)
    return replace(launch, arguments=_for_people(container, launch))


def _resolve(container: Container, template: Template, ask: Images) -> Launch:
    sources: dict[str, ImageConfig] = {}
    value = container.value
    case = _Case(value.get("entryPoint"), value.get("command"), value["image"], container.conditions)
    entry_point, command = _decide(container, template, case, ask, sources)
    return Launch(entry_point, command, (), sources)


def _decide(
    container: Container, template: Template, case: _Case, ask: Images, sources: dict[str, ImageConfig]
) -> tuple[Value, Value]:
    """Return entrypoint and command; the command is None when it stays as it is."""
    entry_point = intrinsics.given(case.entry_point, case.known)
    unset = intrinsics.absent(entry_point) or entry_point == []
    command = intrinsics.given(case.command, case.known)
    image = intrinsics.given(case.image, case.known)
    alternatives = intrinsics.choice(entry_point)
    if unset and alternatives is None:
        alternatives = intrinsics.choice(command) or intrinsics.choice(image)
    if alternatives is not None:
        condition = alternatives[0]
        cases = [replace(case, known={**case.known, condition: holds}) for holds in (True, False)]
        (left, left_command), (right, right_command) = (
            _decide(container, template, part, ask, sources) for part in cases
        )
        if left_command is None and right_command is None:
            return intrinsics.chosen(condition, left, right), None
        commands = [
            _present(intrinsics.given(part.command, part.known)) if new is None else new
            for part, new in zip(cases, (left_command, right_command), strict=True)
        ]
        return intrinsics.chosen(condition, left, right), intrinsics.chosen(condition, *commands)
    container.arguments("command", command)
    if not unset:
        return _own(container, entry_point, command), None
    return _of_image(container, template, image, command, ask, sources)


def _present(value: Value) -> Value:
    return NO_VALUE if value is None else value


def _own(container: Container, entry_point: Value, command: Value) -> Value:
    """Return the entrypoint that the task itself gives."""
    arguments = container.arguments("entryPoint", entry_point)
    if arguments is None:
        return entry_point
    if arguments == [""]:
        if intrinsics.absent(command) or command == []:
            message = f"container `{container.name}` resets its entrypoint and gives no `command`"
            raise EmbedError(f"{message}: there is nothing to start", container.where_of("entryPoint"))
        return []
    return arguments


def _of_image(
    container: Container, template: Template, image: Value, command: Value, ask: Images, sources: dict[str, ImageConfig]
) -> tuple[Value, Value]:
    """Return entrypoint and command where the task leaves them to the image."""
    reference = _reference(image, template)
    config = ask(reference)
    if config is None:
        raise UnknownImageError(container, reference)
    sources[reference.reference or reference.expression] = config
    unset = intrinsics.absent(command) or command == []
    if unset and not config.entrypoint and not config.cmd:
        message = f"container `{container.name}` starts nothing"
        message = f"{message}: neither the task nor the image `{container.image}` says what"
        raise EmbedError(message, container.where_of("entryPoint"))
    return list(config.entrypoint), list(config.cmd) if unset and config.cmd else None


class UnknownImageError(EmbedError):
    """Only an image could say what a container starts, and nothing is known about it."""

    def __init__(self, container: Container, reference: Reference) -> None:
        self.container = container
        self.reference = reference
        super().__init__(f"nothing is known about the image `{reference.expression}`", container.where)


def _reference(image: Value, template: Template) -> Reference:
    resolved = template.resolve(image)
    expression = intrinsics.spelled(image)
    if isinstance(resolved.value, str) and resolved.value:
        return Reference(expression, resolved.value)
    # A parameter whose default is empty is as good as unknown.
    return Reference(expression, None, resolved.unknown or tuple(f"`{name}`" for name in _NAME.findall(expression)))


def _for_people(container: Container, launch: Launch) -> tuple[str, ...]:
    """Return the arguments that are started in the first of all cases."""
    first = next(intrinsics.branches(launch.entry_point))
    command = container.value.get("command") if launch.command is None else launch.command
    following = next(intrinsics.branches(command))
    return (*_spelled(first), *_spelled(following))


def _spelled(arguments: Value) -> list[str]:
    if isinstance(arguments, list):
        return [intrinsics.spelled(item) for item in arguments]
    return [] if arguments is None else [intrinsics.spelled(arguments)]
