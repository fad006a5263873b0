"""Who may report for which source: nobody reports for another's workload."""

import asyncio

from bartizan.services.defenders import Defenders
from bartizan.services.interfaces import AuditStore, ClientIdentity


class AuditSources:
    """
    Binds each source (a Defender process) to the instance whose certificate reports it.

    A Defender always owns itself. A sidecar owns the entrypoints it was first to report for; when it has been replaced
    (another instance of the same App ID, and the old one is gone), the new one takes over what is left to be sent.
    """

    def __init__(self, store: AuditStore, defenders: Defenders) -> None:
        self._store = store
        self._defenders = defenders

    async def claim(self, identity: ClientIdentity, app_id: str, source: str) -> bool:
        """Return whether the instance may report for the source, and bind it if so."""
        owner = await asyncio.to_thread(self._store.source_owner, identity.bundle, source)
        if owner == identity.instance:
            return True
        if source != identity.instance and not self._may_take(owner, app_id, source):
            return False
        await asyncio.to_thread(self._store.set_source_owner, identity.bundle, source, identity.instance)
        return True

    def _may_take(self, owner: str | None, app_id: str, source: str) -> bool:
        if self._defenders.get(source) is not None:
            return False
        if owner is None:
            return True
        record = self._defenders.get(owner)
        return record is None or (not record.connected and record.app_id == app_id)
