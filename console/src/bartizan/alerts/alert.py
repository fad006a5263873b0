"""An alert: one event in the few words that every receiver understands, and the event itself."""

import enum
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


class AlertKind(enum.Enum):
    """What an alert is of; the vendor's names of alert types."""

    RUNTIME = "appEmbeddedRuntime"
    FIREWALL = "appEmbeddedAppFirewall"
    INCIDENT = "incident"
    DEFENDER = "defender"


SEVERITIES = ("low", "medium", "high")
"""From the least to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    One event, or `count` alike that were taken together; `time` is unix milliseconds, `first` that of the first.

    `id` is unique among all alerts, `category` the kind of attack, `rule` the rule that applied, `techniques` are
    MITRE's, `path` is the page of the Console that shows it. `document` is the event as the API gives it.
    """

    kind: AlertKind
    id: str
    time: int
    title: str
    message: str
    severity: str
    app_id: str = ""
    container: str = ""
    image: str = ""
    rule: str = ""
    effect: str = ""
    category: str = ""
    techniques: tuple[str, ...] = ()
    resource: str = ""
    count: int = 1
    first: int = 0
    path: str = ""
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """What alerts have in common that are told together: a digest of kind, workload, rule and attack."""
        parts = (self.kind.value, self.app_id, self.container, self.rule, self.category, self.effect)
        return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]

    @property
    def moment(self) -> str:
        """The time as RFC 3339 in UTC."""
        return moment(self.time)


def moment(milliseconds: int) -> str:
    """Return unix milliseconds as RFC 3339 in UTC, with milliseconds."""
    found = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
