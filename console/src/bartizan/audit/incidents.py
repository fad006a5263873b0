"""
Incidents: audits that stand for an attack, of one kind and one workload, taken together for a day.

What counts as an incident is in `contract/detections.json`; a test holds this table against it. A custom rule makes
incidents when its action says so, which only the policy knows.
"""

from dataclasses import dataclass

import msgspec

from bartizan.audit.wire import Reason

SPAN = 24 * 3600 * 1000
"""An incident takes in audits of its kind for 24 hours, then a new one begins (milliseconds)."""
MOST_EMBEDDED = 50
"""So many audits are kept with an incident; of later ones only the number is."""
CUSTOM_RULE = "customRule"

_CATEGORIES = {
    Reason.MODIFIED_BINARY: "alteredBinary",
    Reason.ALTERED_PACKAGE_BINARY: "alteredBinary",
    Reason.CRYPTO_MINER: "cryptoMiner",
    Reason.REVERSE_SHELL: "reverseShell",
    Reason.WEB_SHELL: "reverseShell",
    Reason.MEMORY_PROCESS: "suspiciousBinary",
    Reason.LOADER_INVOCATION: "executionFlowHijackAttempt",
    Reason.PRELOAD: "executionFlowHijackAttempt",
    Reason.LATERAL_MOVEMENT: "lateralMovement",
    Reason.PORT_SCAN: "portScanning",
    Reason.CLOUD_METADATA: "cloudProvider",
    Reason.UNSEEN_CONNECTION: "hijackedProcess",
    Reason.SSH_ACCESS: "backdoorSSHAccess",
    Reason.ADMINISTRATIVE_ACCOUNT: "backdoorAdministrativeAccount",
    Reason.SUSPICIOUS_ELF: "suspiciousBinary",
    Reason.PACKED_BINARY: "suspiciousBinary",
    Reason.PRELOAD_FILE: "executionFlowHijackAttempt",
    Reason.TAMPERING: "hijackedProcess",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentKind:
    """What makes two audits of one workload the same incident; `type` is `fargate` or `appEmbedded`."""

    category: str
    type: str
    custom_rule: str = ""


def category_of(reason: Reason) -> str | None:
    """Return the vendor's category of the incidents that a reason makes by itself, if it does."""
    return _CATEGORIES.get(reason)


class Incident(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """
    One incident of the API, by the vendor's field names.

    `audits` are the first ones (at most 50) as the audits API gives them, `auditCount` is how many there were in all;
    `time` is that of the first, `lastTime` that of the latest.
    """

    id: str = msgspec.field(name="_id")
    serial_num: int
    time: str
    last_time: str
    type: str
    category: str
    acknowledged: bool = msgspec.field(default=False)
    app_id: str = msgspec.field(name="appID")
    profile_id: str = msgspec.field(name="profileID")
    hostname: str
    container_name: str = ""
    image_name: str = ""
    custom_rule_name: str = ""
    resource_id: str = msgspec.field(name="resourceID", default="")
    audit_count: int
    audits: list[msgspec.Raw]
