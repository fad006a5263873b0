"""`bartizan app-embedded …`: protect a task definition, take it out again, check that it is in."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bartizan.cli.bundles import install_bundle
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text, write_text
from bartizan.cli.options import Address, CaFile, Images, Insecure, Password, Token, User

if TYPE_CHECKING:
    from bartizan.embed import ImageConfig, ProtectSettings

app = typer.Typer(help="Embed the Defender into workloads.", no_args_is_help=True)


@app.command("generate-fargate-task")
def generate_fargate_task(  # noqa: PLR0913, PLR0917 - the options of the command
    file: Annotated[str, typer.Argument(help="The task definition; - is standard input.")],
    output_file: Annotated[str, typer.Option(help="Where the protected definition goes; - is standard output.")] = "-",
    console_host: Annotated[str, typer.Option(help="Name under which Defenders reach the Console.")] = "",
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002 - an option
    bundle: Annotated[Path | None, typer.Option(help="Work offline, with what defenders/install-bundle gave.")] = None,
    image: Images = None,
    extract_entrypoint: Annotated[bool, typer.Option(help="Ask registries for images not given.")] = False,  # noqa: FBT002
    defender_image: Annotated[str, typer.Option(help="The sidecar's image.")] = "",
    install_bundle_secret: Annotated[str, typer.Option(help="ARN of a secret that holds the install bundle.")] = "",
    include: Annotated[list[str] | None, typer.Option(help="Protect this container only; may be repeated.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave this container alone; may be repeated.")] = None,
    fail_mode: Annotated[
        Literal["open", "closed"], typer.Option(help="What to do when no policy can be had at start.")
    ] = "open",
    policy_timeout: Annotated[int | None, typer.Option(help="Seconds to wait for a policy at start.")] = None,
    non_essential: Annotated[bool, typer.Option(help="The task outlives its sidecar.")] = False,  # noqa: FBT002
    filesystem_monitoring: Annotated[bool, typer.Option(help="Turn the file system sensor on.")] = False,  # noqa: FBT002
    cloud_formation: Annotated[bool, typer.Option(help="The input is a CloudFormation template.")] = False,  # noqa: FBT002
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change, write nothing.")] = False,  # noqa: FBT002
) -> None:
    """Protect an ECS task definition. The result goes to --output-file, a report for people to standard error."""
    from bartizan.embed import EmbedError, protect, render_report, unified_diff  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import read_client_settings  # noqa: PLC0415

    if cloud_formation:
        raise Failure("CloudFormation templates are not supported yet: give the task definition as native JSON")
    client = read_client_settings(
        address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure
    )
    text = read_text(file)
    try:
        settings = _protect_settings(
            install_bundle(bundle, client, console_host),
            defender_image=defender_image,
            install_bundle_secret=install_bundle_secret or None,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            fail_mode=fail_mode,
            policy_timeout=policy_timeout,
            essential=not non_essential,
            filesystem_monitoring=filesystem_monitoring,
        )
        images = _image_configs(text, settings, given=image or [], ask_registries=extract_entrypoint)
        protection = protect(text, images=images, settings=settings)
    except EmbedError as error:
        raise Failure(f"`{file}` is not protected: {error}") from None
    sys.stderr.write(render_report(protection.report))
    if diff:
        sys.stdout.write(unified_diff(text, protection.edits))
    else:
        write_text(output_file, protection.text)


@app.command("unprotect")
def unprotect_command(
    file: Annotated[str, typer.Argument(help="A protected task definition; - is standard input.")],
    output_file: Annotated[str, typer.Option(help="Where the original goes; - is standard output.")] = "-",
) -> None:
    """Give back the definition that was protected, byte for byte."""
    from bartizan.embed import EmbedError, unprotect  # noqa: PLC0415 - keeps `--help` quick

    try:
        write_text(output_file, unprotect(read_text(file)))
    except EmbedError as error:
        raise Failure(f"`{file}` cannot be restored: {error}") from None


@app.command("verify")
def verify_command(
    file: Annotated[str, typer.Argument(help="A task definition; - is standard input.")],
    bundle: Annotated[Path | None, typer.Option(help="Check against this install bundle too.")] = None,
) -> None:
    """Exit with 1, and say why, when a definition is unprotected, stale or tampered with."""
    from bartizan.embed import EmbedError, verify  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import ClientSettings, package_version  # noqa: PLC0415

    try:
        settings = _protect_settings(install_bundle(bundle, ClientSettings(), "")) if bundle else None
        findings = verify(read_text(file), version=package_version(), settings=settings)
    except EmbedError as error:
        raise Failure(f"`{file}` cannot be checked: {error}") from None
    for finding in findings:
        place = f"{finding.where}: " if finding.where else ""
        sys.stderr.write(f"{finding.code}: {place}{finding.message}\n")
    if findings:
        raise typer.Exit(1)
    sys.stderr.write(f"{file}: protected, version {package_version()}\n")


def _protect_settings(
    answer: dict[str, Any],
    *,
    defender_image: str = "",
    install_bundle_secret: str | None = None,
    **choices: Any,  # noqa: ANN401
) -> "ProtectSettings":
    from bartizan.embed import ProtectSettings, read_bundle  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import package_version  # noqa: PLC0415

    bundle = str(answer.get("installBundle") or answer.get("bundle") or "")
    parsed = read_bundle(bundle)
    version = str(answer.get("version") or package_version())
    return ProtectSettings(
        defender_image=defender_image or str(answer.get("defenderImage") or f"bartizan/defender:{version}"),
        version=version,
        install_bundle=None if install_bundle_secret else bundle,
        install_bundle_secret=install_bundle_secret,
        bundle_id=parsed.id,
        bundle_secret=parsed.secret,
        ws_address=str(answer.get("wsAddress") or next(iter(parsed.addresses), "")),
        **choices,
    )


def _image_configs(
    text: str, settings: "ProtectSettings", *, given: list[str], ask_registries: bool
) -> dict[str, "ImageConfig"]:
    """Look up the images whose entrypoint the definition leaves open."""
    from bartizan.embed import ImageConfig, needed_images  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.registry import ImageError, open_image  # noqa: PLC0415

    sources = image_sources(given)
    configs = {}
    for reference in needed_images(text, settings=settings):
        source = sources.get(reference, reference if ask_registries else None)
        if source is None:
            continue
        try:
            opened = open_image(source)
        except ImageError as error:
            raise Failure(f"image `{reference}` cannot be looked up: {error}") from None
        configs[reference] = ImageConfig(
            entrypoint=opened.config.entrypoint, cmd=opened.config.cmd, origin=source, digest=opened.digest
        )
    return configs


def image_sources(given: list[str]) -> dict[str, str]:
    """Read `REF=SOURCE` options. Raises Failure for one without `=`."""
    sources = {}
    for option in given:
        reference, equals, source = option.partition("=")
        if not (reference and equals and source):
            raise Failure(f"`{option}` is not REF=SOURCE, such as `nginx=oci:./images/nginx`")
        sources[reference] = source
    return sources
