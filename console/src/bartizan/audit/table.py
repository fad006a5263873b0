"""Audits as a table (CSV, RFC 4180)."""

import csv
import io
from collections.abc import Callable

from bartizan.audit.runtime_audit import RuntimeAudit

_COLUMNS: dict[str, Callable[[RuntimeAudit], str]] = {
    "ID": lambda audit: audit.id,
    "Time": lambda audit: audit.time,
    "App ID": lambda audit: audit.app_id,
    "Image": lambda audit: audit.image_name,
    "Container": lambda audit: audit.container_name,
    "Rule": lambda audit: audit.rule_name,
    "Type": lambda audit: audit.type,
    "Attack type": lambda audit: audit.attack_type,
    "Reason": lambda audit: audit.reason,
    "Attack techniques": lambda audit: " ".join(audit.attack_techniques),
    "Severity": lambda audit: audit.severity,
    "Effect": lambda audit: audit.effect,
    "Incident": lambda audit: audit.incident_category,
    "Count": lambda audit: str(audit.count),
    "Message": lambda audit: audit.msg,
    "Process": lambda audit: audit.process_path,
    "Command": lambda audit: audit.command,
    "SHA-256": lambda audit: audit.sha256,
    "PID": lambda audit: str(audit.pid or ""),
    "User": lambda audit: audit.user,
    "Ancestry": lambda audit: " < ".join(audit.ancestry),
    "File": lambda audit: audit.filepath,
    "Domain": lambda audit: audit.domain,
    "IP": lambda audit: audit.ip,
    "Port": lambda audit: str(audit.port or ""),
    "Protocol": lambda audit: audit.protocol,
}
# Spreadsheets take such a cell for a formula, and an attacker names programs as they like (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_head() -> str:
    """Return the first line."""
    return csv_row(list(_COLUMNS))


def csv_line(audit: RuntimeAudit) -> str:
    """Return the line of an audit; a cell that a spreadsheet would run has `'` before it."""
    return csv_row([read(audit) for read in _COLUMNS.values()])


def csv_row(cells: list[str]) -> str:
    """Return cells as one line; one that a spreadsheet would run has `'` before it."""
    target = io.StringIO()
    csv.writer(target).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return target.getvalue()
