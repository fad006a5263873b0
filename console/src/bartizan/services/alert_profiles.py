"""Alert profiles: kept with their secrets sealed, read by whoever keeps them, tried with a test alert."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from bartizan.alerts import (
    Alert,
    AlertProfile,
    Message,
    Origin,
    Target,
    Trigger,
    check_profile,
    destination,
    message_for,
    secrets_of,
    target_name,
    with_secrets,
)
from bartizan.alerts.macros import sample
from bartizan.alerts.profile import missing_secrets
from bartizan.alerts.targets import TARGETS
from bartizan.alerts.template import TemplateError
from bartizan.alerts.windows import Window
from bartizan.services.collections import Usage
from bartizan.services.errors import InvalidError, MissingError
from bartizan.services.interfaces import Clock
from bartizan.services.outgoing import OutgoingError

_log = logging.getLogger(__name__)
MOST_PROFILES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedProfile:
    """A profile as it is kept: its document without secrets, and the secrets sealed."""

    name: str
    document: bytes
    secrets: bytes


class ProfileState(msgspec.Struct, kw_only=True):
    """
    How far a profile has got. Times are unix milliseconds, 0 for never.

    `cursors` are the ids up to which each kind of event is read, `windows` the open periods, `pending` what is to be
    sent. `dropped` alerts were given up, `skipped` events were too many to look at. `attempts` are those of the first
    pending alert, `retry` is when the next one is due.
    """

    cursors: dict[str, int] = {}
    windows: dict[str, Window] = {}
    pending: list[Alert] = []
    sent: int = 0
    dropped: int = 0
    skipped: int = 0
    last_sent: int = 0
    last_error: str = ""
    last_error_time: int = 0
    failing_since: int = 0
    attempts: int = 0
    retry: int = 0


class ProfileStore(Protocol):
    """The profiles, and how far each has got."""

    def all(self) -> list[SealedProfile]:
        """Return all profiles by their names."""
        ...

    def put(self, profile: SealedProfile) -> None:
        """Add or replace a profile."""
        ...

    def remove(self, name: str) -> None:
        """Remove a profile with its state."""
        ...

    def states(self) -> dict[str, bytes]:
        """Return the kept states by the names of profiles."""
        ...

    def put_state(self, name: str, state: bytes) -> None:
        """Keep a state."""
        ...


class ProfileBox(Protocol):
    """Seals the secrets of profiles."""

    def seal(self, text: str, *, belongs_to: str) -> bytes:
        """Return the text sealed for one place."""
        ...

    def open(self, sealed: bytes, *, belongs_to: str) -> str:
        """Return the text."""
        ...


class Courier(Protocol):
    """Carries messages to receivers."""

    def check(self, message: Message) -> None:
        """Raise OutgoingError for a receiver that nothing is ever carried to."""
        ...

    def carry(self, message: Message) -> None:
        """Deliver a message (in a thread). Raises OutgoingError."""
        ...


@dataclass(slots=True)
class Running:
    """A profile in use; `target` has its secrets, `problem` says why it cannot be used."""

    profile: AlertProfile
    target: Target
    sealed: bytes
    state: ProfileState = field(default_factory=ProfileState)
    problem: str = ""
    gone: bool = False


class AlertProfiles:
    """
    The profiles of one Console.

    `origin` makes what messages say of the sender, `heads` gives the newest ids, from which a new profile begins;
    `collections` are the names that triggers may use.
    """

    def __init__(
        self,
        store: ProfileStore,
        box: ProfileBox,
        courier: Courier,
        *,
        box_error: type[Exception],
        origin: Callable[[], Origin],
        heads: Callable[[], dict[str, int]],
        collections: Callable[[], frozenset[str]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._box = box
        self._courier = courier
        self._box_error = box_error
        self.origin = origin
        self._heads = heads
        self._collections = collections
        self._clock = clock
        self._lock = asyncio.Lock()
        self._trying = asyncio.Semaphore(4)
        states = store.states()
        self._all = {item.name: self._opened(item, states.get(item.name)) for item in store.all()}

    def all(self) -> list[Running]:
        """Return the profiles by their names."""
        return [self._all[name] for name in sorted(self._all)]

    def one(self, name: str) -> Running:
        """Return a profile. Raises MissingError."""
        if name not in self._all:
            raise MissingError(f"there is no alert profile `{name[:100]}`")
        return self._all[name]

    def users_of_collection(self, name: str) -> list[Usage]:
        """Return the profiles whose triggers name a collection."""
        found = (item.profile for item in self.all())
        return [
            Usage(kind="settings", name=f"alert profile {profile.name}")
            for profile in found
            if any(name in trigger.collections for trigger in profile.policy.values())
        ]

    async def put(self, profile: AlertProfile, *, author: str) -> None:
        """
        Add or replace a profile; secrets that are not given are kept while they go to the same place.

        Raises InvalidError. A new profile tells of what happens from now on.
        """
        async with self._lock:
            full = self._checked(profile)
            old = self._all.get(profile.name)
            if old is None and len(self._all) >= MOST_PROFILES:
                raise InvalidError(f"at most {MOST_PROFILES} alert profiles are possible")
            await self._check_receiver(full)
            kept = dataclasses.replace(profile, target=with_secrets(full, {}), owner=author, modified=self._clock())
            secrets = msgspec.json.encode(secrets_of(full)).decode()
            sealed = self._box.seal(secrets, belongs_to=_place(kept))
            state = old.state if old else ProfileState(cursors=await asyncio.to_thread(self._heads))
            if old is not None:
                old.gone = True
                if not old.profile.enabled:
                    # What happened while it was switched off is not told afterwards.
                    state.cursors = await asyncio.to_thread(self._heads)
            state.retry = state.attempts = 0
            await asyncio.to_thread(
                self._store.put, SealedProfile(name=kept.name, document=_document(kept), secrets=sealed)
            )
            await asyncio.to_thread(self._store.put_state, kept.name, msgspec.json.encode(state))
            self._all[kept.name] = Running(kept, full, sealed, state)
        _log.info("the alert profile `%s` was changed by `%s`", profile.name, author)

    async def remove(self, name: str, *, author: str) -> None:
        """Remove a profile; what waited to be sent by it is dropped. Raises MissingError."""
        async with self._lock:
            self.one(name).gone = True
            await asyncio.to_thread(self._store.remove, name)
            del self._all[name]
        _log.info("the alert profile `%s` was removed by `%s`", name, author)

    async def test(self, profile: AlertProfile) -> None:
        """Send a test alert by a profile that need not be kept. Raises InvalidError, OutgoingError."""
        message = self.preview(profile, secrets=True)
        async with self._trying:
            await asyncio.to_thread(self._courier.carry, message)

    def preview(self, profile: AlertProfile, *, secrets: bool = False) -> Message:
        """Return the message that a test alert would be, without secrets unless they are asked for."""
        full = self._checked(profile, complete=secrets)
        try:
            return message_for(full if secrets else with_secrets(full, {}), self.sample(), self.origin())
        except TemplateError as error:
            raise InvalidError(f"`{target_name(full)}`: {error}") from None

    def sample(self) -> Alert:
        """Return the alert of tests."""
        return sample(now=self._clock())

    async def save_state(self, running: Running) -> None:
        """Keep how far a profile has got."""
        state = msgspec.json.encode(running.state)
        if not running.gone:
            await asyncio.to_thread(self._store.put_state, running.profile.name, state)

    def _checked(self, profile: AlertProfile, *, complete: bool = True) -> Target:
        """Return the target with its secrets, those that were not given from the kept profile. Raises InvalidError."""
        if problem := check_profile(profile):
            raise InvalidError(problem)
        unknown = {name for trigger in profile.policy.values() for name in trigger.collections} - self._collections()
        if unknown:
            raise InvalidError(f"`collections`: there is no collection `{min(unknown)}`")
        given, old = secrets_of(profile.target), self._all.get(profile.name)
        kept = secrets_of(old.target) if old is not None else {}
        if old is not None and not set(kept) <= set(given) and destination(old.target) != destination(profile.target):
            if complete:
                raise InvalidError(
                    f"`{target_name(profile.target)}`: a change of where secrets are sent takes them again: "
                    f"give {', '.join(f'`{name}.plain`' for name in sorted(set(kept) - set(given)))}"
                )
            kept = {}
        full = with_secrets(profile.target, kept | given)
        if complete and (lack := missing_secrets(full)):
            raise InvalidError(lack)
        return full

    async def _check_receiver(self, target: Target) -> None:
        """Raise InvalidError for a receiver that nothing is ever carried to."""
        try:
            await asyncio.to_thread(self._courier.check, message_for(target, self.sample(), self.origin()))
        except (OutgoingError, TemplateError) as error:
            raise InvalidError(f"`{target_name(target)}`: {error}") from None

    def _opened(self, item: SealedProfile, state: bytes | None) -> Running:
        profile = _read(item.document)
        found = msgspec.json.decode(state, type=ProfileState) if state else ProfileState(cursors=self._heads())
        # The row's own name, and not what its document says: a document may have been moved too.
        place = _place(dataclasses.replace(profile, name=item.name))
        try:
            secrets = msgspec.json.decode(self._box.open(item.secrets, belongs_to=place), type=dict[str, str])
        except self._box_error as error:
            _log.warning("the secrets of alert profile `%s` cannot be read: %s", item.name, error)
            problem = f"its secrets cannot be read, give them again: {error}"
            return Running(profile, profile.target, item.secrets, found, problem)
        return Running(profile, with_secrets(profile.target, secrets), item.secrets, found)


def _place(profile: AlertProfile) -> str:
    """Return what the secrets of a profile belong to: they open neither for another profile nor another receiver."""
    shown = [str(part) for part in destination(profile.target)[1:]]
    return msgspec.json.encode(["alert profile", profile.name, target_name(profile.target), *shown]).decode()


def _document(profile: AlertProfile) -> bytes:
    document = {
        "name": profile.name,
        "description": profile.description,
        "enabled": profile.enabled,
        "period": profile.period,
        "policy": profile.policy,
        "owner": profile.owner,
        "modified": profile.modified,
        "type": target_name(profile.target),
        "target": profile.target,
    }
    return msgspec.json.encode(document)


def _read(document: bytes) -> AlertProfile:
    found: dict[str, Any] = msgspec.json.decode(document)
    target = msgspec.convert(found.pop("target"), TARGETS[found.pop("type")])
    policy = msgspec.convert(found.pop("policy"), dict[str, Trigger])
    return AlertProfile(target=target, policy=policy, **found)
