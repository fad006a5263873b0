"""Install bundles: what a Defender needs to find this Console, to trust it, and to enrol."""

import asyncio
import base64
import secrets
from dataclasses import dataclass

import msgspec

from bartizan.services.defenders import Defenders
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import BundleGeneration, BundleSecrets, BundleStore, Clock
from bartizan.services.names import Names

_MOST_ADDRESSES = 8


class _Bundle(msgspec.Struct, frozen=True):
    v: int
    id: str
    secret: str
    pins: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallBundle:
    """An install bundle as text (base64 of JSON), with the channel address in it."""

    text: str
    ws_address: str


class Bundles:
    """The generations of install bundles; at least one of them is always live."""

    def __init__(
        self,
        store: BundleStore,
        secret_source: BundleSecrets,
        names: Names,
        defenders: Defenders,
        *,
        pin: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._secrets = secret_source
        self._names = names
        self._defenders = defenders
        self._pin = pin
        self._clock = clock
        self._generations = {generation.id: generation for generation in store.all()}
        if self._current() is None:
            self._add()

    def install_bundle(self, console: str) -> InstallBundle:
        """Return the bundle for the Console's addresses, separated by commas; always the same text.

        Defenders try the addresses in their order. Raises InvalidError.
        """
        hosts = list(dict.fromkeys(part.strip() for part in console.split(",") if part.strip())) or [console]
        if len(hosts) > _MOST_ADDRESSES:
            raise InvalidError(f"`consoleaddr` has {len(hosts)} addresses: a Defender tries {_MOST_ADDRESSES}")
        addresses = tuple(map(self._names.channel_address, hosts))
        current = self._current() or self._add()
        bundle = _Bundle(
            v=1, id=current.id, secret=self._secrets.secret(current.id), pins=(self._pin,), addresses=addresses
        )
        return InstallBundle(text=base64.b64encode(msgspec.json.encode(bundle)).decode(), ws_address=addresses[0])

    def is_live(self, bundle: str) -> bool:
        """Return whether the generation is known and not revoked."""
        found = self._generations.get(bundle)
        return found is not None and found.revoked is None

    def opens(self, bundle: str, secret: str) -> bool:
        """Return whether the secret opens enrolment; an unknown id takes as long as a wrong secret."""
        right = self._secrets.matches(bundle, secret)
        return right and self.is_live(bundle)

    def all(self) -> list[BundleGeneration]:
        """Return all generations, oldest first."""
        return list(self._generations.values())

    async def revoke(self, bundle: str) -> None:
        """Revoke a generation, close its sessions, and begin a new one if it was the last. Raises MissingError."""
        found = self._generations.get(bundle)
        if found is None:
            raise MissingError(f"there is no install bundle `{bundle[:64]}`")
        if found.revoked is None:
            now = self._clock()
            await asyncio.to_thread(self._store.revoke, bundle, now=now)
            self._generations[bundle] = BundleGeneration(id=bundle, created=found.created, revoked=now)
            if self._current() is None:
                self._add()
        for session in self._defenders.sessions(bundle):
            session.close("revoked", "the install bundle was revoked")

    def _current(self) -> BundleGeneration | None:
        live = [generation for generation in self._generations.values() if generation.revoked is None]
        return live[-1] if live else None

    def _add(self) -> BundleGeneration:
        generation = BundleGeneration(id=secrets.token_hex(8), created=self._clock())
        self._store.add(generation)
        self._generations[generation.id] = generation
        return generation
