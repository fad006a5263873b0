"""What Defenders are told to do; each change goes to all that are connected."""

from bartizan import pki
from bartizan.app.base import Base
from bartizan.services.collections import Collections
from bartizan.services.custom_rules import CustomRules
from bartizan.services.defenders import Defenders
from bartizan.services.deployed import DeployedDefenders
from bartizan.services.firewall import Firewall
from bartizan.services.policies import Policies
from bartizan.services.rulesets import Rulesets
from bartizan.store import SqlCollections, SqlCustomRules, SqlFirewall, SqlPolicies, SqlRulesets


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
        self.custom_rules = CustomRules(library, self.policies)
        self.firewall = Firewall(
            SqlFirewall(base.database),
            pki.SecretBox(base.directory / "certificates.key"),
            box_error=pki.SealError,
            check_pair=pki.check_pair,
            on_change=self._push_firewall,
            clock=base.clock,
            collections=lambda: self.collections.stored,
        )
        self.collections.serve(self.firewall)
        self.rulesets = Rulesets(SqlRulesets(base.database), base.stored, on_change=self._push_rules, clock=base.clock)
        self.deployed = DeployedDefenders(
            defenders,
            self.policies,
            self.firewall,
            version=base.settings.version,
            life=base.settings.certificate_hours * 3_600_000,
            clock=base.clock,
        )

    def _push_policies(self) -> None:
        for session in self._defenders.sessions():
            session.policy_changed()

    def _push_firewall(self) -> None:
        for session in self._defenders.sessions():
            session.waas_changed()

    def _push_rules(self) -> None:
        for session in self._defenders.sessions():
            session.rules_changed()
