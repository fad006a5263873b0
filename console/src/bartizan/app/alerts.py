"""Who is told of what happens."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bartizan import pki
from bartizan.alerts import Alert, Origin
from bartizan.app.base import Base
from bartizan.app.fleet import Fleet
from bartizan.app.policy import PolicyParts
from bartizan.outgoing.courier import AlertCourier
from bartizan.policy import Workload
from bartizan.services.alert_profiles import AlertProfiles
from bartizan.services.alerting import Alerting
from bartizan.store import SqlAlertEvents, SqlAlertProfiles


class Alerts:
    """Alert profiles, and what sends by them."""

    def __init__(self, base: Base, fleet: Fleet, policy: PolicyParts) -> None:
        self._base = base
        self._collections = policy.collections
        self._host = socket.gethostname()
        events = SqlAlertEvents(base.database)
        courier = AlertCourier(base.outgoing, base.directory / "alerts")
        self.profiles = AlertProfiles(
            SqlAlertProfiles(base.database),
            pki.SecretBox(base.directory / "alerts.key"),
            courier,
            box_error=pki.SealError,
            origin=self._origin,
            heads=events.newest,
            collections=lambda: frozenset(item.name for item in self._collections.all()),
            clock=base.clock,
        )
        self.alerting = Alerting(
            self.profiles, events, courier, defenders=fleet.defenders.records, within=self._within, clock=base.clock
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Send alerts until the block ends; what is not sent then is sent at the next start."""
        teller = asyncio.create_task(self.alerting.run())
        try:
            yield
        finally:
            teller.cancel()
            await asyncio.gather(teller, return_exceptions=True)

    def _origin(self) -> Origin:
        base = self._base
        return Origin(name=self._host, version=base.settings.version, address=base.names.page_address, now=base.clock())

    def _within(self, alert: Alert, names: tuple[str, ...]) -> bool:
        workload = Workload(app_id=alert.app_id, container=alert.container or None, image=alert.image or None)
        return self._collections.covers_any(names, workload)
