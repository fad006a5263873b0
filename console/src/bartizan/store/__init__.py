"""The Console's database: SQLite in the data directory, behind the Protocols of `services.interfaces`."""

from bartizan.store.alerts import SqlAlertEvents, SqlAlertProfiles
from bartizan.store.audits import SqlAudits
from bartizan.store.bundles import SqlBundles
from bartizan.store.changes import SqlChanges
from bartizan.store.collections import SqlCollections
from bartizan.store.credentials import SqlCredentials
from bartizan.store.custom_rules import SqlCustomRules
from bartizan.store.database import Database
from bartizan.store.defenders import SqlDefenders
from bartizan.store.directory import SqlDirectory
from bartizan.store.discoveries import SqlDiscoveries
from bartizan.store.events import SqlEvents
from bartizan.store.firewall import SqlFirewall
from bartizan.store.firewall_audits import SqlFirewallAudits
from bartizan.store.images import SqlImages
from bartizan.store.incidents import SqlIncidents
from bartizan.store.learned import SqlLearned
from bartizan.store.models import SqlModels
from bartizan.store.policies import SqlPolicies, SqlRuleHits
from bartizan.store.rulesets import SqlRulesets
from bartizan.store.sessions import SqlSessions
from bartizan.store.settings import SqlSettings
from bartizan.store.snapshots import SqlSnapshots

__all__ = [
    "Database",
    "SqlAlertEvents",
    "SqlAlertProfiles",
    "SqlAudits",
    "SqlBundles",
    "SqlChanges",
    "SqlCollections",
    "SqlCredentials",
    "SqlCustomRules",
    "SqlDefenders",
    "SqlDirectory",
    "SqlDiscoveries",
    "SqlEvents",
    "SqlFirewall",
    "SqlFirewallAudits",
    "SqlImages",
    "SqlIncidents",
    "SqlLearned",
    "SqlModels",
    "SqlPolicies",
    "SqlRuleHits",
    "SqlRulesets",
    "SqlSessions",
    "SqlSettings",
    "SqlSnapshots",
]
