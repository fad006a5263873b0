"""`bartizan run-task` and `bartizan defender-image`."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text
from bartizan.cli.images import image_sources
from bartizan.cli.options import Images, Parameters, ParametersFiles
from bartizan.cli.parameters import read_parameters

if TYPE_CHECKING:
    from bartizan.runtask import Event, TaskRun

_SECCOMP_PROFILES = (
    Path("/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json"),
    Path("/usr/share/containers/seccomp.json"),
)


def run_task(  # noqa: PLR0913, PLR0917 - the options of the command
    file: Annotated[str, typer.Argument(help="A task definition or a CloudFormation template; - is standard input.")],
    image: Images = None,
    parameter: Parameters = None,
    parameters_file: ParametersFiles = None,
    task: Annotated[str | None, typer.Option(help="Which one, by logical ID or family, if there are several.")] = None,
    secrets: Annotated[Path | None, typer.Option(help="JSON file: name or valueFrom of a secret to its value.")] = None,
    network: Annotated[
        Literal["task", "none", "host"], typer.Option(help="The task's own, loopback only, or this machine's.")
    ] = "task",
    name_server: Annotated[str | None, typer.Option(help="Name server of the task; this machine's otherwise.")] = None,
    seccomp_profile: Annotated[
        Path | None, typer.Option(help="Docker's profile as JSON, if it is not installed.")
    ] = None,
    health_scale: Annotated[float, typer.Option(help="Multiplies the times of health checks.", min=0.01)] = 1.0,
) -> None:
    """Run a task definition on this machine the way Fargate would. Ends with the task's exit code."""
    from bartizan.registry import ImageError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.runtask import TaskError, TaskRun, check_platform  # noqa: PLC0415
    from bartizan.settings import read_client_settings  # noqa: PLC0415

    if problems := check_platform():
        raise Failure(f"a task cannot be run here: {'; '.join(problems)}")
    settings = read_client_settings(seccomp_profile=seccomp_profile)
    try:
        run = TaskRun(
            _definition(file, read_parameters(parameter or [], parameters_file or []), task),
            images=image_sources(image or []),
            secrets={str(name): str(value) for name, value in _json_object(str(secrets)).items()} if secrets else {},
            network=network,
            name_server=name_server,
            health_scale=health_scale,
            seccomp_profile=settings.seccomp_profile or _installed_profile(),
            cache_dir=settings.cache_directory,
            on_log=_print_log,
            on_event=_print_event,
        )
        code = asyncio.run(_until_the_end(run))
    except (TaskError, ImageError) as error:
        raise Failure(f"`{file}` cannot be run: {error}") from None
    raise typer.Exit(code)


async def _until_the_end(run: "TaskRun") -> int:
    """Run the task until it ends, or a signal asks for its end. A second signal does not hurry it: stopTimeout does."""
    async with run as task:
        asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, asked.set)
        _note(
            f"the task's address is {task.address}, this machine's is {task.host_address}, namespace {task.namespace}"
        )
        await task.start()
        ended = asyncio.create_task(task.wait())
        stopping = asyncio.create_task(asked.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            return ended.result()
        code = await task.stop()
        ended.cancel()
        return code


def _installed_profile() -> Path:
    for path in _SECCOMP_PROFILES:
        if path.is_file():
            return path
    package = "the Debian package golang-github-containers-common has one"
    raise Failure(f"there is no seccomp profile: give --seccomp-profile, or install one ({package})")


def _definition(file: str, parameters: dict[str, str], task: str | None) -> dict[str, Any]:
    """Return the definition to run; one of a template is what a deployment would make of it, as far as is known."""
    from bartizan.embed import EmbedError, deployed, is_template  # noqa: PLC0415 - keeps `--help` quick

    text = read_text(file)
    try:
        if not text.lstrip("\ufeff \t\r\n").startswith("{") or is_template(text):
            return dict(deployed(text, parameters=parameters, task=task))
    except EmbedError as error:
        raise Failure(f"`{file}` cannot be run: {error}") from None
    return _parsed(file, text)


def _json_object(name: str) -> dict[str, Any]:
    return _parsed(name, read_text(name))


def _parsed(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Failure(f"`{name}` is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Failure(f"`{name}` is no JSON object")
    return value


def _print_log(container: str, line: str) -> None:
    sys.stdout.write(f"{container} | {line}\n")
    sys.stdout.flush()


def _print_event(event: "Event") -> None:
    _note(f"{event.container} {event.kind}{f': {event.detail}' if event.detail else ''}")


def _note(text: str) -> None:
    sys.stderr.write(f"task | {text}\n")
    sys.stderr.flush()


def defender_image(
    output: Annotated[Path, typer.Option(help="An OCI layout directory, or a .tar for `docker load` and `skopeo`.")],
    binary: Annotated[Path | None, typer.Option(help="The Defender's binary.")] = None,
    architecture: Annotated[Literal["amd64", "arm64"], typer.Option(help="What the binary is for.")] = "amd64",
    reference: Annotated[str, typer.Option(help="Name of the image.")] = "",
    ca_bundle: Annotated[Path | None, typer.Option(help="Certificates to put into the image.")] = None,
) -> None:
    """Write the sidecar's image: the Defender and a volume, without a base image."""
    from bartizan.registry import ImageError, defender_image  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import read_settings  # noqa: PLC0415

    settings = read_settings()
    found = binary or (settings.defender_arm64 if architecture == "arm64" else settings.defender_amd64)
    if found is None:
        raise Failure("give --binary: the Defender's binary")
    name = reference or settings.defender_image
    try:
        digest = defender_image(output, binary=found, architecture=architecture, reference=name, ca_bundle=ca_bundle)
    except (ImageError, OSError) as error:
        raise Failure(f"the image cannot be written: {error}") from None
    sys.stdout.write(f"{name}@{digest}\n")
