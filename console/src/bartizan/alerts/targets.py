"""Where alerts go. The names of fields are the vendor's where it has the target."""

from typing import Annotated, ClassVar, Literal

import msgspec

_Short = Annotated[str, msgspec.Meta(max_length=256)]
_Url = Annotated[str, msgspec.Meta(max_length=2048)]
_Pem = Annotated[str, msgspec.Meta(max_length=65536)]
_Template = Annotated[str, msgspec.Meta(max_length=16384)]
_Region = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(?:-[a-z]+)+-[0-9]{1,2}$")]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret: it goes in as `plain`, and never comes back; `encrypted` is always empty."""

    plain: Annotated[str, msgspec.Meta(max_length=8192)] = ""
    encrypted: Literal[""] = ""

    def __repr__(self) -> str:
        """Return nothing of the secret."""
        return "Secret()"


class _Target(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What all targets are; `places` are the fields that say where secrets go, `needs` those that cannot be empty."""

    places: ClassVar[tuple[str, ...]] = ("url", "ca_cert")
    needs: ClassVar[tuple[str, ...]] = ("url",)


class WebhookTarget(_Target, frozen=True, kw_only=True):
    """
    A POST of JSON to `url`, by the template `json` if there is one.

    With `secret` requests are signed: `X-Bartizan-Signature` is `sha256=` and the HMAC-SHA-256 in hex of
    `X-Bartizan-Timestamp`, a dot, and the body. `authorization` is sent as the header of that name.
    """

    url: _Url
    json: _Template = ""
    secret: Secret = Secret()
    authorization: Secret = Secret()
    ca_cert: _Pem = ""


class SlackTarget(_Target, frozen=True, kw_only=True):
    """An incoming webhook of Slack, or of what takes the same messages (Mattermost); its address is the secret."""

    places: ClassVar[tuple[str, ...]] = ("ca_cert",)
    needs: ClassVar[tuple[str, ...]] = ("webhook_url",)
    webhook_url: Secret = Secret()
    channels: Annotated[tuple[_Short, ...], msgspec.Meta(max_length=10)] = ()
    ca_cert: _Pem = ""


class EmailTarget(_Target, frozen=True, kw_only=True):
    """Mail by SMTP: with `ssl` TLS from the first byte, otherwise STARTTLS, which the server has to offer."""

    places: ClassVar[tuple[str, ...]] = ("smtp_address", "port", "user", "ca_cert")
    needs: ClassVar[tuple[str, ...]] = ("smtp_address", "sender", "recipients")
    smtp_address: _Short
    port: _Port = 587
    ssl: bool = False
    user: _Short = ""
    password: Secret = Secret()
    sender: _Short = msgspec.field(name="from", default="")
    recipients: Annotated[tuple[_Short, ...], msgspec.Meta(max_length=50)] = ()
    ca_cert: _Pem = ""


class SyslogTarget(_Target, frozen=True, kw_only=True):
    """Syslog messages (RFC 5424) over TLS with octet counting (RFC 5425); `facility` is its number, 13 is log audit."""

    places: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ("host",)
    host: _Short
    port: _Port = 6514
    facility: Annotated[int, msgspec.Meta(ge=0, le=23)] = 13
    ca_cert: _Pem = ""


class SplunkTarget(_Target, frozen=True, kw_only=True):
    """Splunk's HTTP Event Collector; `url` ends in `/services/collector/event`, `json` is a template of the event."""

    needs: ClassVar[tuple[str, ...]] = ("url", "auth_token")
    url: _Url
    auth_token: Secret = Secret()
    index: _Short = ""
    json: _Template = ""
    ca_cert: _Pem = ""


class _AwsTarget(_Target, frozen=True, kw_only=True):
    """What targets at AWS are; `endpoint` is the address of a VPC endpoint, empty for AWS's own."""

    places: ClassVar[tuple[str, ...]] = ("region", "endpoint", "access_key_id", "ca_cert")
    region: _Region
    access_key_id: _Short = msgspec.field(name="accessKeyID", default="")
    secret_access_key: Secret = Secret()
    endpoint: _Url = ""
    ca_cert: _Pem = ""


class SecurityHubTarget(_AwsTarget, frozen=True, kw_only=True):
    """AWS Security Hub: each alert becomes a finding (ASFF) of the account."""

    needs: ClassVar[tuple[str, ...]] = ("account_id", "access_key_id", "secret_access_key")
    account_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}$")] = msgspec.field(name="accountID")


