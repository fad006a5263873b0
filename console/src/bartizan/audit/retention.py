"""How long audits are kept."""

from dataclasses import dataclass

_DAY = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Bounds of the audit store: age in days and number of audits; the newest are kept."""

    days: int = 30
    audits: int = 1_000_000


def cutoff(retention: Retention, *, now: int, newest_id: int) -> tuple[int, int]:
    """
    Return (time, id): audits received before that time (unix milliseconds) or with a smaller id may go.

    Ids are given in order of arrival, so counting back from the newest one bounds the number without counting rows.
    """
    return now - retention.days * _DAY, newest_id - retention.audits + 1
