"""What a Dockerfile is protected with: the Console's bundle and the user's choices."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from bartizan.embed.errors import EmbedError
from bartizan.embed.options import FailMode, read_bundle
from bartizan.embed.waas_ports import WaasPort, read_waas_ports

Architecture = Literal["amd64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
"""The architectures there is a Defender for, by their names in Docker."""

_TAKEN = ("", "dev", "proc", "sys")
"""the root itself, and what runtimes mount other file systems on"""
LONGEST_APP_ID = 512
"""What Defender and Console take (`contract/channel.schema.json`); with more the image would not start."""

_FOLDER = re.compile(r"/[A-Za-z0-9._/+-]+").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileChoices:
    """What a user chooses of the protection of a Dockerfile, on the command line and over the API alike."""

    app_id: str
    data_folder: str = "/bartizan/"
    filesystem_monitoring: bool = False
    fail_mode: FailMode = "open"
    target: str | None = None
    """name or number of the stage to protect; None is the last one"""
    build_args: Mapping[str, str] = field(default_factory=dict)
    """what is given to the build as `--build-arg`"""
    architecture: Architecture | None = None
    """the only architecture the image is built for; None reads it from the Dockerfile, or allows for both"""
    compat: bool = False
    """whether the programs of the image must be able to gain rights; connections are then judged once they stand"""
    allow_32bit: bool = False
    """whether 32-bit programs may run, under the same rules"""
    waas_ports: tuple[str, ...] = ()
    """`EXPOSED:APP` pairs: the firewall takes the port EXPOSED and passes on to the program's, APP"""
    migrate: bool = False
    """take out the vendor's Defender instead of refusing the file"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileSettings(DockerfileChoices):
    """How a Dockerfile is protected; raises `EmbedError` for settings that cannot be met.

    `ws_address` may be empty when the bundle has an address. `data_folder` ends in a slash afterwards.
    """

    install_bundle: str = field(repr=False)
    version: str
    ws_address: str = ""

    def __post_init__(self) -> None:
        """Fill in what follows from other settings, and check."""
        bundle = self.install_bundle.strip()
        object.__setattr__(self, "install_bundle", bundle)
        if not self.ws_address:
            object.__setattr__(self, "ws_address", next(iter(read_bundle(bundle).addresses), ""))
        for name in ("app_id", "install_bundle", "version", "ws_address"):
            _check_text(name, getattr(self, name), secret=name == "install_bundle")
        if len(self.app_id) > LONGEST_APP_ID:
            raise EmbedError(f"the App ID has {len(self.app_id)} characters: a Defender takes {LONGEST_APP_ID}")
        object.__setattr__(self, "data_folder", _folder(self.data_folder))
        read_waas_ports(self.waas_ports)
        if self.fail_mode not in get_args(FailMode):
            raise EmbedError(f"the fail mode `{self.fail_mode}` is neither `open` nor `closed`")
        if self.architecture not in (None, *ARCHITECTURES):
            raise EmbedError(f"there is no Defender for `{self.architecture}`: choose `amd64` or `arm64`")

    @property
    def ports(self) -> tuple[WaasPort, ...]:
        """The firewall's ports."""
        return read_waas_ports(self.waas_ports)

    @property
    def program(self) -> str:
        """The Defender's path in the image."""
        return f"{self.data_folder}defender"


def settings_of(choices: DockerfileChoices, *, bundle: str, ws_address: str, version: str) -> DockerfileSettings:
    """Return what a Dockerfile is protected with: what the user chose, and the Console's. Raises `EmbedError`."""
    chosen = {each.name: getattr(choices, each.name) for each in fields(DockerfileChoices)}
    return DockerfileSettings(**chosen, install_bundle=bundle, ws_address=ws_address, version=version)


def _check_text(name: str, value: str, *, secret: bool) -> None:
    if not value:
        raise EmbedError(f"the setting `{name}` is empty")
    if not value.isprintable() or (secret and " " in value):
        shown = "" if secret else f" `{value.encode('unicode_escape').decode()}`"
        raise EmbedError(f"the setting `{name}`{shown} has characters that no variable of a Dockerfile can carry")


def _folder(given: str) -> str:
    if not _FOLDER(given) or ".." in given.split("/"):
        message = f"the data folder `{given}` is not an absolute path of letters, digits and `._+-`"
        raise EmbedError(f"{message}: choose one like `/bartizan/`")
    folder = posixpath.normpath(given).replace("//", "/")
    if folder.split("/")[1] in _TAKEN:
        raise EmbedError(f"the data folder cannot be `{folder}`: choose one like `/bartizan/`")
    return f"{folder}/"