class SqsTarget(_AwsTarget, frozen=True, kw_only=True):
    """A queue of Amazon SQS, which gets JSON, by the template `json` if there is one."""

    needs: ClassVar[tuple[str, ...]] = ("queue_url", "access_key_id", "secret_access_key")
    queue_url: _Url = msgspec.field(name="queueURL")
    json: _Template = ""


class PagerDutyTarget(_Target, frozen=True, kw_only=True):
    """PagerDuty's Events API v2; alike events are one incident there. `url` is another region's, such as the EU's."""

    places: ClassVar[tuple[str, ...]] = ("url", "ca_cert")
    needs: ClassVar[tuple[str, ...]] = ("url", "routing_key")
    routing_key: Secret = Secret()
    severity: Literal["", "critical", "error", "warning", "info"] = ""
    url: _Url = "https://events.pagerduty.com/v2/enqueue"
    ca_cert: _Pem = ""


class JiraTarget(_Target, frozen=True, kw_only=True):
    """An issue of Jira for each alert. With `user`, `apiToken` is the password; without it, a personal access token."""

    places: ClassVar[tuple[str, ...]] = ("base_url", "user", "ca_cert")
    needs: ClassVar[tuple[str, ...]] = ("base_url", "project_key", "issue_type", "api_token")
    base_url: _Url
    project_key: Annotated[str, msgspec.Meta(max_length=64)] = ""
    issue_type: _Short = "Task"
    priority: _Short = ""
    labels: Annotated[tuple[_Short, ...], msgspec.Meta(max_length=20)] = ()
    user: _Short = ""
    api_token: Secret = Secret()
    ca_cert: _Pem = ""


class OtlpTarget(_Target, frozen=True, kw_only=True):
    """Log records by OTLP/HTTP with JSON; `url` ends in `/v1/logs`. `authorization` is the header of that name."""

    url: _Url
    authorization: Secret = Secret()
    ca_cert: _Pem = ""


class FileTarget(_Target, frozen=True, kw_only=True):
    """
    A file of OCSF events, one JSON in each line, below `alerts/` in the Console's data directory.

    Beyond `maxMegabytes` it is renamed to `.1`, an older one to `.2` and so on; `keep` of them stay.
    """

    places: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ("name",)
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    max_megabytes: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 100
    keep: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5


Target = (
    WebhookTarget
    | SlackTarget
    | EmailTarget
    | SyslogTarget
    | SplunkTarget
    | SecurityHubTarget
    | SqsTarget
    | PagerDutyTarget
    | JiraTarget
    | OtlpTarget
    | FileTarget
)

TARGETS: dict[str, type[Target]] = {
    "webhook": WebhookTarget,
    "slack": SlackTarget,
    "email": EmailTarget,
    "syslog": SyslogTarget,
    "splunk": SplunkTarget,
    "securityHub": SecurityHubTarget,
    "sqs": SqsTarget,
    "pagerduty": PagerDutyTarget,
    "jira": JiraTarget,
    "otlp": OtlpTarget,
    "file": FileTarget,
}
"""The targets by the names of their blocks in a profile."""


def target_name(target: Target) -> str:
    """Return the name of a target's block."""
    return next(name for name, shape in TARGETS.items() if isinstance(target, shape))


def secrets_of(target: Target) -> dict[str, str]:
    """Return the secrets that a target holds, by their JSON names; the empty ones are left out."""
    named = ((item.encode_name, getattr(target, item.name)) for item in msgspec.structs.fields(target))
    return {name: value.plain for name, value in named if isinstance(value, Secret) and value.plain}


def with_secrets(target: Target, secrets: dict[str, str]) -> Target:
    """Return a target with these secrets and no others."""
    held = [item for item in msgspec.structs.fields(target) if isinstance(getattr(target, item.name), Secret)]
    return msgspec.structs.replace(target, **{item.name: Secret(secrets.get(item.encode_name, "")) for item in held})


def destination(target: Target) -> tuple[object, ...]:
    """Return what says where a target's secrets are sent: when it changes, they have to be given again."""
    return (type(target), *(getattr(target, name) for name in target.places))
