"""WAAS events as a table (CSV, RFC 4180)."""

from collections.abc import Callable

from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.audit.table import csv_row

_COLUMNS: dict[str, Callable[[FirewallAudit], str]] = {
    "ID": lambda audit: audit.id,
    "Time": lambda audit: audit.time,
    "App ID": lambda audit: audit.app_id,
    "Image": lambda audit: audit.image_name,
    "Container": lambda audit: audit.container_name,
    "Rule": lambda audit: audit.rule_name,
    "Rule app ID": lambda audit: audit.rule_app_id,
    "Type": lambda audit: audit.type,
    "Protection": lambda audit: audit.protection,
    "Effect": lambda audit: audit.effect,
    "Count": lambda audit: str(audit.count),
    "Message": lambda audit: audit.msg,
    "Attack field type": lambda audit: audit.attack_field.type if audit.attack_field else "",
    "Attack field key": lambda audit: audit.attack_field.key if audit.attack_field else "",
    "Attack field value": lambda audit: audit.attack_field.value if audit.attack_field else "",
    "Event ID": lambda audit: audit.event_id,
    "Source IP": lambda audit: audit.subnet,
    "Connecting IPs": lambda audit: " ".join(audit.connecting_ips),
    "Country": lambda audit: audit.country,
    "Method": lambda audit: audit.method,
    "Host": lambda audit: audit.request_host,
    "URL": lambda audit: audit.url,
    "Path": lambda audit: audit.url_path,
    "Query": lambda audit: audit.url_query,
    "User agent": lambda audit: audit.user_agent_header,
    "Status": lambda audit: str(audit.status_code or ""),
    "Attack techniques": lambda audit: " ".join(audit.attack_techniques),
    "OWASP top 10": lambda audit: audit.owasp_top10,
    "OWASP API top 10": lambda audit: audit.owasp_api_top10,
    "Rules": lambda audit: " ".join(map(str, audit.rules)),
}


def firewall_csv_head() -> str:
    """Return the first line."""
    return csv_row(list(_COLUMNS))


def firewall_csv_line(audit: FirewallAudit) -> str:
    """Return the line of an event; a cell that a spreadsheet would run has `'` before it."""
    return csv_row([read(audit) for read in _COLUMNS.values()])
