"""Messages are what each receiver's specification says, whatever the event holds."""

import datetime as dt
import hashlib
import hmac
import json
import re
from unittest.mock import patch

import botocore.auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from tests.alerts.samples import NOW, ORIGIN, alert, hostile_alerts

from bartizan.alerts import Alert, FileLine, HttpMessage, MailMessage, Secret, SyslogMessage, Target, message_for
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
    WebhookTarget,
)

KEY = Secret("s3cret-of-the-test")
AWS = {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": KEY}
TARGETS: tuple[Target, ...] = (
    WebhookTarget(url="https://a.test/", secret=KEY, authorization=KEY),
    SlackTarget(webhook_url=Secret("https://hooks.slack.test/x"), channels=("#ops",)),
    EmailTarget(smtp_address="mail.test", sender="a@b.test", recipients=("c@d.test",), user="u", password=KEY),
    SyslogTarget(host="logs.test"),
    SplunkTarget(url="https://splunk.test/services/collector/event", auth_token=KEY),
    SecurityHubTarget(account_id="123456789012", **AWS),  # type: ignore[arg-type] # of the types above
    SqsTarget(queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/q.fifo", **AWS),  # type: ignore[arg-type] # same
    PagerDutyTarget(routing_key=KEY),
    JiraTarget(base_url="https://jira.test/", project_key="SEC", user="u@b.test", api_token=KEY, priority="High"),
    OtlpTarget(url="https://otel.test/v1/logs", authorization=KEY),
    FileTarget(name="events"),
)
# RFC 5424, section 6: header, one element of structured data, the mark of UTF-8, text.
_SYSLOG = re.compile(
    r"<(?P<priority>[0-9]{1,3})>1 (?P<time>\S+Z) [!-~]{1,255} bartizan - [!-~]{1,32} "
    r'\[bartizan@32473(?P<data>(?: [A-Za-z]{1,32}="(?:[^"\\\]]|\\["\\\]])*")+)\] \ufeff(?P<text>.*)'
)


@given(hostile_alerts())
@settings(max_examples=25, deadline=None)
def test_every_message_is_well_formed(found: Alert) -> None:
    """For all alerts and targets: JSON is JSON, lines are lines, headers are one line, and no secret is in a text."""
    for target in TARGETS:
        match message_for(target, found, ORIGIN):
            case HttpMessage(url=url, headers=headers, body=body):
                assert json.loads(body)
                assert url.startswith("https://")
                assert all(value.isascii() and value.isprintable() for value in headers.values())
            case MailMessage() as mail:
                assert mail.subject.isprintable()
                assert KEY.plain not in mail.text + mail.subject
            case SyslogMessage(line=line):
                assert _SYSLOG.fullmatch(line.decode())
            case FileLine(line=line):
                assert line.count(b"\n") == 1
                assert json.loads(line)["class_uid"] == 2004


def test_a_webhook_is_signed() -> None:
    """Who has the secret can tell that time and body are the Console's."""
    message = message_for(TARGETS[0], alert(), ORIGIN)
    assert isinstance(message, HttpMessage)
    stamp = message.headers["x-bartizan-timestamp"]
    expected = hmac.new(KEY.plain.encode(), stamp.encode() + b"." + message.body, hashlib.sha256).hexdigest()
    assert stamp == str(NOW // 1000)
    assert message.headers["x-bartizan-signature"] == f"sha256={expected}"
    assert message.headers["authorization"] == KEY.plain


def test_requests_to_aws_are_signed_as_botocore_signs_them() -> None:
    """For both services the signature is the one that AWS's own library makes."""
    moment = dt.datetime.fromtimestamp(NOW / 1000, dt.UTC).replace(tzinfo=None)
    for target, service in ((TARGETS[5], "securityhub"), (TARGETS[6], "sqs")):
        message = message_for(target, alert(), ORIGIN)
        assert isinstance(message, HttpMessage)
        ours = dict(message.headers)
        theirs = AWSRequest("POST", message.url, data=message.body)
        for name, value in ours.items():
            if name not in {"authorization", "x-amz-date"}:
                theirs.headers[name] = value
        with patch.object(botocore.auth, "get_current_datetime", return_value=moment):
            SigV4Auth(Credentials("AKIDEXAMPLE", KEY.plain), service, "eu-central-1").add_auth(theirs)
        assert theirs.headers["Authorization"] == ours["authorization"]


def test_syslog_says_how_bad_it_is() -> None:
    """The priority is facility times eight plus severity, and quotes in values are escaped."""
    for severity, number in (("low", 5), ("medium", 4), ("high", 2)):
        message = message_for(SyslogTarget(host="x", facility=16), alert(severity=severity, rule='a"]\\'), ORIGIN)
        assert isinstance(message, SyslogMessage)
        parsed = _SYSLOG.fullmatch(message.line.decode())
        assert parsed is not None
        assert parsed["priority"] == str(16 * 8 + number)
        assert r'rule="a\"\]\\"' in parsed["data"]


def test_chat_is_not_steered_by_events() -> None:
    """Neither a mention in Slack nor an end of the block in Jira comes from an event."""
    slack = message_for(TARGETS[1], alert(message="<!channel> <https://evil.test|click>"), ORIGIN)
    assert isinstance(slack, HttpMessage)
    assert b"<!channel>" not in slack.body
    assert b"&lt;!channel&gt;" in slack.body
    jira = message_for(TARGETS[8], alert(message="{noformat} [~admin]"), ORIGIN)
    assert isinstance(jira, HttpMessage)
    assert json.loads(jira.body)["fields"]["description"].count("{noformat}") == 2


def test_events_of_ocsf_add_up() -> None:
    """The numbers of class, activity and type belong together, and prevented events are blocked ones."""
    message = message_for(TARGETS[10], alert(count=4), ORIGIN)
    assert isinstance(message, FileLine)
    event = json.loads(message.line)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert (event["disposition_id"], event["count"], event["severity_id"]) == (2, 4, 4)
    assert event["finding_info"]["attacks"][0]["sub_technique"] == {"uid": "T1059.004"}
