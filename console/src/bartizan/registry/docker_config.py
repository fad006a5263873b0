"""Credentials from Docker's configuration file: `auths`, `credHelpers` and `credsStore`.

Rules: docker/cli `cli/config/configfile` and `cli/config/credentials`; docker/docker-credential-helpers.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping

from bartizan.registry.access import Credential
from bartizan.registry.errors import ImageError
from bartizan.registry.reference import HUB, registry_name

HUB_KEY = "https://index.docker.io/v1/"
"""The key of Docker Hub in the configuration file, and what helpers know it by."""
_LARGEST = 4 << 20
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NOT_FOUND = "credentials not found"
_IDENTITY_USER = "<token>"

RunHelper = Callable[[str, str], str | None]
"""Asks a program (`docker-credential-…`, its whole name) for a registry's key; gives what it printed, None for none."""


def docker_config_credentials(text: str, *, run_helper: RunHelper) -> Mapping[str, Credential]:
    """Read a configuration file: a mapping from a registry's name (`docker.io` for Docker Hub) to its credential.

    Helper programs are run by `run_helper` when a registry is first asked for; only registries with a `credHelpers` or
    `auths` entry are listed, but with `credsStore` others may be found too. Raises `ImageError` for a file that cannot
    be read, and the mapping for an entry or a helper's answer that cannot be.
    """
    return _DockerCredentials(_parse(text), run_helper)


def run_credential_helper(program: str, key: str, *, seconds: float = 15.0) -> str | None:
    """Run a credential helper: `get`, and a key on its standard input. Raises `ImageError`, without what it said."""
    try:
        done = subprocess.run(  # the name has no slash, see _PROGRAM
            [program, "get"], input=key, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as cause:
        why = "it did not answer in time" if isinstance(cause, subprocess.TimeoutExpired) else "it cannot be run"
        raise ImageError(f"credential helper `{program}`: {why}") from None
    if done.returncode:
        if _NOT_FOUND in done.stdout.lower() + done.stderr.lower():
            return None
        raise ImageError(f"credential helper `{program}` failed with exit code {done.returncode}")
    return done.stdout


class _DockerCredentials(Mapping[str, Credential]):
    def __init__(self, config: _Config, run_helper: RunHelper) -> None:
        self._config = config
        self._run_helper = run_helper
        self._known: dict[str, Credential | None] = {}

    def __getitem__(self, host: str) -> Credential:
        """Return the credential of a registry; raises `KeyError` when there is none."""
        name = registry_name(host)
        if name not in self._known:
            self._known[name] = self._find(name)
        found = self._known[name]
        if found is None:
            raise KeyError(host)
        return found

    def __iter__(self) -> Iterator[str]:
        """Go over the registries that the file names and that have a credential."""
        named = dict.fromkeys(map(_name_of, (*self._config.helpers, *self._config.entries)))
        return (name for name in named if self.get(name) is not None)

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Name nothing."""
        return "<credentials of a Docker configuration file>"

    def _find(self, name: str) -> Credential | None:
        key = HUB_KEY if name == HUB else name
        helper = next((self._config.helpers[item] for item in self._config.helpers if _name_of(item) == name), None)
        helper = helper or self._config.store
        if helper:
            program = f"docker-credential-{helper}"
            said = self._run_helper(program, key)
            return None if said is None else _from_helper(said, program)
        exact = [key, name]
        entries = self._config.entries
        chosen = next((item for item in exact if item in entries), None)
        chosen = chosen or next((item for item in entries if _name_of(item) == name), None)
        return _from_entry(entries[chosen], chosen) if chosen is not None else None


class _Config:
    """The parts of the file that matter."""

    __slots__ = ("entries", "helpers", "store")

    def __init__(self, entries: Mapping[str, Mapping[str, object]], helpers: Mapping[str, str], store: str) -> None:
        self.entries = entries
        self.helpers = helpers
        self.store = store


def _parse(text: str) -> _Config:
    try:
        document = json.loads(text) if len(text) <= _LARGEST else None
    except (ValueError, RecursionError):
        document = None  # the words of the error could hold a piece of the file
    if not isinstance(document, dict):
        raise ImageError("Docker's configuration file is not a JSON object")
    auths, helpers, store = (document.get(key) for key in ("auths", "credHelpers", "credsStore"))
    auths, helpers, store = auths or {}, helpers or {}, store or ""
    if not isinstance(auths, dict) or not all(isinstance(entry, dict) for entry in auths.values()):
        raise ImageError("Docker's configuration file has `auths` that are not objects")
    if not isinstance(helpers, dict):
        raise ImageError("Docker's configuration file has `credHelpers` that are not an object")
    for program in (*helpers.values(), *([store] if store else [])):
        if not isinstance(program, str) or not _PROGRAM.fullmatch(program):
            raise ImageError("Docker's configuration file names a credential helper that is no program's name")
    return _Config(auths, helpers, store)


def _name_of(key: str) -> str:
    """Return the registry that a key means: scheme and path are left out, as Docker's `ConvertToHostname` does."""
    return registry_name(re.sub(r"^https?://", "", key).partition("/")[0])


def _from_entry(entry: Mapping[str, object], key: str) -> Credential | None:
    words = {}
    for name in ("auth", "username", "password", "identitytoken", "registrytoken"):
        value = entry.get(name) or ""
        if not isinstance(value, str):
            raise ImageError(
                f"Docker's configuration file has a `{name}` for `{_name_of(key)[:255]}` that is no string"
            )
        words[name] = value
    user, password = words["username"], words["password"]
    if words["auth"]:
        try:
            user, colon, password = base64.b64decode(words["auth"], validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            colon = ""
        if not colon:
            raise ImageError(
                f"Docker's configuration file has an `auth` for `{_name_of(key)[:255]}` that cannot be read"
            )
    if words["registrytoken"]:
        return Credential(kind="token", secret=words["registrytoken"])
    if words["identitytoken"]:
        return Credential(kind="identity", user=user, secret=words["identitytoken"])
    return Credential(kind="basic", user=user, secret=password.strip("\0")) if user or password else None


def _from_helper(said: str, program: str) -> Credential | None:
    try:
        found = json.loads(said) if len(said) <= _LARGEST else None
    except (ValueError, RecursionError):
        found = None
    user, secret = (found.get("Username", ""), found.get("Secret")) if isinstance(found, dict) else (None, None)
    if not isinstance(user, str) or not isinstance(secret, str):
        raise ImageError(f"credential helper `{program}` printed what cannot be read")
    if not secret:
        return None
    return (
        Credential(kind="identity", secret=secret)
        if user == _IDENTITY_USER
        else Credential(kind="basic", user=user, secret=secret)
    )
