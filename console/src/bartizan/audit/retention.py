"""How long audits are kept."""

from dataclasses import dataclass

_DAY = 24 * 3600 * 1000
_HOUR = 3600 * 1000
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Bounds of one kind of audits: age in days, number, and size in MiB (0: no bound); the newest are kept."""

    days: int = 30
    audits: int = 1_000_000
    mebibytes: int = 0


def cutoff(
    retention: Retention, *, now: int, newest_id: int, average_size: float = 0.0, hour: int | None = None
) -> tuple[int, int]:
    """
    Return (time, id): audits received before that time (unix milliseconds) or with a smaller id may go.

    Ids are given in order of arrival, so counting back from the newest one bounds the number without counting rows;
    `average_size` (bytes) makes a number of the bound by size. With an `hour` (UTC) age is looked at in that hour of
    the day only; the other bounds protect the disk, and hold always.
    """
    number = retention.audits
    if retention.mebibytes and average_size > 0:
        number = min(number, max(1, int(retention.mebibytes * _MEBIBYTE / average_size)))
    due = hour is None or now % _DAY // _HOUR == hour
    return now - retention.days * _DAY if due else 0, newest_id - number + 1
