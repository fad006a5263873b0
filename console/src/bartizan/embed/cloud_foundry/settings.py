"""What a protected manifest is made with: the Console's bundle and the user's choices."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.options import FailMode, read_bundle
from bartizan.embed.waas_ports import VARIABLE, WaasPort, read_waas_ports

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*").fullmatch
_BLANKS = re.compile(r"\s").search


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSettings:
    """How a manifest is protected; raises `EmbedError` for settings that contradict each other.

    Either `install_bundle` (the base64 text, which then also gives the address) or `bundle_variable` (the name of the
    `((variable))` that `cf push` gets it by; `ws_address` and `bundle_id` are then needed beside it).
    """

    version: str
    install_bundle: str | None = field(default=None, repr=False)
    bundle_variable: str | None = None
    bundle_id: str = ""
    ws_address: str = ""
    app_ids: Mapping[str, str] = field(default_factory=dict)
    """`DEFENDER_ID` by app; the app of the empty name is the only one"""
    commands: Mapping[str, str] = field(default_factory=dict)
    """what starts where the manifest does not say, by `APP` (its web process) or `APP/TYPE`"""
    variables: Mapping[str, Value] = field(default_factory=dict, repr=False)
    """values of `((variables))`, to know things by; they are never written"""
    fail_mode: FailMode = "open"
    policy_timeout: int | None = None
    """seconds to wait for a policy; None leaves it to the Defender"""
    filesystem_monitoring: bool = False
    compat: tuple[str, ...] = ()
    """apps whose programs must be able to gain rights; their connections are then judged once they stand"""
    allow_32bit: bool = False
    """whether 32-bit programs may run, under the same rules"""
    waas_ports: Mapping[str, str] = field(default_factory=dict)
    """`EXPOSED:APP` by app: the firewall takes the port EXPOSED, which Cloud Foundry calls $PORT (8080), and passes on
    to APP, which the web process then finds in $PORT; the app of the empty name is the only one"""
    include: tuple[str, ...] = ()
    """`APP`, `APP/TYPE` or `APP/sidecar/NAME`: the only ones to protect"""
    exclude: tuple[str, ...] = ()
    defender: str = ""
    """SHA-256 of the Defender that is put beside apps (hex), kept so that it can be known and taken away again"""
    image_defender: str | None = None
    """where images of apps that run one (`docker:`) have the Defender; without it such apps are refused"""

    def __post_init__(self) -> None:
        """Fill in from the bundle what is not given, and check."""
        if (self.install_bundle is None) == (self.bundle_variable is None):
            raise EmbedError("give either an install bundle or the name of the variable that holds it at the push")
        if self.install_bundle is not None:
            bundle = read_bundle(self.install_bundle)
            self._default("bundle_id", bundle.id)
            self._default("ws_address", next(iter(bundle.addresses), ""))
        if self.bundle_variable is not None and not _VARIABLE(self.bundle_variable):
            raise EmbedError(
                f"`{self.bundle_variable}` is no name of a variable: use letters, digits, `_`, `-` and `.`"
            )
        if self.fail_mode not in get_args(FailMode):
            raise EmbedError(f"the fail mode `{self.fail_mode}` is neither `open` nor `closed`")
        if self.policy_timeout is not None and self.policy_timeout < 1:
            raise EmbedError(f"`{self.policy_timeout}` seconds is no time to wait for a policy")
        if self.image_defender is not None and (
            not self.image_defender.startswith("/") or _BLANKS(self.image_defender)
        ):
            raise EmbedError(f"`{self.image_defender}` is no absolute path without blanks")
        for pair in self.waas_ports.values():
            _one_port(pair)
        for name in ("version", "bundle_id", "ws_address"):
            if not getattr(self, name):
                raise EmbedError(f"the setting `{name}` is empty")

    def _default(self, name: str, value: str) -> None:
        if not getattr(self, name):
            object.__setattr__(self, name, value)

    def port(self, app: str) -> WaasPort | None:
        """Return the firewall's port of an app, None for an app without."""
        pair = self.waas_ports.get(app) or self.waas_ports.get("")
        return _one_port(pair) if pair else None

    def environment(self, app_id: str, app: str) -> dict[str, Value]:
        """Return the variables that an app's Defender needs, as the vendor's page lists them, and those of our own."""
        found: dict[str, Value] = {
            "DEFENDER_TYPE": "appEmbedded",
            "DEFENDER_ID": app_id,
            "WS_ADDRESS": self.ws_address,
            "DATA_FOLDER": "/tmp",  # noqa: S108 - the page: "must be /tmp"
            "INSTALL_BUNDLE": f"(({self.bundle_variable}))" if self.install_bundle is None else self.install_bundle,
            "FILESYSTEM_MONITORING": self.filesystem_monitoring,
            "DEFENDER_FAIL_MODE": self.fail_mode,
        }
        if self.policy_timeout is not None:
            found["DEFENDER_POLICY_TIMEOUT"] = self.policy_timeout
        if app in self.compat:
            found["DEFENDER_TIER"] = "compat"
        if self.allow_32bit:
            found["DEFENDER_ALLOW_32BIT"] = True
        return found


def _one_port(pair: str) -> WaasPort:
    port, *others = read_waas_ports((pair,))
    if others:
        raise EmbedError(f"`{pair}` is more than one port: Cloud Foundry gives a process one, in $PORT")
    return port


OWN_ENVIRONMENT = (
    "DEFENDER_TYPE",
    "DEFENDER_ID",
    "DEFENDER_APP_ID",
    "WS_ADDRESS",
    "DATA_FOLDER",
    "INSTALL_BUNDLE",
    "FILESYSTEM_MONITORING",
    "DEFENDER_FAIL_MODE",
    "DEFENDER_POLICY_TIMEOUT",
    "DEFENDER_TIER",
    "DEFENDER_ALLOW_32BIT",
    VARIABLE,
)
"""Variables of the Defender, which it keeps from the app."""
