"""What a protected definition is made with: the Console's bundle and the user's choices."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

import msgspec

from bartizan.embed.errors import EmbedError
from bartizan.embed.waas_ports import read_waas_ports

FailMode = Literal["open", "closed"]

SIDECAR = "BartizanDefender"
# ECS API reference, ContainerDefinition, `name`.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}").fullmatch
# RFC 4122, appendix C: the name space of URLs.
_NAMESPACE_URL = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")


class InstallBundle(msgspec.Struct, frozen=True):
    """What a Defender needs to enrol: who to trust, where to call and with what. The secret never shows in messages."""

    id: str
    secret: str
    addresses: list[str] = []
    v: int = 1

    def __repr__(self) -> str:
        """Return the bundle without its secret."""
        return f"InstallBundle(id={self.id!r})"


def read_bundle(text: str) -> InstallBundle:
    """Read an install bundle, base64 of JSON as the Console gives it out; raise `EmbedError` without repeating it."""
    try:
        return msgspec.json.decode(base64.b64decode(text.strip(), validate=True), type=InstallBundle)
    except (binascii.Error, ValueError, RecursionError):
        raise EmbedError("the install bundle is not one: get it from the Console again") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskChoices:
    """What a user chooses of the protection of a task, on the command line and over the API alike."""

    image_pull_secret: str | None = None
    """ARN of the secret that lets ECS pull the sidecar's image (`repositoryCredentials`)"""
    install_bundle_secret: str | None = None
    """ARN of the secret that holds the install bundle, which then is not in the definition"""
    essential: bool = True
    fail_mode: FailMode = "open"
    policy_timeout: int | None = None
    """seconds to wait for a policy; None leaves it to the Defender"""
    filesystem_monitoring: bool = False
    include: tuple[str, ...] = ()
    """selectors of the only containers to wrap (`selection.Selector`); a container included by its name is wrapped even
    when it is a known monitoring image"""
    exclude: tuple[str, ...] = ()
    """selectors of containers to leave alone"""
    compat: tuple[str, ...] = ()
    """selectors of containers whose programs must be able to gain rights (setuid, file capabilities): the Defender then
    runs them in its compat tier, where connections are judged after they were made"""
    allow_32bit: bool = False
    """whether 32-bit programs may run, under the same rules"""
    waas_ports: tuple[str, ...] = ()
    """`EXPOSED:APP` pairs: the sidecar's firewall takes the port EXPOSED and passes on to the application's, APP"""
    pin_digest: bool = False
    """write the digest of the image that was looked at into the definition"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectSettings(TaskChoices):
    """How a task is protected; raises `EmbedError` for settings that contradict each other.

    Either `install_bundle` (the base64 text, which then also gives id, secret and address) or `install_bundle_secret`
    (the ARN of a Secrets Manager secret or an SSM parameter that holds it; `bundle_id`, `bundle_secret` and
    `ws_address` are then needed beside it).
    """

    defender_image: str
    version: str
    install_bundle: str | None = field(default=None, repr=False)
    bundle_id: str = ""
    bundle_secret: str = field(default="", repr=False)
    ws_address: str = ""
    sidecar_name: str = SIDECAR

    def __post_init__(self) -> None:
        """Fill in from the bundle what is not given, and check."""
        if self.install_bundle is not None:
            bundle = read_bundle(self.install_bundle)
            self._default("bundle_id", bundle.id)
            self._default("bundle_secret", bundle.secret)
            self._default("ws_address", next(iter(bundle.addresses), ""))
        if (self.install_bundle is None) == (self.install_bundle_secret is None):
            raise EmbedError("give either an install bundle or the ARN of a secret that holds it")
        if self.install_bundle_secret is not None and not self.install_bundle_secret.startswith("arn:"):
            raise EmbedError(f"`{self.install_bundle_secret}` is not the ARN of a secret")
        if self.fail_mode not in get_args(FailMode):
            raise EmbedError(f"the fail mode `{self.fail_mode}` is neither `open` nor `closed`")
        if self.policy_timeout is not None and self.policy_timeout < 1:
            raise EmbedError(f"`{self.policy_timeout}` seconds is no time to wait for a policy")
        read_waas_ports(self.waas_ports)
        if not _NAME(self.sidecar_name):
            raise EmbedError(f"`{self.sidecar_name}` is no container name: use letters, digits, `-` and `_`")
        for name in ("defender_image", "version", "bundle_id", "bundle_secret", "ws_address"):
            if not getattr(self, name):
                raise EmbedError(f"the setting `{name}` is empty")

    def _default(self, name: str, value: str) -> None:
        if not getattr(self, name):
            object.__setattr__(self, name, value)

    def app_id(self, family: str) -> str:
        """Return `<family>:<UUID>`, where the UUID (version 5, RFC 4122 section 4.3) is the same at every embed."""
        name = f"bartizan:{self.bundle_id}/{family}"
        digest = bytearray(hashlib.sha1(_NAMESPACE_URL + _bytes(name), usedforsecurity=False).digest()[:16])
        digest[6] = digest[6] & 0x0F | 0x50
        digest[8] = digest[8] & 0x3F | 0x80
        text = digest.hex()
        return f"{family}:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def container_token(self, container: str) -> str:
        """Return the token by which the sidecar knows a container: HMAC-SHA256 under the bundle's secret, 32 digits."""
        message = _bytes(f"container\0{container}")
        return hmac.new(_bytes(self.bundle_secret), message, hashlib.sha256).hexdigest()[:32]


def settings_of(
    choices: TaskChoices, *, bundle: str, ws_address: str = "", defender_image: str, version: str
) -> ProtectSettings:
    """Return what a task is protected with: what the user chose, and the Console's install bundle (base64).

    With the ARN of a secret that holds the bundle the definition gets that in its place. Raises `EmbedError`.
    """
    parsed = read_bundle(bundle)
    chosen = {each.name: getattr(choices, each.name) for each in fields(TaskChoices)}
    return ProtectSettings(
        **chosen,
        defender_image=defender_image,
        version=version,
        install_bundle=None if choices.install_bundle_secret else bundle,
        bundle_id=parsed.id,
        bundle_secret=parsed.secret,
        ws_address=ws_address or next(iter(parsed.addresses), ""),
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
