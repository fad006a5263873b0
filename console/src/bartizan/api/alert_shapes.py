"""The JSON of alert profiles; names are the vendor's where it has them."""

import msgspec

from bartizan.alerts import Trigger
from bartizan.alerts.targets import (
    EmailTarget,
    FileTarget,
    JiraTarget,
    OtlpTarget,
    PagerDutyTarget,
    Secret,
    SecurityHubTarget,
    SlackTarget,
    SplunkTarget,
    SqsTarget,
    SyslogTarget,
    WebhookTarget,
)


class AlertProfileChange(msgspec.Struct, rename="camel", omit_defaults=True):
    """
    An alert profile: what is told (`policy`, by kind of event), to whom (exactly one block of a target), how often.

    The first event of a kind is told at once, then one alert in each `aggregationPeriodMs` with the number of events;
    0 tells each by itself. A secret that is not given is kept, as long as it goes to the same place.
    """

    name: str = ""
    description: str = ""
    enabled: bool = True
    aggregation_period_ms: int = 60_000
    policy: dict[str, Trigger] = {}
    webhook: WebhookTarget | None = None
    slack: SlackTarget | None = None
    email: EmailTarget | None = None
    syslog: SyslogTarget | None = None
    splunk: SplunkTarget | None = None
    security_hub: SecurityHubTarget | None = None
    sqs: SqsTarget | None = None
    pagerduty: PagerDutyTarget | None = None
    jira: JiraTarget | None = None
    otlp: OtlpTarget | None = None
    file: FileTarget | None = None


class AlertState(msgspec.Struct, rename="camel"):
    """
    How a profile does: `status` is `disabled`, `unusable`, `failing`, `working` or `idle`.

    `sent` alerts arrived, `waiting` ones are to be sent, `dropped` ones were given up, `skipped` events were too many
    to look at.
    """

    status: str
    sent: int
    waiting: int
    dropped: int
    skipped: int
    last_sent: str = ""
    last_error: str = ""
    last_error_time: str = ""
    next_try: str = ""


class AlertProfileAnswer(AlertProfileChange, rename="camel", omit_defaults=False, kw_only=True):
    """An alert profile as it is kept, and how it does; `secretsSet` are the secrets that it has."""

    id: str = msgspec.field(name="_id")
    owner: str
    modified: str
    target: str
    secrets_set: list[str]
    last_error: str
    state: AlertState


class AlertPreview(msgspec.Struct, rename="camel"):
    """What would be sent: to `place`, with `headers` (none of them a secret), and the text of it."""

    carrier: str
    place: str
    headers: dict[str, str]
    text: str


class ProxyChange(msgspec.Struct, rename="camel"):
    """
    The proxy that alerts and log-ins take on their way out; an empty `httpProxy` is none.

    `noProxy` are hosts, `.names`, addresses and networks, separated by commas. A password that is not given is kept
    for the same proxy and user.
    """

    http_proxy: str = ""
    no_proxy: str = ""
    user: str = ""
    password: Secret = Secret()
    ca: str = ""


class ProxyAnswer(msgspec.Struct, rename="camel"):
    """The proxy as it is kept, and whether it has a password."""

    http_proxy: str
    no_proxy: str
    user: str
    ca: str
    password_set: bool


ALERT_SHAPES = (
    AlertPreview,
    AlertProfileAnswer,
    AlertProfileChange,
    AlertState,
    EmailTarget,
    FileTarget,
    JiraTarget,
    OtlpTarget,
    PagerDutyTarget,
    ProxyAnswer,
    ProxyChange,
    Secret,
    SecurityHubTarget,
    SlackTarget,
    SplunkTarget,
    SqsTarget,
    SyslogTarget,
    Trigger,
    WebhookTarget,
)
