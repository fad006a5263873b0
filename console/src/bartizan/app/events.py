"""What Defenders report: audits, incidents, forensics, learned behaviour, discovered ports."""

from bartizan.app.base import Base
from bartizan.app.fleet import Fleet
from bartizan.app.policy import PolicyParts
from bartizan.defender_program import DefenderProgram
from bartizan.services.audit_sources import AuditSources
from bartizan.services.audits import Audits
from bartizan.services.discoveries import Discoveries
from bartizan.services.events import EventList
from bartizan.services.firewall_audits import FirewallAudits
from bartizan.services.forensics import Forensics
from bartizan.services.housekeeping import Chore
from bartizan.services.incidents import Incidents
from bartizan.services.ingest import AuditFeed, Ingest
from bartizan.services.investigation import Investigation
from bartizan.services.learning import Learning
from bartizan.services.models import Models
from bartizan.services.trial import Trials
from bartizan.store import (
    SqlAudits,
    SqlDiscoveries,
    SqlEvents,
    SqlFirewallAudits,
    SqlIncidents,
    SqlLearned,
    SqlModels,
    SqlSnapshots,
)


class Events:
    """The way of events into the database, and the use-cases that read them."""

    def __init__(self, base: Base, fleet: Fleet, policy: PolicyParts) -> None:
        database, clock = base.database, base.clock
        self._flush_hits = policy.flush_hits
        self.audit_store = SqlAudits(database)
        self.feed = AuditFeed(self.audit_store.newest_id())
        self.ingest = Ingest(self.audit_store, self.feed, watchers=(policy.saw,))
        self.audits = Audits(self.audit_store, self.feed)
        self.list = EventList(SqlEvents(database), self.feed, clock=clock)
        self.sources = AuditSources(self.audit_store, fleet.defenders)
        firewall_store = SqlFirewallAudits(database)
        self.firewall_audits = FirewallAudits(
            firewall_store, cutoff=base.retentions.of_firewall(firewall_store.average_size)
        )
        self.discoveries = Discoveries(SqlDiscoveries(database), policy=lambda: policy.firewall.current, clock=clock)
        incidents = SqlIncidents(database)
        self.incidents = Incidents(incidents, clock=clock)
        snapshots = SqlSnapshots(database)
        self.forensics = Forensics(snapshots, incidents, fleet.defenders, base.scrubbing, clock=clock)
        self.investigation = Investigation(self.incidents, incidents, snapshots)
        models = SqlModels(database)
        self.models = Models(models, clock=clock)
        self.learning = Learning(SqlLearned(database), self.models, policy.policies, self.audit_store, clock=clock)
        program = DefenderProgram(base.binaries)
        self.trials = Trials(self.audit_store, models, policy.policies, program, clock=clock)

    @property
    def prompt(self) -> tuple[Chore, ...]:
        """What housekeeping has to do every few seconds."""
        return (self.forensics.tick, self._flush_hits)

    @property
    def chores(self) -> tuple[Chore, ...]:
        """What housekeeping has to do at every sweep."""
        return (
            self.incidents.prune,
            self.forensics.prune,
            self.models.prune,
            self.learning.tick,
            self.firewall_audits.prune,
            self.discoveries.prune,
        )
