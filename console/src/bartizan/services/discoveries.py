"""
What applications' interfaces were seen to be, merged from all Defenders of an App ID and application.

Reports wait in memory and are written together now and then: a Defender of a busy application tells of it again and
again, and that must not cost a commit each time. What is asked for is written before it is read.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy.discovery import Discovered, Documented, Operation, combined, openapi_of
from bartizan.policy.firewall import FirewallPolicy
from bartizan.services.errors import MissingError
from bartizan.services.interfaces import Clock

_log = logging.getLogger(__name__)
MOST_APPLICATIONS = 2_000
"""How many pairs of App ID and application are kept; beyond it those go that were not heard of for longest."""
MOST_NAMES = 15_000
"""How many names of parameters and members the operations of one keep together."""
MOST_WAITING = 50_000
"""How many operations, and names in them, wait to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryKey:
    """Whose interface: an application of a WAAS rule, in the workloads of an App ID."""

    app_id: str
    application: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredApplication:
    """
    An application without its operations; `rule` was the WAAS rule when it was last heard of.

    Its times are those of its operations, or when it was heard of while there is none.
    """

    key: DiscoveryKey
    rule: str
    first_seen: int
    last_seen: int
    operations: int
    hits: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownOperation:
    """
    An operation of an application.

    `shadow` says whether the `apiSpec` of the application lacks it, None: it has none, or the application is gone.
    """

    key: DiscoveryKey
    operation: Operation
    shadow: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryQuery:
    """
    Which operations; every tuple holds alternatives, an empty one is no condition.

    `path` is a part of the path, `risks` are names of flags that all have to be up, and of the shadows either kind.
    """

    app_ids: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    path: str = ""
    risks: tuple[str, ...] = ()
    shadow: bool | None = None
    offset: int = 0
    limit: int = 50


RISKS: tuple[Literal["sensitive", "unauthenticated", "unencrypted"], ...] = (
    "sensitive",
    "unauthenticated",
    "unencrypted",
)
"""The flags of an operation that are risks."""

_Row = tuple[int, DiscoveryKey, str, str, str]


class DiscoveryStore(Protocol):
    """The applications with their operations."""

    def merge(self, key: DiscoveryKey, news: Discovered, *, rule: str, now: int, most_names: int) -> None:
        """Add what was learnt of an application, which is made if it is not there."""
        ...

    def applications(self, query: DiscoveryQuery) -> list[DiscoveredApplication]:
        """Return the applications that match, by App ID and name."""
        ...

    def places(self, query: DiscoveryQuery) -> list[_Row]:
        """Return (number, application, its rule, path, method) of all operations that match, in this order."""
        ...

    def operations(self, numbers: Sequence[int]) -> dict[int, Operation]:
        """Return operations by their numbers."""
        ...

    def of_application(self, key: DiscoveryKey) -> list[Operation]:
        """Return all operations of an application."""
        ...

    def forget(self, key: DiscoveryKey) -> bool:
        """Remove an application; False when it is not there."""
        ...

    def prune(self, *, most: int) -> int:
        """Remove the applications that were not heard of for longest beyond `most`; return how many went."""
        ...


@dataclass(slots=True)
class _Waiting:
    rule: str = ""
    news: Discovered = field(default_factory=Discovered)


