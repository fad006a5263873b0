"""`bartizan app-embedded embed`: put the Defender into a Dockerfile."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from bartizan.cli.bundles import defender_files, defenders, install_bundle
from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_lines, write_bytes
from bartizan.cli.images import Images
from bartizan.cli.options import KnownImages, WaasPorts
from bartizan.cli.showing import show_diff

if TYPE_CHECKING:
    from bartizan.embed.dockerfile import DockerfileChoices, DockerfileProtection, DockerfileSettings
    from bartizan.embed.dockerfile.options import Architecture


@connects
def embed(  # noqa: PLR0913, PLR0917 - the options of the command
    connection: Connection,
    file: Annotated[str, typer.Argument(metavar="DOCKERFILE", help="The Dockerfile; - is standard input.")],
    app_id: Annotated[str, typer.Option(help="The name by which policies and audits know this app.")],
    console_host: Annotated[
        list[str] | None, typer.Option(help="Name under which Defenders reach the Console; may be repeated.")
    ] = None,
    data_folder: Annotated[str, typer.Option(help="Folder of the Defender in the image.")] = "/bartizan/",
    output_file: Annotated[
        str, typer.Option(help="The ZIP to write, by default app_embedded_embed_APP-ID.zip; - is standard output.")
    ] = "",
    bundle: Annotated[Path | None, typer.Option(help="Work offline, with what defenders/install-bundle gave.")] = None,
    defender: Annotated[
        list[str] | None, typer.Option(help="The Defender's binary, amd64=FILE,arm64=FILE.", metavar="ARCH=FILE")
    ] = None,
    image: KnownImages = None,
    extract_entrypoint: Annotated[bool, typer.Option(help="Ask the base image's registry, if need be.")] = False,  # noqa: FBT002
    target: Annotated[str | None, typer.Option(help="The stage to protect; the last one otherwise.")] = None,
    build_arg: Annotated[
        list[str] | None, typer.Option(help="A build argument, to know the base image.", metavar="NAME=VALUE")
    ] = None,
    platform: Annotated[
        str, typer.Option(help="Build for this platform only: linux/amd64 or linux/arm64.", metavar="OS/ARCH")
    ] = "",
    fail_mode: Annotated[
        Literal["open", "closed"], typer.Option(help="What to do when no policy can be had at start.")
    ] = "open",
    compat: Annotated[bool, typer.Option("--compat", help="Let programs of the image gain rights (setuid).")] = False,  # noqa: FBT002
    allow_32bit: Annotated[  # noqa: FBT002
        bool, typer.Option("--allow-32bit", help="Let 32-bit programs run, under the same rules (x86-64 only).")
    ] = False,
    waas_port: WaasPorts = None,
    migrate: Annotated[bool, typer.Option("--migrate", help="Replace the vendor's Defender.")] = False,  # noqa: FBT002
    filesystem_monitoring: Annotated[bool, typer.Option(help="Turn the file system sensor on.")] = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be done, write nothing.")] = False,  # noqa: FBT002
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change, write nothing.")] = False,  # noqa: FBT002
    report_format: Annotated[Literal["text", "json"], typer.Option("--format", help="How to report.")] = "text",
) -> None:
    """Put the Defender into a Dockerfile. Gives a ZIP with the new Dockerfile and the Defender; reports on stderr."""
    from bartizan.embed import EmbedError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.embed.dockerfile import DockerfileChoices, needed_image, write_archive  # noqa: PLC0415
    from bartizan.services.embed_dockerfile import archive_name, protect_for  # noqa: PLC0415

    client = connection.settings()
    reference = config = None
    text, files = read_lines(file), defender_files(defender or [])
    answer = install_bundle(bundle, client, ",".join(console_host or []))
    known = answer.get("defenderArchitectures") if client.address else None
    try:
        choices = DockerfileChoices(
            app_id=app_id,
            data_folder=data_folder,
            filesystem_monitoring=filesystem_monitoring,
            fail_mode=fail_mode,
            target=target,
            build_args=_build_args(build_arg or []),
            compat=compat,
            allow_32bit=allow_32bit,
            waas_ports=tuple(waas_port or ()),
            migrate=migrate,
            architecture=_architecture(platform),
        )
        settings = _settings(answer, choices)
        reference = needed_image(text, settings=settings)
        base = Images(client, image or [], ask_registries=extract_entrypoint)
        config = base.config(reference, architecture=settings.architecture or "amd64") if reference else None
        protection = protect_for(text, image=config, settings=settings, available=(*files, *(known or ())))
    except EmbedError as error:
        hint = f"; `--extract-entrypoint` asks its registry, `--image {reference}=…` says where it is"
        unknown = config is None and f"`{reference}`" in str(error)
        raise Failure(f"`{file}` is not protected: {error}{hint if unknown else ''}") from None
    protection = _warned(protection, Path(file))
    written = None
    if not dry_run and not diff:
        written = output_file or archive_name(app_id)
        binaries = defenders(protection.architectures, files, client)
        write_bytes(written, write_archive(protection, binaries=binaries))
    _tell(protection, report_format, sys.stderr if diff or written == "-" else sys.stdout, written)
    if diff:
        show_diff(text, protection.edits, name=file)


def _settings(answer: dict[str, Any], choices: "DockerfileChoices") -> "DockerfileSettings":
    from bartizan.embed.dockerfile import settings_of  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.settings import package_version  # noqa: PLC0415

    return settings_of(
        choices,
        bundle=str(answer.get("installBundle") or answer.get("bundle") or ""),
        ws_address=str(answer.get("wsAddress") or ""),
        version=str(answer.get("version") or package_version()),
    )


def _warned(protection: "DockerfileProtection", file: Path) -> "DockerfileProtection":
    """Return the protection with a warning when a `.dockerignore` beside the file keeps the Defender out."""
    from bartizan.embed.dockerfile import archive_name, is_ignored  # noqa: PLC0415 - keeps `--help` quick

    own = file.with_name(f"{file.name}.dockerignore")  # counts instead of the other (Docker docs, "Build context")
    rules = own if own.is_file() else file.with_name(".dockerignore")
    text = rules.read_text("utf-8", "replace") if rules.is_file() else ""
    if not any(is_ignored(archive_name(architecture), text) for architecture in protection.architectures):
        return protection
    warning = f"`{rules}` keeps the Defender from the builder: add the line `!bartizan/` at its end"
    report = replace(protection.report, warnings=(*protection.report.warnings, warning))
    return replace(protection, report=report)


def _tell(protection: "DockerfileProtection", report_format: str, free: TextIO, written: str | None) -> None:
    """Report to people on standard error; to programs on `free`, standard output if it is."""
    from bartizan.embed.dockerfile import render_report  # noqa: PLC0415 - keeps `--help` quick

    if report_format == "json":
        report = {_camel(name): value for name, value in asdict(protection.report).items()} | {"archive": written}
        free.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
        return
    sys.stderr.write(render_report(protection.report))
    if written not in (None, "-"):
        sys.stderr.write(f"wrote {written}\n")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _build_args(given: list[str]) -> dict[str, str]:
    args = {}
    for option in given:
        name, equals, value = option.partition("=")
        if not name or not equals:
            raise Failure(f"`{option}` is not NAME=VALUE, such as `--build-arg VERSION=3.20`")
        args[name] = value
    return args


def _architecture(platform: str) -> "Architecture | None":
    """Return the architecture of `linux/arm64`, `linux/arm64/v8` or `arm64`. Raises Failure."""
    from bartizan.embed.dockerfile.options import ARCHITECTURES  # noqa: PLC0415 - keeps `--help` quick

    if not platform:
        return None
    words = platform.split("/")
    architecture = words[0] if len(words) == 1 else words[1]
    if len(words) == 1 or words[0] == "linux":
        for known in ARCHITECTURES:
            if architecture == known:
                return known
    raise Failure(f"there is no Defender for `{platform}`: give linux/amd64 or linux/arm64")
