"""`bartizan registry …`: the registries that a Console may ask, and the credentials for them."""

import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text
from bartizan.cli.terminal import Json, write_json, write_table

app = typer.Typer(help="Registries that the Console looks images up in.", no_args_is_help=True)
credential = typer.Typer(help="Credentials for registries; their secrets are never given back.", no_args_is_help=True)
app.add_typer(credential, name="credential")
_Name = Annotated[str, typer.Argument(help="The credential's name.")]
_Kind = Literal["basic", "aws", "ecr", "apiToken", "jfrog"]
_TOKENS = ("apiToken", "jfrog")


@credential.command("add")
@connects
def add_credential(  # noqa: PLR0913, PLR0917 - the options of the command
    connection: Connection,
    name: _Name,
    kind: Annotated[_Kind, typer.Option("--type", help="What it is.")] = "basic",
    account: Annotated[str, typer.Option("--account", help="User name, or the id of the AWS access key.")] = "",
    registry: Annotated[
        str, typer.Option(help="The only registry that the secret may be sent to.", metavar="URL")
    ] = "",
    region: Annotated[str, typer.Option(help="Region of AWS, where the registry's name has none.")] = "",
    role_arn: Annotated[str, typer.Option(help="Role of AWS to assume first.")] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    secret_file: Annotated[
        str, typer.Option(help="File with the secret; - is standard input. Otherwise it is asked for.", metavar="FILE")
    ] = "",
    secret: Annotated[
        str, typer.Option(help="The secret itself; everybody on this machine sees it in the process list.")
    ] = "",
) -> None:
    """Keep a credential, or replace the one of this name. The secret is read from a file or from standard input."""
    given = _secret(secret, secret_file)
    client = connection.client()
    body = {
        "_id": name,
        "type": kind,
        "accountID": account,
        "url": registry,
        "region": region,
        "roleArn": role_arn,
        "description": description,
        "apiToken" if kind in _TOKENS else "secret": {"plain": given},
    }
    client.call("POST", "credentials", body=body)
    sys.stderr.write(f"credential `{name}` is kept\n")


@credential.command("list")
@connects
def list_credentials(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List the credentials, without their secrets."""
    found = connection.client().call("GET", "credentials")
    if raw:
        write_json(found)
        return
    rows = [
        (item["_id"], item["type"], item["accountID"] or "-", item["url"] or "-", item["description"]) for item in found
    ]
    write_table(("NAME", "TYPE", "ACCOUNT", "REGISTRY", "DESCRIPTION"), rows, nothing="no credentials are kept")


@credential.command("delete")
@connects
def delete_credential(
    connection: Connection,
    name: _Name,
) -> None:
    """Remove a credential; one that is in use stays, and the error names who uses it."""
    client = connection.client()
    client.call("DELETE", f"credentials/{quote(name, safe='')}")
    sys.stderr.write(f"credential `{name}` is removed\n")


@credential.command("rotate-key")
@connects
def rotate_key(
    connection: Connection,
) -> None:
    """Seal all secrets with a new key, and forget the old one."""
    client = connection.client()
    count = client.call("POST", "credentials/rotate-key")["resealed"]
    sys.stderr.write(f"{count} secrets are sealed with a new key\n")


@app.command("add")
@connects
def add_registry(
    connection: Connection,
    registry: Annotated[str, typer.Argument(help="Address of the registry; docker.io is Docker Hub.")],
    version: Annotated[str, typer.Option("--type", help="2 (Docker Registry v2), aws, jfrog, dockerhub, …")] = "2",
    name: Annotated[str, typer.Option("--credential", help="Name of its credential.")] = "",
    repository: Annotated[str, typer.Option(help="Only these repositories; * stands for any characters.")] = "",
    ca_cert: Annotated[Path | None, typer.Option(help="Authority of its certificate (PEM).")] = None,
) -> None:
    """Let the Console know a registry: it may then have a private address, and is asked with this credential."""
    authority = read_text(str(ca_cert)) if ca_cert is not None else ""
    client = connection.client()
    body = {
        "version": version,
        "registry": "" if version == "dockerhub" else registry,
        "repository": repository,
        "credentialID": name,
        "caCert": authority,
    }
    client.call("POST", "settings/registry", body=body)
    sys.stderr.write(f"registry `{registry}` is known\n")


@app.command("delete")
@connects
def delete_registry(
    connection: Connection,
    registry: Annotated[str, typer.Argument(help="Address of the registry, as `list` shows it.")],
) -> None:
    """Forget all specifications of a registry."""
    client = connection.client()
    present = client.call("GET", "settings/registry")["specifications"]
    kept = [item for item in present if (item["registry"] or "docker.io") != registry]
    if len(kept) == len(present):
        raise Failure(f"the Console knows no registry `{registry}`")
    client.call("PUT", "settings/registry", body={"specifications": kept})
    sys.stderr.write(f"registry `{registry}` is forgotten\n")


@app.command("list")
@connects
def list_registries(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List the registries in the order in which they are tried."""
    found = connection.client().call("GET", "settings/registry")["specifications"]
    if raw:
        write_json(found)
        return
    rows = [
        (item["registry"] or "docker.io", item["version"], item["repository"] or "*", item["credentialID"] or "-")
        for item in found
    ]
    write_table(("REGISTRY", "TYPE", "REPOSITORIES", "CREDENTIAL"), rows, nothing="the Console knows no registry")


def _secret(given: str, file: str) -> str:
    """Return the secret, without the line break that editors and `echo` put behind it. Raises Failure."""
    if given and file:
        raise Failure("give --secret-file or --secret, not both")
    if given:
        return given
    if not file and sys.stdin.isatty():
        return str(typer.prompt("Secret", hide_input=True))
    secret = read_text(file or "-").removesuffix("\n").removesuffix("\r")
    if not secret:
        raise Failure(f"`{file or '-'}` holds no secret")
    return secret
