"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Address = Annotated[
    str, typer.Option("--address", help="Address of the Console's API, https://HOST:8083.", metavar="URL")
]
User = Annotated[str, typer.Option("--user", "-u", help="User name.")]
Password = Annotated[
    str, typer.Option("--password", "-p", help="Password; rather set BARTIZAN_PASSWORD, which no process list shows.")
]
Token = Annotated[str, typer.Option("--token", help="Bearer token instead of user and password.")]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="The Console's certificate authority (ca.pem).")]
Insecure = Annotated[bool, typer.Option("--insecure", "-k", help="Do not check the Console's certificate.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", help="A parameter of the template, only to know an image.", metavar="NAME=VALUE"),
]
ParametersFiles = Annotated[
    list[Path] | None, typer.Option("--parameters-file", help="A file of them, as the AWS CLI takes it.")
]
FindPrivileged = Annotated[
    bool,
    typer.Option(
        "--find-privileged",
        help="Look through the layers of images for programs that gain rights (setuid, file capabilities).",
    ),
]
WaasPorts = Annotated[
    list[str] | None,
    typer.Option(
        "--waas-port",
        help="Let the firewall take the port EXPOSED and pass on to the application's, APP; may be repeated.",
        metavar="EXPOSED:APP",
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        help="Where an image is: REF=oci:DIR, REF=archive:FILE, REF=inspect:FILE, REF=REFERENCE; "
        "a container's name may stand for its image.",
        metavar="REF=SOURCE",
    ),
]
KnownImages = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        help="What an image is: REF=oci:DIR, REF=archive:FILE, or REF=inspect:FILE (of `docker image inspect`).",
        metavar="REF=SOURCE",
    ),
]
