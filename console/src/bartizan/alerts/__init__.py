"""
Alerts: which events are told to whom, how often, and in what words.

Pure: events and profiles in, messages out. `bartizan.outgoing` carries them.
"""

from bartizan.alerts.alert import Alert, AlertKind
from bartizan.alerts.messages import FileLine, HttpMessage, MailMessage, Message, Origin, SyslogMessage, message_for
from bartizan.alerts.profile import AlertProfile, check_profile
from bartizan.alerts.targets import Secret, Target, destination, secrets_of, target_name, with_secrets
from bartizan.alerts.triggers import Trigger, triggered
from bartizan.alerts.windows import Windows

__all__ = [
    "Alert",
    "AlertKind",
    "AlertProfile",
    "FileLine",
    "HttpMessage",
    "MailMessage",
    "Message",
    "Origin",
    "Secret",
    "SyslogMessage",
    "Target",
    "Trigger",
    "Windows",
    "check_profile",
    "destination",
    "message_for",
    "secrets_of",
    "target_name",
    "triggered",
    "with_secrets",
]