class Discoveries:
    """The discovered interfaces of one Console; `policy` gives the WAAS policy in force."""

    def __init__(
        self,
        store: DiscoveryStore,
        *,
        policy: Callable[[], FirewallPolicy],
        clock: Clock,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._store = store
        self._most_waiting = most_waiting
        self._weight = 0
        self._policy = policy
        self._clock = clock
        self._lock = asyncio.Lock()
        self._waiting: dict[DiscoveryKey, _Waiting] = {}

    async def learn(self, *, app_id: str, rule: str, learnt: Mapping[str, Discovered]) -> None:
        """Take over what a Defender told of its applications; it is on disk after the next `flush`, if not before."""
        async with self._lock:
            for application, news in learnt.items():
                waiting = self._waiting.setdefault(DiscoveryKey(app_id=app_id, application=application), _Waiting())
                waiting.rule = rule
                waiting.news = await asyncio.to_thread(combined, waiting.news, news)
                self._weight += 1 + sum(1 + operation.names for operation in news.operations.values())
                if self._weight > self._most_waiting:
                    await self._make_room()

    async def flush(self) -> None:
        """Write what waits."""
        async with self._lock:
            await self._write()

    async def applications(self, query: DiscoveryQuery) -> list[DiscoveredApplication]:
        """Return the applications that match, by App ID and name; of the query only these two count."""
        await self.flush()
        return await asyncio.to_thread(self._store.applications, query)

    async def page(self, query: DiscoveryQuery) -> tuple[list[ShownOperation], int]:
        """Return one page of operations, by App ID, application, path and method, and how many match in all."""
        await self.flush()
        return await asyncio.to_thread(self._page, query)

    async def openapi(self, key: DiscoveryKey) -> dict[str, Any]:
        """Return an OpenAPI document of what was seen of an application. Raises MissingError."""
        await self.flush()
        return await asyncio.to_thread(self._document, key)

    async def forget(self, key: DiscoveryKey) -> None:
        """Remove an application, so that it is learnt anew. Raises MissingError."""
        async with self._lock:
            waited = self._waiting.pop(key, None) is not None
            if not await asyncio.to_thread(self._store.forget, key) and not waited:
                raise _missing(key)

    async def prune(self) -> int:
        """Write what waits, remove the applications beyond what is kept, and return how many these were."""
        await self.flush()
        return await asyncio.to_thread(self._store.prune, most=MOST_APPLICATIONS)

    async def _make_room(self) -> None:
        try:
            await self._write()
        except Exception:  # noqa: BLE001 - memory has to outlive a full disk
            _log.exception("what was discovered could not be written and is lost")
            self._waiting.clear()
            self._weight = 0

    async def _write(self) -> None:
        waiting, now = self._waiting, self._clock()
        for key in list(waiting):
            item = waiting[key]
            await asyncio.to_thread(self._store.merge, key, item.news, rule=item.rule, now=now, most_names=MOST_NAMES)
            # Only then: what could not be written waits for the next turn.
            del waiting[key]
        self._weight = 0

    def _page(self, query: DiscoveryQuery) -> tuple[list[ShownOperation], int]:
        documented = self._all_documented()
        found = [(row, _is_shadow(documented(row[1], row[2]), row[3], row[4])) for row in self._store.places(query)]
        if query.shadow is not None:
            found = [item for item in found if item[1] is query.shadow]
        page = found[query.offset : query.offset + query.limit]
        operations = self._store.operations([row[0] for row, _ in page])
        shown = [
            ShownOperation(key=row[1], operation=operations[row[0]], shadow=shadow)
            for row, shadow in page
            if row[0] in operations
        ]
        return shown, len(found)

    def _document(self, key: DiscoveryKey) -> dict[str, Any]:
        query = DiscoveryQuery(app_ids=(key.app_id,), applications=(key.application,))
        rows = self._store.applications(query)
        if not rows:
            raise _missing(key)
        spec = self._spec(key.application, rows[0].rule)
        return openapi_of(
            self._store.of_application(key),
            title=key.application,
            description=_description(rows[0]),
            endpoints=() if spec is None else spec["endpoints"],
        )

    def _all_documented(self) -> Callable[[DiscoveryKey, str], Documented | None]:
        known: dict[tuple[str, str], Documented | None] = {}

        def documented(key: DiscoveryKey, rule: str) -> Documented | None:
            which = key.application, rule
            if which not in known:
                spec = self._spec(*which)
                known[which] = None if spec is None else Documented(spec)
            return known[which]

        return documented

    def _spec(self, application: str, rule: str) -> Mapping[str, Any] | None:
        """Return the `apiSpec` of an application: that of its rule, or of the first rule that has one of its name."""
        rules = self._policy().rules
        for candidate in (*(item for item in rules if item.name == rule), *rules):
            for item in candidate.applications:
                if item.app_id == application:
                    found: Mapping[str, Any] = item.document["apiSpec"]
                    return found
        return None


def _is_shadow(documented: Documented | None, path: str, method: str) -> bool | None:
    return None if documented is None or not documented.paths else not documented.has(path, method)


def _description(application: DiscoveredApplication) -> str:
    span = f"from {rfc3339(application.first_seen)} to {rfc3339(application.last_seen)}"
    return f"What {application.hits} requests to `{application.key.app_id}` have shown, {span}."


def _missing(key: DiscoveryKey) -> MissingError:
    return MissingError(f"nothing was discovered of the application `{key.application}` of `{key.app_id}`")
