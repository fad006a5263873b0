"""Credentials, registries and look-ups on a real database; the registry's side is a script."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bartizan.pki import SealError, SecretBox, check_certificates
from bartizan.services.credentials import Credential, Credentials, CredentialType
from bartizan.services.errors import InvalidError
from bartizan.services.image_lookup import Ask, ImageLookUp, ImageRecord, LookUpLimits
from bartizan.services.registries import ImageName, Registries
from bartizan.store import Database, SqlCredentials, SqlImages, SqlSettings

SECRET = "tr0ub4dor&3-which-must-not-show"
DIGEST = "sha256:" + "a" * 64
T = TypeVar("T")


@dataclass
class Clock:
    """A clock that stands still until it is turned."""

    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        """Return unix milliseconds."""
        return self.now


@dataclass
class ScriptedReader:
    """A registry's side: `answer` says what comes for an `Ask`; what was asked is kept."""

    answer: Callable[[Ask], ImageRecord]
    asked: list[Ask] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def name(self, reference: str) -> ImageName:
        """Split a reference, simply."""
        rest, _, digest = reference.partition("@")
        host, slash, repository = rest.partition("/")
        if not slash:
            host, repository = "docker.io", f"library/{rest}"
        name, _, tag = repository.partition(":")
        if " " in reference:
            raise InvalidError(f"image `{reference}` is no reference")
        return ImageName(host=host, repository=name, tag="" if digest else tag or "latest", digest=digest)

    def look_up(self, ask: Ask) -> ImageRecord:
        """Answer, and remember who asked what."""
        with self.lock:
            self.asked.append(ask)
        return self.answer(ask)

    def privileged(self, ask: Ask) -> tuple[str, ...]:
        """Find one, in every image."""
        with self.lock:
            self.asked.append(ask)
        return ("/usr/bin/sudo (setuid)",)


def found(ask: Ask, *, digest: str = DIGEST, entrypoint: tuple[str, ...] = ("/start",)) -> ImageRecord:
    """Return what a registry says of an image."""
    return ImageRecord(
        reference=ask.reference,
        name=ScriptedReader(found).name(ask.reference),
        architecture=ask.architecture,
        digest=digest,
        manifest_digest="sha256:" + "b" * 64,
        entrypoint=entrypoint,
        cmd=("serve",),
        origin=f"registry `{ask.host}`",
    )


@dataclass
class Bench:
    """All services of look-ups on one database."""

    directory: Path
    answer: Callable[[Ask], ImageRecord] = found
    clock: Clock = field(default_factory=Clock)
    limits: LookUpLimits = field(default_factory=LookUpLimits)

    def __post_init__(self) -> None:
        """Open everything."""
        self.database = Database(self.directory / "bartizan.db")
        self.box = SecretBox(self.directory / "secrets.key")
        self.store = SqlCredentials(self.database)
        self.credentials = Credentials(self.store, self.box, box_error=SealError, clock=self.clock)
        self.registries = Registries(
            SqlSettings(self.database), self.credentials, check_certificates=check_certificates
        )
        self.images = SqlImages(self.database)
        self.reader = ScriptedReader(self.answer)
        self.look_ups = ImageLookUp(
            self.images, self.registries, self.credentials, self.reader, limits=self.limits, clock=self.clock
        )

    def close(self) -> None:
        """Close everything."""
        self.look_ups.close()
        self.database.close()

    def put(self, secret: str = SECRET, **changed: Any) -> None:
        """Keep a credential."""
        run(self.credentials.put(basic(**changed), secret, author="admin"))


def basic(**changed: Any) -> Credential:
    """Return a credential of a registry."""
    given: dict[str, Any] = {"id": "shop", "type": CredentialType.BASIC, "account": "robot", **changed}
    return Credential(**given)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a use-case to its end."""
    return asyncio.run(work)
