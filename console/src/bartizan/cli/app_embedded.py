"""`bartizan app-embedded …`: protect task definitions, take the protection out again, check that it is in."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bartizan.cli.bundles import install_bundle
from bartizan.cli.connection import Connection, connects
from bartizan.cli.embed_manifest import AppDirs, bundle_text, missing_defenders, unprotect_manifest
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text, write_text
from bartizan.cli.images import Images as ImageLookUp
from bartizan.cli.options import FindPrivileged, Images, Parameters, ParametersFiles, WaasPorts
from bartizan.cli.parameters import read_parameters
from bartizan.cli.showing import show_diff, show_reports

if TYPE_CHECKING:
    from bartizan.embed import ImageConfig, ProtectSettings, Report, TaskChoices

app = typer.Typer(help="Embed the Defender into workloads.", no_args_is_help=True)

Bundle = Annotated[Path | None, typer.Option(help="Work offline, with what defenders/install-bundle gave.")]
Selectors = "NAME|label:KEY[=VALUE]|tag:KEY[=VALUE]"


@app.command("generate-fargate-task")
@connects
def generate_fargate_task(  # noqa: PLR0913, PLR0917 - the options of the command
    connection: Connection,
    file: Annotated[
        str, typer.Argument(help="Task definition or CloudFormation template, JSON or YAML; - is standard input.")
    ],
    output_file: Annotated[str, typer.Option(help="Where the protected definition goes; - is standard output.")] = "-",
    console_host: Annotated[
        list[str] | None, typer.Option(help="Name under which Defenders reach the Console; may be repeated.")
    ] = None,
    bundle: Bundle = None,
    image: Images = None,
    extract_entrypoint: Annotated[bool, typer.Option(help="Ask registries for images not given.")] = False,  # noqa: FBT002
    find_privileged: FindPrivileged = False,  # noqa: FBT002
    pin_digest: Annotated[bool, typer.Option(help="Write the digests of the images that were looked at.")] = False,  # noqa: FBT002
    parameter: Parameters = None,
    parameters_file: ParametersFiles = None,
    defender_image: Annotated[str, typer.Option(help="The sidecar's image.")] = "",
    defender_image_pull_secret: Annotated[str, typer.Option(help="ARN of the secret to pull it with.")] = "",
    install_bundle_secret: Annotated[
        str, typer.Option(help="ARN of a secret or an SSM parameter that holds the install bundle.")
    ] = "",
    include: Annotated[
        list[str] | None, typer.Option(help="Protect these containers only; may be repeated.", metavar=Selectors)
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave these containers alone; may be repeated.", metavar=Selectors)
    ] = None,
    compat: Annotated[
        list[str] | None,
        typer.Option(help="Let programs of these containers gain rights (setuid); may be repeated.", metavar=Selectors),
    ] = None,
    allow_32bit: Annotated[  # noqa: FBT002
        bool, typer.Option("--allow-32bit", help="Let 32-bit programs run, under the same rules (x86-64 only).")
    ] = False,
    waas_port: WaasPorts = None,
    fail_mode: Annotated[
        Literal["open", "closed"], typer.Option(help="What to do when no policy can be had at start.")
    ] = "open",
    policy_timeout: Annotated[int | None, typer.Option(help="Seconds to wait for a policy at start.")] = None,
    non_essential: Annotated[bool, typer.Option(help="The task outlives its sidecar.")] = False,  # noqa: FBT002
    filesystem_monitoring: Annotated[bool, typer.Option(help="Turn the file system sensor on.")] = False,  # noqa: FBT002
    cloud_formation: Annotated[bool, typer.Option("--cloud-formation", help="Take CloudFormation only.")] = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be done, write nothing.")] = False,  # noqa: FBT002
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change, write nothing.")] = False,  # noqa: FBT002
    report_format: Annotated[Literal["text", "json"], typer.Option("--format", help="How to report.")] = "text",
) -> None:
    """Protect an ECS task definition, or those of a template. Gives the result; a report goes to standard error."""
    from bartizan.embed import EmbedError, TaskChoices, is_template, protect  # noqa: PLC0415 - keeps `--help` quick

    client = connection.settings()
    text = read_text(file)
    parameters = read_parameters(parameter or [], parameters_file or [])
    try:
        if cloud_formation and not is_template(text):
            raise Failure(f"`{file}` is no CloudFormation template: leave `--cloud-formation` out to protect it")
        choices = TaskChoices(
            install_bundle_secret=install_bundle_secret or None,
            image_pull_secret=defender_image_pull_secret or None,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            compat=tuple(compat or ()),
            allow_32bit=allow_32bit,
            waas_ports=tuple(waas_port or ()),
            fail_mode=fail_mode,
            policy_timeout=policy_timeout,
            essential=not non_essential,
            filesystem_monitoring=filesystem_monitoring,
            pin_digest=pin_digest,
        )
        answer = install_bundle(bundle, client, ",".join(console_host or []))
        settings = protect_settings(answer, choices, defender_image=defender_image)
        known = ImageLookUp(client, image or [], ask_registries=extract_entrypoint or pin_digest)
        images = _image_configs(text, settings, parameters, known)
        protection = protect(text, images=images, settings=settings, parameters=parameters)
    except EmbedError as error:
        raise Failure(f"`{file}` is not protected: {error}") from None
    if not compat:
        reports = [_with_privileged(report, known, ask_registries=find_privileged) for report in protection.reports]
        protection = replace(protection, reports=tuple(reports))
    writes_text = output_file == "-" and not dry_run
    if not dry_run and not diff:
        write_text(output_file, protection.text)
    show_reports(protection.reports, report_format, sys.stderr if diff or writes_text else sys.stdout)
    if diff:
        show_diff(text, protection.edits, name=file)


@app.command("unprotect")
def unprotect_command(
    file: Annotated[str, typer.Argument(help="What was protected; - is standard input.")],
    output_file: Annotated[str, typer.Option(help="Where the original goes; - is standard output.")] = "-",
    app_dir: AppDirs = None,
) -> None:
    """Give back what was protected, byte for byte: a task definition, a template, a Dockerfile, a manifest."""
    from bartizan.embed import EmbedError, cloud_foundry, dockerfile, unprotect  # noqa: PLC0415 - keeps `--help` quick

    text = read_text(file)
    try:
        if not is_dockerfile(text) and cloud_foundry.is_manifest(text):
            unprotect_manifest(text, file=file, output_file=output_file, app_dirs=app_dir or [])
            return
        write_text(output_file, (dockerfile.unprotect if is_dockerfile(text) else unprotect)(text))
    except EmbedError as error:
        raise Failure(f"`{file}` cannot be restored: {error}") from None


@app.command("verify")
def verify_command(
    file: Annotated[
        str, typer.Argument(help="A task definition, template, Dockerfile or manifest; - is standard input.")
    ],
    bundle: Annotated[Path | None, typer.Option(help="Check against this install bundle too.")] = None,
    app_dir: AppDirs = None,
) -> None:
    """Exit with 1, and say why, when something is unprotected, stale or tampered with."""
    from bartizan.embed import EmbedError, TaskChoices, cloud_foundry, dockerfile, verify  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import ClientSettings, package_version  # noqa: PLC0415

    text = read_text(file)
    try:
        if is_dockerfile(text):
            findings = dockerfile.verify(text, version=package_version())
        elif cloud_foundry.is_manifest(text):
            wanted = bundle_text(install_bundle(bundle, ClientSettings(), "")) if bundle else None
            findings = cloud_foundry.verify(text, version=package_version(), install_bundle=wanted)
            findings += missing_defenders(text, file=file, app_dirs=app_dir or [])
        else:
            settings = protect_settings(install_bundle(bundle, ClientSettings(), ""), TaskChoices()) if bundle else None
            findings = verify(text, version=package_version(), settings=settings)
    except EmbedError as error:
        raise Failure(f"`{file}` cannot be checked: {error}") from None
    for finding in findings:
        place = f"{finding.where}: " if finding.where else ""
        sys.stderr.write(f"{finding.code}: {place}{finding.message}\n")
    if findings:
        raise typer.Exit(1)
    sys.stderr.write(f"{file}: protected, version {package_version()}\n")


@app.command("explain")
def explain_command(
    file: Annotated[
        str,
        typer.Argument(help="A protected task definition, template, Dockerfile or manifest; - is standard input."),
    ],
) -> None:
    """Say what the protection changed, one line per value, and why."""
    from bartizan.embed import EmbedError, cloud_foundry, dockerfile, explain, explain_protection  # noqa: PLC0415 - keeps `--help` quick

    text = read_text(file)
    explained = explain_protection
    if is_dockerfile(text):
        explained = dockerfile.explain_protection
    elif cloud_foundry.is_manifest(text):
        explained = cloud_foundry.explain_protection
    try:
        sys.stdout.write(explain(explained(text)) + "\n")
    except EmbedError as error:
        raise Failure(f"`{file}` cannot be explained: {error}") from None


def is_dockerfile(text: str) -> bool:
    """Return whether a text is a Dockerfile rather than JSON or YAML: its first instruction is FROM or ARG."""
    for line in text.splitlines():
        word = line.split(maxsplit=1)[:1]
        if word and not word[0].startswith("#"):
            return word[0].upper() in {"FROM", "ARG"}
    return False


def protect_settings(answer: dict[str, Any], choices: "TaskChoices", *, defender_image: str = "") -> "ProtectSettings":
    """Return settings from what the Console's `defenders/install-bundle` says and the user's choices."""
    from bartizan.embed import settings_of  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import package_version  # noqa: PLC0415

    version = str(answer.get("version") or package_version())
    return settings_of(
        choices,
        bundle=bundle_text(answer),
        ws_address=str(answer.get("wsAddress") or ""),
        defender_image=defender_image or str(answer.get("defenderImage") or f"bartizan/defender:{version}"),
        version=version,
    )


def _with_privileged(report: "Report", images: ImageLookUp, *, ask_registries: bool) -> "Report":
    """Return the report with a warning for each image whose programs gain rights, which the Defender forbids."""
    from bartizan.embed import privileged_warning  # noqa: PLC0415 - keeps `--help` quick

    warnings = []
    for container in report.containers:
        if container.skipped is None:
            found = images.privileged(container.image, container.name, ask_registries=ask_registries)
            if found:
                warnings.append(f"{privileged_warning(container.name, found)} (--compat {container.name})")
    return replace(report, warnings=(*report.warnings, *warnings))


def _image_configs(
    text: str, settings: "ProtectSettings", parameters: dict[str, str], images: ImageLookUp
) -> dict[str, "ImageConfig"]:
    """Look up the images whose entrypoint the text leaves open."""
    from bartizan.embed import needed_images  # noqa: PLC0415 - keeps `--help` quick

    configs = {}
    for needed in needed_images(text, settings=settings, parameters=parameters):
        names = (needed.reference, needed.expression, needed.container)
        found = images.config(*names, architecture=needed.architecture)
        if found is not None:
            configs[needed.reference or needed.expression] = found
    return configs
