"""`bartizan app-embedded embed-manifest`: put apps of Cloud Foundry under the Defender."""

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from bartizan.cli.app_folders import Folders
from bartizan.cli.bundles import defender_files, defenders, install_bundle
from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_lines, read_text, write_text
from bartizan.cli.images import Images as ImageLookUp
from bartizan.cli.options import Images
from bartizan.cli.showing import show_diff

if TYPE_CHECKING:
    from bartizan.embed import Finding, ImageConfig
    from bartizan.embed.cloud_foundry import ManifestReport, ManifestSettings
    from bartizan.embed.json_text import Value

AppDirs = Annotated[
    list[str] | None,
    typer.Option("--app-dir", help="Where an app's files are, when not at its `path`.", metavar="[APP=]DIR"),
]
Variables = Annotated[
    list[str] | None, typer.Option("--var", help="A ((variable)), only to know things.", metavar="NAME=VALUE")
]
VariablesFiles = Annotated[list[Path] | None, typer.Option("--vars-file", help="A file of them, as cf takes it.")]


@connects
def embed_manifest(  # noqa: PLR0913, PLR0917 - the options of the command
    connection: Connection,
    file: Annotated[str, typer.Argument(metavar="MANIFEST", help="The manifest; - is standard input.")],
    output_file: Annotated[str, typer.Option(help="Where the protected manifest goes; - is standard output.")] = "-",
    console_host: Annotated[
        list[str] | None, typer.Option(help="Name under which Defenders reach the Console; may be repeated.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Work offline, with what defenders/install-bundle gave.")] = None,
    bundle_var: Annotated[str, typer.Option(help="Write ((NAME)) in place of the bundle.", metavar="NAME")] = "",
    bundle_vars_file: Annotated[
        Path | None, typer.Option(help="Write the bundle to this file, for `cf push --vars-file`.")
    ] = None,
    app_id: Annotated[
        list[str] | None, typer.Option(help="The name by which policies know an app.", metavar="[APP=]ID")
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option(help="What starts where the manifest does not say.", metavar="APP[/TYPE]=LINE"),
    ] = None,
    image: Images = None,
    extract_entrypoint: Annotated[bool, typer.Option(help="Ask registries for images not given.")] = False,  # noqa: FBT002
    image_defender: Annotated[
        str, typer.Option(help="Where images that apps run have the Defender.", metavar="PATH")
    ] = "",
    defender: Annotated[
        list[str] | None, typer.Option(help="The Defender's binary, amd64=FILE.", metavar="ARCH=FILE")
    ] = None,
    architecture: Annotated[
        Literal["amd64", "arm64"], typer.Option(help="The cells' processor; all stacks of today are amd64.")
    ] = "amd64",
    app_dir: AppDirs = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files called `defender`.")] = False,  # noqa: FBT002
    var: Variables = None,
    vars_file: VariablesFiles = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Protect these only; may be repeated.", metavar="APP[/TYPE]")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave these alone; may be repeated.", metavar="APP[/TYPE]")
    ] = None,
    compat: Annotated[
        list[str] | None,
        typer.Option(help="Let programs of these apps gain rights (setuid); may be repeated.", metavar="APP"),
    ] = None,
    allow_32bit: Annotated[  # noqa: FBT002
        bool, typer.Option("--allow-32bit", help="Let 32-bit programs run, under the same rules (x86-64 only).")
    ] = False,
    waas_port: Annotated[
        list[str] | None,
        typer.Option(
            help="Let the firewall take the port EXPOSED, $PORT of old, and pass on to the web process's new one, APP.",
            metavar="[APP=]EXPOSED:APP",
        ),
    ] = None,
    fail_mode: Annotated[
        Literal["open", "closed"], typer.Option(help="What to do when no policy can be had at start.")
    ] = "open",
    policy_timeout: Annotated[int | None, typer.Option(help="Seconds to wait for a policy at start.")] = None,
    filesystem_monitoring: Annotated[bool, typer.Option(help="Turn the file system sensor on.")] = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be done, write nothing.")] = False,  # noqa: FBT002
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change, write nothing.")] = False,  # noqa: FBT002
    report_format: Annotated[Literal["text", "json"], typer.Option("--format", help="How to report.")] = "text",
) -> None:
    """Put the apps of a manifest under the Defender, and the Defender beside them. Reports on standard error."""
    from bartizan.embed import EmbedError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.embed.cloud_foundry import installed, protect  # noqa: PLC0415

    client = connection.settings()
    text, variables = read_lines(file), read_variables(var or [], vars_file or [])
    answer = install_bundle(bundle, client, ",".join(console_host or []))
    wanted = (architecture,) if not (dry_run or diff) else ()
    try:
        folders = Folders(text, manifest=file, given=app_dir or [], variables=variables)
        files = defender_files(defender or [])
        content = next(iter(defenders(wanted, files, client).values()), b"") if folders.any_droplet else b""
        settings = _settings(
            answer,
            bundle_var,
            app_ids=_named(app_id or [], folders.names),
            commands=_lines(command or []),
            variables=variables,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            image_defender=image_defender or None,
            compat=tuple(compat or ()),
            allow_32bit=allow_32bit,
            waas_ports=_named(waas_port or [], folders.names),
            fail_mode=fail_mode,
            policy_timeout=policy_timeout,
            filesystem_monitoring=filesystem_monitoring,
            defender=hashlib.sha256(content).hexdigest() if content else "",
        )
        images = _images(folders, ImageLookUp(client, image or [], ask_registries=extract_entrypoint))
        protection = protect(text, settings=settings, procfiles=folders.procfiles(), images=images)
        earlier = installed(text).defender
    except EmbedError as error:
        raise Failure(f"`{file}` is not protected: {error}") from None
    writes = not (dry_run or diff)
    if writes:
        with folders.holding(content, protection.folders, known=(earlier, settings.defender), force=force):
            if bundle_var and bundle_vars_file is not None:
                write_text(str(bundle_vars_file), f"{bundle_var}: {bundle_text(answer)}\n")
            write_text(output_file, protection.text)
    show_report(protection.report, report_format, sys.stderr if diff or (writes and output_file == "-") else sys.stdout)
    if diff:
        show_diff(text, protection.edits, name=file)
    if writes and bundle_var:
        where = bundle_vars_file or f"FILE, where FILE says `{bundle_var}: …` (see --bundle-vars-file)"
        sys.stderr.write(f"push with: cf push --vars-file {where}\n")


