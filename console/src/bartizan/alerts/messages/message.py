"""What is carried to receivers, and the words that all messages share."""

from dataclasses import dataclass, field

from bartizan.alerts.alert import Alert, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who tells: the Console's name and version, the address of its pages, and the time now (unix milliseconds)."""

    name: str
    version: str
    address: str
    now: int

    def page(self, alert: Alert) -> str:
        """Return the link to what an alert tells of."""
        return f"{self.address}{alert.path}" if alert.path else self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMessage:
    """A POST. An answer whose JSON has a number other than 0 under `refusal_key` is a refusal, whatever its status."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    ca_pem: str = ""
    refusal_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailMessage:
    """A mail of one plain text."""

    host: str
    port: int
    tls_first: bool
    user: str
    password: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    identifier: str
    ca_pem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogMessage:
    """One message, still without the frame around it."""

    host: str
    port: int
    line: bytes
    ca_pem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """A line for a file of a name."""

    name: str
    line: bytes
    max_bytes: int
    keep: int


Message = HttpMessage | MailMessage | SyslogMessage | FileLine


def one_line(text: str, most: int = 1000) -> str:
    """Return text without line breaks and control characters, at most so long: what attackers name is in it."""
    cleaned = "".join(sign if sign.isprintable() else " " for sign in text)
    return cleaned if len(cleaned) <= most else cleaned[: most - 1] + "…"


def facts(alert: Alert) -> list[tuple[str, str]]:
    """Return what there is to say of an alert, as (name, value), for messages that people read."""
    count = f"{alert.count} times since {moment(alert.first or alert.time)}" if alert.count > 1 else ""
    found = (
        ("App ID", alert.app_id),
        ("Container", alert.container),
        ("Image", alert.image),
        ("Rule", alert.rule),
        ("Effect", alert.effect),
        ("Severity", alert.severity),
        ("Category", alert.category),
        ("Techniques", ", ".join(alert.techniques)),
        ("Resource", alert.resource),
        ("Time", alert.moment),
        ("Count", count),
    )
    return [(name, one_line(value, 256)) for name, value in found if value]


def headline(alert: Alert) -> str:
    """Return one line that says it all."""
    times = f" ({alert.count} times)" if alert.count > 1 else ""
    where = f" in {alert.app_id}" if alert.app_id else ""
    return one_line(f"{alert.title}{where}{times}", 200)
