"""The Defenders: how they enrol, and which there are."""

from bartizan import pki
from bartizan.app.base import Base
from bartizan.services.bundles import Bundles
from bartizan.services.defenders import Defenders
from bartizan.services.enrolment import Enrolment
from bartizan.store import SqlBundles, SqlDefenders


class Fleet:
    """The registry of Defenders, install bundles and enrolment."""

    def __init__(self, base: Base) -> None:
        self.defenders = Defenders(SqlDefenders(base.database), base.stored, clock=base.clock)
        self.bundles = Bundles(
            SqlBundles(base.database),
            pki.BundleKey(base.directory / "bundle.key"),
            base.names,
            self.defenders,
            pin=base.authority.pin,
            clock=base.clock,
        )
        life = base.settings.certificate_hours * 3_600_000
        self.enrolment = Enrolment(self.bundles, self.defenders, base.authority, life=life, clock=base.clock)