def bundle_text(answer: dict[str, Any]) -> str:
    """Return the install bundle of what `defenders/install-bundle` says."""
    return str(answer.get("installBundle") or answer.get("bundle") or "")


def _settings(answer: dict[str, Any], bundle_var: str, **choices: Any) -> "ManifestSettings":  # noqa: ANN401 - options of the command
    from bartizan.embed import read_bundle  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.embed.cloud_foundry import ManifestSettings  # noqa: PLC0415
    from bartizan.settings import package_version  # noqa: PLC0415

    parsed = read_bundle(bundle_text(answer))
    return ManifestSettings(
        install_bundle=None if bundle_var else bundle_text(answer),
        bundle_variable=bundle_var or None,
        bundle_id=parsed.id,
        ws_address=str(answer.get("wsAddress") or next(iter(parsed.addresses), "")),
        version=str(answer.get("version") or package_version()),
        **choices,
    )


def read_variables(given: list[str], files: list[Path]) -> "dict[str, Value]":
    """Return the values of variables; what is given on the command line goes before what files say. Raises Failure."""
    from bartizan.embed import EmbedError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.embed.cloud_foundry import read_variables as read  # noqa: PLC0415

    variables: dict[str, Value] = {}
    for path in files:
        try:
            variables |= read(read_text(str(path)))
        except EmbedError as error:
            raise Failure(f"`{path}` is no file of variables: {error}") from None
    for option in given:
        name, equals, value = option.partition("=")
        if not name or not equals:
            raise Failure("a --var is not NAME=VALUE, such as `--var domain=example.com`")
        variables[name] = value
    return variables


def _named(given: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """Read options such as `[APP=]ID`: without an app the only one is meant."""
    found = {}
    for option in given:
        name, equals, value = option.partition("=")
        if equals and name in names:
            found[name] = value
        elif len(names) == 1:
            found[""] = option
        else:
            raise Failure(f"`{option}` does not name its app (`APP=…`): the manifest has more than one app")
    return found


def _lines(given: list[str]) -> dict[str, str]:
    lines = {}
    for option in given:
        key, equals, line = option.partition("=")
        if not equals or not line.strip():
            raise Failure(f"`{option}` is not APP=LINE or APP/TYPE=LINE, such as `--command 'shop=npm start'`")
        lines[key] = line
    return lines


def _images(folders: Folders, look_up: ImageLookUp) -> "dict[str, ImageConfig]":
    found = {}
    for reference, known_as in folders.images():
        config = look_up.config(known_as, reference)
        if config is not None:
            found[reference] = config
    return found


def show_report(report: "ManifestReport", report_format: str, free: TextIO) -> None:
    """Report to people on standard error; to programs, as JSON, on `free`."""
    from bartizan.embed.cloud_foundry import render_report, report_value  # noqa: PLC0415 - keeps `--help` quick

    if report_format == "json":
        free.write(json.dumps(report_value(report), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stderr.write(render_report(report))


def unprotect_manifest(text: str, *, file: str, output_file: str, app_dirs: list[str]) -> None:
    """Give back a manifest, and take the Defender away from beside its apps. Raises Failure, EmbedError."""
    from bartizan.embed.cloud_foundry import installed, unprotect  # noqa: PLC0415 - keeps `--help` quick

    original, found = unprotect(text), installed(text)
    folders = Folders(text, manifest=file, given=app_dirs, variables={})
    write_text(output_file, original)
    for line in folders.take_away(found.folders, found.defender):
        sys.stderr.write(line + "\n")
    sys.stderr.write("an app without a command keeps the one it was pushed with: `cf push -c null` gives it up\n")


def missing_defenders(text: str, *, file: str, app_dirs: list[str]) -> "list[Finding]":
    """Return a finding for each app beside which the Defender should lie and does not. Raises EmbedError, Failure."""
    from bartizan.embed import Finding, Where  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.embed.cloud_foundry import installed  # noqa: PLC0415

    found = installed(text)
    folders = Folders(text, manifest=file, given=app_dirs, variables={})
    return [
        Finding("tampered", message, Where(1, 1), app) for app, message in folders.faults(found.folders, found.defender)
    ]
