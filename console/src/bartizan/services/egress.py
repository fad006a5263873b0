"""The proxy that outgoing requests take: of alerts and of log-ins by an identity provider."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import SettingStore

_SETTING = "outgoingProxy"
_MOST_BYPASSED = 100
_LONGEST = 1024
_LONGEST_CA = 64 * 1024
_ENTRY = re.compile(r"\*|[A-Za-z0-9*._:\[\]/-]{1,253}")


class ProxyBox(Protocol):
    """Seals the proxy's password."""

    def seal(self, text: str, *, belongs_to: str) -> bytes:
        """Return the text sealed for one place."""
        ...

    def open(self, sealed: bytes, *, belongs_to: str) -> str:
        """Return the text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySetting:
    """An HTTP proxy; without `url` requests go directly. `bypass` are hosts that are reached without it."""

    url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca_pem: str = ""
    bypass: tuple[str, ...] = ()


class _Kept(msgspec.Struct):
    url: str
    user: str
    sealed: bytes
    ca_pem: str
    bypass: tuple[str, ...]


class OutgoingProxy:
    """The proxy of one Console; the password is kept sealed, and belongs to the proxy and user it was given for."""

    def __init__(self, settings: SettingStore, box: ProxyBox, *, box_error: type[Exception]) -> None:
        self._settings = settings
        self._box = box
        stored = settings.get(_SETTING)
        kept = msgspec.json.decode(stored, type=_Kept) if stored else None
        self._current = ProxySetting()
        self.problem = ""
        if kept is not None:
            self._current = ProxySetting(url=kept.url, user=kept.user, ca_pem=kept.ca_pem, bypass=kept.bypass)
            try:
                password = box.open(kept.sealed, belongs_to=_place(self._current)) if kept.sealed else ""
                self._current = _with_password(self._current, password)
            except box_error as error:
                self.problem = f"the proxy's password cannot be read, give it again: {error}"

    @property
    def current(self) -> ProxySetting:
        """The proxy in use."""
        return self._current

    async def put(self, wanted: ProxySetting) -> None:
        """
        Use another proxy from the next request on; a password that is not given is kept for the same proxy and user.

        Raises InvalidError.
        """
        _check(wanted)
        present = self._current
        if wanted.user and not wanted.password and present.password:
            if _place(present) != _place(wanted):
                raise InvalidError("a change of `httpProxy` or `user` takes the password again: give `password.plain`")
            wanted = _with_password(wanted, present.password)
        sealed = self._box.seal(wanted.password, belongs_to=_place(wanted)) if wanted.password else b""
        kept = _Kept(wanted.url, wanted.user, sealed, wanted.ca_pem, wanted.bypass)
        await asyncio.to_thread(self._settings.put, _SETTING, msgspec.json.encode(kept).decode())
        self._current, self.problem = wanted, ""


def _check(wanted: ProxySetting) -> None:
    try:
        place = urlsplit(wanted.url)
        good = place.scheme in {"http", "https"} and place.hostname and place.port != 0
    except ValueError:
        place, good = urlsplit(""), False
    if wanted.url and (not good or len(wanted.url) > _LONGEST or not wanted.url.isprintable() or " " in wanted.url):
        raise InvalidError("`httpProxy`: an address such as `http://proxy.example.com:3128` is expected")
    if wanted.url and (place.username is not None or place.path not in {"", "/"} or place.query or place.fragment):
        raise InvalidError("`httpProxy`: scheme, host and port alone; the user goes into `user` and `password`")
    if not wanted.url and (wanted.user or wanted.password or wanted.bypass or wanted.ca_pem):
        raise InvalidError("`httpProxy`: without it, the other fields mean nothing")
    for name, text in (("user", wanted.user), ("password.plain", wanted.password)):
        if len(text) > _LONGEST or not text.isprintable():
            raise InvalidError(f"`{name}`: at most {_LONGEST} characters, none of them a control character")
    if ":" in wanted.user or (wanted.password and not wanted.user):
        raise InvalidError("`user`: a name without a colon (RFC 7617), wherever there is a password")
    if len(wanted.bypass) > _MOST_BYPASSED or not all(map(_ENTRY.fullmatch, wanted.bypass)):
        raise InvalidError(f"`noProxy`: at most {_MOST_BYPASSED} hosts, `.names`, addresses and networks, by commas")
    if wanted.ca_pem and (
        len(wanted.ca_pem) > _LONGEST_CA or "BEGIN CERTIFICATE" not in wanted.ca_pem or "PRIVATE KEY" in wanted.ca_pem
    ):
        raise InvalidError("`ca`: certificates in PEM form are expected, without a private key")


def _with_password(setting: ProxySetting, password: str) -> ProxySetting:
    return ProxySetting(
        url=setting.url, user=setting.user, password=password, ca_pem=setting.ca_pem, bypass=setting.bypass
    )


def _place(setting: ProxySetting) -> str:
    return msgspec.json.encode(["proxy", setting.url, setting.user, setting.ca_pem]).decode()
