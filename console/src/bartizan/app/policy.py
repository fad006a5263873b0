"""What Defenders are told to do; each change goes to all that are connected."""

from collections.abc import Sequence

from bartizan import pki
from bartizan.app.base import Base
from bartizan.services.collections import Collections
from bartizan.services.custom_rules import CustomRules
from bartizan.services.defenders import Defenders
from bartizan.services.deployed import DeployedDefenders
from bartizan.services.event_allowance import EventAllowance
from bartizan.services.firewall import CertificateReader, Firewall
from bartizan.services.firewall_history import FirewallHistory
from bartizan.services.ingest import Arrived
from bartizan.services.interfaces import NewAudit, NewFirewallAudit
from bartizan.services.policies import Policies
from bartizan.services.rule_hits import RuleHits
from bartizan.services.rulesets import Rulesets
from bartizan.store import SqlCollections, SqlCustomRules, SqlFirewall, SqlPolicies, SqlRuleHits, SqlRulesets
from bartizan.store.revisions import SqlRevisions
from bartizan.store.tables import waas_policies


class PolicyParts:
    """Collections, runtime policy with its custom rules, WAAS policy, and rule sets of the firewall."""

    def __init__(self, base: Base, defenders: Defenders) -> None:
        self._defenders = defenders
        self.collections = Collections(SqlCollections(base.database), clock=base.clock)
        library = SqlCustomRules(base.database)
        self.policies = Policies(
            SqlPolicies(base.database),
            on_change=self._push_policies,
            clock=base.clock,
            library={rule.id: rule for rule in library.all()},
            collections=lambda: self.collections.stored,
        )
        self.collections.serve(self.policies)
        self.custom_rules = CustomRules(library, self.policies, clock=base.clock)
        self.rule_hits = RuleHits(
            SqlRuleHits(base.database, "runtime"), names=lambda: [rule.name for rule in self.policies.current.rules]
        )
        self.firewall = Firewall(
            SqlFirewall(base.database),
            FirewallHistory(SqlRevisions(base.database, waas_policies)),
            pki.SecretBox(base.directory / "certificates.key"),
            box_error=pki.SealError,
            certificates=CertificateReader(check=pki.check_pair, facts=pki.facts_of),
            on_change=self._push_firewall,
            clock=base.clock,
            collections=lambda: self.collections.stored,
        )
        self.collections.serve(self.firewall)
        self.firewall_hits = RuleHits(
            SqlRuleHits(base.database, "waas"), names=lambda: [rule.name for rule in self.firewall.current.rules]
        )
        self.event_allowance = EventAllowance(self.policies, self.custom_rules, self.firewall)
        self.rulesets = Rulesets(SqlRulesets(base.database), base.stored, on_change=self._push_rules, clock=base.clock)
        self.deployed = DeployedDefenders(
            defenders,
            self.policies,
            self.firewall,
            version=base.settings.version,
            life=base.settings.certificate_hours * 3_600_000,
            clock=base.clock,
        )

    def saw(self, audits: Sequence[Arrived]) -> None:
        """Count the rules that matched."""
        for kind, hits in ((NewAudit, self.rule_hits), (NewFirewallAudit, self.firewall_hits)):
            found = ((item.audit.rule_name, item.audit.count, item.time) for item in audits if isinstance(item, kind))
            hits.count([match for match in found if match[0]])

    async def flush_hits(self) -> None:
        """Write how often rules matched."""
        await self.rule_hits.flush()
        await self.firewall_hits.flush()

    def _push_policies(self) -> None:
        for session in self._defenders.sessions():
            session.policy_changed()

    def _push_firewall(self) -> None:
        for session in self._defenders.sessions():
            session.waas_changed()

    def _push_rules(self) -> None:
        for session in self._defenders.sessions():
            session.rules_changed()
