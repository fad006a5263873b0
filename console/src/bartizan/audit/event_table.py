"""Runtime audits and WAAS events in one table (CSV, RFC 4180)."""

from collections.abc import Callable

from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.audit.runtime_audit import RuntimeAudit
from bartizan.audit.table import csv_row

_Runtime = Callable[[RuntimeAudit], str]
_Waas = Callable[[FirewallAudit], str]


def _none(_audit: object) -> str:
    return ""


_COLUMNS: dict[str, tuple[_Runtime, _Waas]] = {
    "ID": (lambda audit: f"runtime-{audit.id}", lambda audit: f"waas-{audit.id}"),
    "Kind": (lambda _: "runtime", lambda _: "waas"),
    "Time": (lambda audit: audit.time, lambda audit: audit.time),
    "Effect": (lambda audit: audit.effect, lambda audit: audit.effect),
    "Severity": (lambda audit: audit.severity, _none),
    "Type": (lambda audit: audit.type, lambda audit: audit.type),
    "Reason": (lambda audit: audit.reason, lambda audit: audit.protection),
    "Message": (lambda audit: audit.msg, lambda audit: audit.msg),
    "App ID": (lambda audit: audit.app_id, lambda audit: audit.app_id),
    "Container": (lambda audit: audit.container_name, lambda audit: audit.container_name),
    "Image": (lambda audit: audit.image_name, lambda audit: audit.image_name),
    "Rule": (lambda audit: audit.rule_name, lambda audit: audit.rule_name),
    "Count": (lambda audit: str(audit.count), lambda audit: str(audit.count)),
    "Attack techniques": (
        lambda audit: " ".join(audit.attack_techniques),
        lambda audit: " ".join(audit.attack_techniques),
    ),
    "Process": (lambda audit: audit.process_path, _none),
    "Command": (lambda audit: audit.command, _none),
    "Ancestry": (lambda audit: " < ".join(audit.ancestry), _none),
    "File": (lambda audit: audit.filepath, _none),
    "Domain": (lambda audit: audit.domain, _none),
    "IP": (lambda audit: audit.ip, _none),
    "Port": (lambda audit: str(audit.port or ""), _none),
    "Source IP": (_none, lambda audit: audit.subnet),
    "Method": (_none, lambda audit: audit.method),
    "URL": (_none, lambda audit: audit.url),
    "User agent": (_none, lambda audit: audit.user_agent_header),
    "Event ID": (_none, lambda audit: audit.event_id),
    "Defender": (lambda audit: audit.defender_id, lambda audit: audit.defender_id),
}


def event_csv_head() -> str:
    """Return the first line."""
    return csv_row(list(_COLUMNS))


def event_csv_line(audit: RuntimeAudit | FirewallAudit) -> str:
    """Return the line of an event; a cell that a spreadsheet would run has `'` before it."""
    if isinstance(audit, RuntimeAudit):
        return csv_row([runtime(audit) for runtime, _ in _COLUMNS.values()])
    return csv_row([waas(audit) for _, waas in _COLUMNS.values()])
