"""What a container starts: Docker's rule about ENTRYPOINT and CMD.

The image's CMD is used only when the task sets neither `entryPoint` nor `command` (moby, `daemon/commit.go`, `merge`: a
given entrypoint clears the inherited CMD); null and `[]` mean unset; `[""]` resets the image's entrypoint (docs of
`docker run --entrypoint ""`). Arguments are never split, joined or quoted anew.
"""

from dataclasses import dataclass

from bartizan.embed.definition import Container
from bartizan.embed.errors import EmbedError

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

    `command` is None when the task's own `command`, or its absence, is left as it is. `source` is the image's
    configuration when it was needed.
    """

    entry_point: tuple[str, ...]
    command: tuple[str, ...] | None
    arguments: tuple[str, ...]
    """all that is started, for people"""
    source: ImageConfig | None

    @property
    def origin(self) -> str:
        """Where the entrypoint came from."""
        return FROM_TASK if self.source is None else self.source.origin


def needs_image(container: Container) -> bool:
    """Return whether the image must be known to know what `container` starts."""
    return container.entry_point is None


def resolve(container: Container, image: ImageConfig | None) -> Launch | None:
    """Return what `container` starts, None when only the image could say and it is not known.

    Raises `EmbedError` when there is nothing to start.
    """
    given, command = container.entry_point, container.command
    if given is None and image is None:
        return None
    source, new_command = None, None
    if given is None and image is not None:
        source = image
        given = list(image.entrypoint)
        new_command = image.cmd if command is None and image.cmd else None
    entry_point = () if given is None or given == [""] else tuple(given)
    arguments = (*entry_point, *(new_command if new_command is not None else command or ()))
    if not arguments:
        raise EmbedError(_nothing(container, source), container.where_of("entryPoint"))
    return Launch(entry_point, new_command, arguments, source)


def _nothing(container: Container, source: ImageConfig | None) -> str:
    if source is None:
        return f"container `{container.name}` resets its entrypoint and gives no `command`: there is nothing to start"
    return f"container `{container.name}` starts nothing: neither the task nor the image `{container.image}` says what"
