"""Whether the Console can do its work, and if not, why."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bartizan.services.ingest import Ingest
from bartizan.services.interfaces import Clock

_log = logging.getLogger(__name__)
_PROBE_SECONDS = 5.0
_DAY = 24 * 3600 * 1000
_LEAST_FREE = 256 * 1024 * 1024
_NEAR_END = 30 * _DAY
_CROWDED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong: a short name for machines, a sentence for people; `stops` when work cannot be done."""

    name: str
    text: str
    stops: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Numbers of one moment."""

    written: int
    waiting: int
    failures: int
    free_bytes: int
    database_bytes: int
    expirations: Mapping[str, int] = field(default_factory=dict)


class Health:
    """
    Asks the parts.

    `size` asks the database for its bytes, and so whether it answers; `free` gives the bytes that are left beside the
    data directory; `expirations` the ends (unix ms) of certificates by their names.
    """

    def __init__(
        self,
        ingest: Ingest,
        *,
        size: Callable[[], int],
        free: Callable[[], int],
        expirations: Callable[[], Mapping[str, int]],
        clock: Clock,
    ) -> None:
        self._ingest = ingest
        self._size = size
        self._free = free
        self._expirations = expirations
        self._clock = clock
        self._probe: asyncio.Task[int] | None = None

    async def problems(self) -> list[Problem]:
        """Return what is wrong now, what stops work first."""
        found = [*await self._of_database(), *self._of_audits(), *self._of_disk(), *self._of_certificates()]
        return sorted(found, key=lambda problem: not problem.stops)

    async def measures(self) -> Measures:
        """Return the numbers; the database's size is 0 when it does not answer."""
        try:
            size = await self._asked()
        except Exception:  # noqa: BLE001 - told by `problems`
            size = 0
        return Measures(
            written=self._ingest.written,
            waiting=self._ingest.waiting,
            failures=self._ingest.failures,
            free_bytes=self._free(),
            database_bytes=size,
            expirations=self._expirations(),
        )

    async def _asked(self) -> int:
        # One question at a time: a database that hangs must not cost a thread for everyone who asks after it.
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(asyncio.to_thread(self._size))
        async with asyncio.timeout(_PROBE_SECONDS):
            return await asyncio.shield(self._probe)

    async def _of_database(self) -> list[Problem]:
        try:
            await self._asked()
        except TimeoutError:
            return [Problem(name="database", text="the database does not answer", stops=True)]
        except Exception:  # noqa: BLE001 - the reason may name hosts and goes into the log alone
            _log.warning("the database cannot be read", exc_info=True)
            return [Problem(name="database", text="the database cannot be read", stops=True)]
        return []

    def _of_audits(self) -> list[Problem]:
        if self._ingest.failing:
            text = "audits cannot be written, Defenders keep them: see the log (a full disk, a locked database)"
            return [Problem(name="audits", text=text, stops=True)]
        if self._ingest.waiting > _CROWDED:
            text = f"{self._ingest.waiting} audits wait to be written: the database is slower than they come"
            return [Problem(name="audits", text=text, stops=False)]
        return []

    def _of_disk(self) -> list[Problem]:
        free = self._free()
        if free >= _LEAST_FREE:
            return []
        text = f"{free // (1024 * 1024)} MiB are free beside the data directory"
        return [Problem(name="disk", text=text, stops=False)]

    def _of_certificates(self) -> list[Problem]:
        now = self._clock()
        return [
            Problem(name="certificates", text=_ends(name, end - now), stops=end <= now)
            for name, end in self._expirations().items()
            if end - now < _NEAR_END
        ]


def _ends(name: str, left: int) -> str:
    days = max(left, 0) // _DAY
    return f"the certificate of the {name} ends in {days} days" if left > 0 else f"the {name}'s certificate has ended"
