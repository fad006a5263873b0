"""
Audits: what a Defender reports, and what users of the API see of it.

Pure: values in, values out.
"""

from bartizan.audit.retention import Retention, cutoff
from bartizan.audit.runtime_audit import CustomText, Reporter, RuntimeAudit, describe
from bartizan.audit.wire import (
    Audit,
    AuditEffect,
    ConnectionEvent,
    DefenderEvent,
    Event,
    LookupEvent,
    Notice,
    ProcessEvent,
    Protocol,
    Reason,
)

__all__ = [
    "Audit",
    "AuditEffect",
    "ConnectionEvent",
    "CustomText",
    "DefenderEvent",
    "Event",
    "LookupEvent",
    "Notice",
    "ProcessEvent",
    "Protocol",
    "Reason",
    "Reporter",
    "Retention",
    "RuntimeAudit",
    "cutoff",
    "describe",
]
