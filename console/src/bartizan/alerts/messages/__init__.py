"""An alert as each receiver wants it: one file for each family of targets."""

from collections.abc import Callable
from typing import Any

from bartizan.alerts.alert import Alert
from bartizan.alerts.messages.aws import security_hub, sqs
from bartizan.alerts.messages.chat import email, jira, pagerduty, slack
from bartizan.alerts.messages.collectors import event_file, otlp, splunk, syslog, webhook
from bartizan.alerts.messages.message import FileLine, HttpMessage, MailMessage, Message, Origin, SyslogMessage
from bartizan.alerts.targets import (
    EmailTarget,
    FileTarget,
    JiraTarget,
    OtlpTarget,
    PagerDutyTarget,
    SecurityHubTarget,
    SlackTarget,
    SplunkTarget,
    SqsTarget,
    SyslogTarget,
    Target,
    WebhookTarget,
)

__all__ = ["FileLine", "HttpMessage", "MailMessage", "Message", "Origin", "SyslogMessage", "message_for"]

_MAKERS: dict[type[Target], Callable[[Any, Alert, Origin], Message]] = {
    WebhookTarget: webhook,
    SlackTarget: slack,
    EmailTarget: email,
    SyslogTarget: syslog,
    SplunkTarget: splunk,
    SecurityHubTarget: security_hub,
    SqsTarget: sqs,
    PagerDutyTarget: pagerduty,
    JiraTarget: jira,
    OtlpTarget: otlp,
    FileTarget: event_file,
}


def message_for(target: Target, alert: Alert, origin: Origin) -> Message:
    """Return the message that tells a target of an alert. Raises TemplateError."""
    return _MAKERS[type(target)](target, alert, origin)
