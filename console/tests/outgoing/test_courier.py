"""Each message arrives at a real receiver of its kind, and failures are told apart."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.core.request import Request as MotoRequest
from moto.securityhub.responses import SecurityHubResponse
from moto.sqs.responses import SQSResponse
from tests.alerts.samples import ORIGIN, alert
from tests.outgoing.receivers import SyslogServer, courier, mail_server
from tests.registry.servers import Server, certificate
from werkzeug.wrappers import Request, Response

from bartizan.alerts import Secret, Target, message_for
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
from bartizan.services.outgoing import OutgoingError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret-of-the-test"
AWS = {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": Secret(SECRET)}


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for localhost."""
    return certificate(tmp_path_factory.mktemp("tls"))


def carry(target: Target, directory: Path, *, allowed: str = "localhost") -> None:
    """Tell a target of an alert."""
    courier(directory, allowed).carry(message_for(target, alert(), ORIGIN))


def test_posts_arrive_with_their_keys(pem: Path, tmp_path: Path) -> None:
    """Webhook, Slack, Splunk, PagerDuty, Jira and OpenTelemetry are each asked at their path, with their key."""
    ca = pem.read_text()
    with Server(lambda _: Response(b'{"text":"Success","code":0}', status=201), pem) as server:
        base = f"https://localhost:{server.port}"
        for target in (
            WebhookTarget(url=f"{base}/hook", ca_cert=ca, secret=Secret(SECRET), json='{"a": #count}'),
            SlackTarget(webhook_url=Secret(f"{base}/slack"), ca_cert=ca),
            SplunkTarget(url=f"{base}/services/collector/event", auth_token=Secret(SECRET), ca_cert=ca),
            PagerDutyTarget(url=f"{base}/v2/enqueue", routing_key=Secret(SECRET), ca_cert=ca),
            JiraTarget(base_url=base, project_key="SEC", user="u", api_token=Secret(SECRET), ca_cert=ca),
            OtlpTarget(url=f"{base}/v1/logs", authorization=Secret(f"Bearer {SECRET}"), ca_cert=ca),
        ):
            carry(target, tmp_path)
        hook, slack, splunk, pager, jira, otlp = server.seen
    assert (hook.path, hook.get_json()) == ("/hook", {"a": 1})
    assert slack.get_json()["attachments"][0]["title_link"].startswith("https://console.test:8083/monitor/events")
    assert splunk.headers["authorization"] == f"Splunk {SECRET}"
    assert splunk.get_json()["event"]["rule"] == "shop rule"
    assert (pager.get_json()["routing_key"], pager.get_json()["payload"]["severity"]) == (SECRET, "critical")
    assert (jira.path, jira.headers["authorization"][:6]) == ("/rest/api/2/issue", "Basic ")
    record = otlp.get_json()["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert (record["severityNumber"], record["severityText"]) == (17, "ERROR")


@pytest.mark.parametrize(("status", "body", "final"), [
    (500, b"broken", False), (429, b"", False), (401, b"no", False), (302, b"", False),
    (400, b"bad", True), (422, b"", True),
])  # fmt: skip
def test_refusals_are_told_apart(pem: Path, tmp_path: Path, status: int, body: bytes, final: bool) -> None:  # noqa: FBT001 - a table
    """What trying again cannot help is final; the answer is told without the key that it repeats."""
    answer = Response(body + SECRET.encode(), status=status, headers={"location": "https://localhost/x"})
    with Server(lambda _: answer, pem) as server:
        url, ca = f"https://localhost:{server.port}/", pem.read_text()
        with pytest.raises(OutgoingError, match=str(status)) as caught:
            carry(WebhookTarget(url=url, authorization=Secret(f"Bearer {SECRET}"), ca_cert=ca), tmp_path)
    assert caught.value.final is final
    assert SECRET not in str(caught.value)


def test_a_refusal_with_a_good_status_is_one(pem: Path, tmp_path: Path) -> None:
    """Splunk says in its answer that it refused."""
    with Server(lambda _: Response(b'{"text":"Invalid token","code":4}'), pem) as server:
        target = SplunkTarget(url=f"https://localhost:{server.port}/", auth_token=Secret("x"), ca_cert=pem.read_text())
        with pytest.raises(OutgoingError, match="Invalid token"):
            carry(target, tmp_path)


# aiosmtpd does not see that there is TLS below it from the first byte.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("tls_first", [False, True])
def test_mail_arrives_over_tls(pem: Path, tmp_path: Path, tls_first: bool) -> None:  # noqa: FBT001 - a table
    """With STARTTLS and with TLS from the first byte, after a log-in; a wrong password is told without it."""
    with mail_server(pem, tls_first=tls_first, login=True) as box:
        target = EmailTarget(
            smtp_address="localhost", port=box.port, ssl=tls_first, sender="bartizan@a.test", recipients=("b@c.test",),
            user="u", password=Secret("right"), ca_cert=pem.read_text(),
        )  # fmt: skip
        carry(target, tmp_path)
        with pytest.raises(OutgoingError, match="535") as caught:
            carry(_changed(target, password=Secret("wr0ng-one")), tmp_path)
    (envelope,) = box.mails
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert mail["subject"] == "[high] Prevented: unexpectedProcess in shop"
    assert "Open it in the Console: https://console.test:8083/monitor/events" in mail.get_content()
    assert box.logins[0] == (b"u", b"right")
    assert "wr0ng-one" not in str(caught.value)


def test_mail_is_never_sent_in_the_clear(pem: Path, tmp_path: Path) -> None:
    """A server that offers no STARTTLS, or whose certificate nobody vouches for, gets nothing."""
    given: dict[str, Any] = {"smtp_address": "localhost", "sender": "a@b.test", "recipients": ("b@c.test",)}
    with mail_server(pem, tls_first=False, starttls=False) as box:
        with pytest.raises(OutgoingError, match="STARTTLS"):
            carry(EmailTarget(port=box.port, ca_cert=pem.read_text(), **given), tmp_path)
        assert not box.mails
    with mail_server(pem, tls_first=False) as box:
        with pytest.raises(OutgoingError, match="certificate"):
            carry(EmailTarget(port=box.port, **given), tmp_path)
        assert not box.mails


def test_syslog_arrives_in_frames(pem: Path, tmp_path: Path) -> None:
    """Each message is counted; a server that is not trusted gets none."""
    with SyslogServer(pem) as server:
        target = SyslogTarget(host="localhost", port=server.port, ca_cert=pem.read_text())
        carry(target, tmp_path)
        carry(target, tmp_path)
        with pytest.raises(OutgoingError, match="certificate"):
            carry(_changed(target, ca_cert=""), tmp_path)
    assert len(server.frames) == 2
    assert server.frames[0].startswith(b"<106>1 20")


def test_aws_takes_messages_and_findings(pem: Path, tmp_path: Path) -> None:
    """A queue has the message, and Security Hub the finding, as their own client reads them."""
    with mock_aws():
        queue = boto3.client("sqs", region_name="eu-central-1").create_queue(QueueName="alerts")["QueueUrl"]
        answers = {"/": SQSResponse.dispatch, "/findings/import": SecurityHubResponse.dispatch}

        def serve(request: Request) -> Response:
            host = "securityhub" if request.path != "/" else "sqs"
            url = f"https://{host}.eu-central-1.amazonaws.com{request.path}"
            passed = MotoRequest.from_primitives("POST", url, request.headers, request.get_data())
            status, _, body = answers[request.path](passed, url, passed.headers)
            return Response(body, status=status)

        with Server(serve, pem) as server:
            place = {"endpoint": f"https://localhost:{server.port}", "ca_cert": pem.read_text(), **AWS}
            carry(SqsTarget(queue_url=queue, **place), tmp_path)
            carry(SecurityHubTarget(account_id="123456789012", **place), tmp_path)
        found = boto3.client("sqs", region_name="eu-central-1").receive_message(QueueUrl=queue)["Messages"]
        findings = boto3.client("securityhub", region_name="eu-central-1").get_findings()["Findings"]
    assert json.loads(found[0]["Body"])["appID"] == "shop"
    assert (findings[0]["Severity"]["Label"], findings[0]["AwsAccountId"]) == ("HIGH", "123456789012")


def test_files_are_rotated_and_private(tmp_path: Path) -> None:
    """Beyond its size a file is put by, the oldest goes, and others cannot read any."""
    directory = tmp_path / "alerts"
    target, carrier = FileTarget(name="events", max_megabytes=1, keep=2), courier(directory)
    big = alert(document={"text": "x" * 400_000})
    for _ in range(8):
        carrier.carry(message_for(target, big, ORIGIN))
    files = sorted(path.name for path in directory.iterdir())
    assert files == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    assert all(path.stat().st_size <= 1 << 20 and path.stat().st_mode & 0o077 == 0 for path in directory.iterdir())
    assert all(json.loads(line)["class_uid"] == 2004 for line in (directory / "events.jsonl").read_text().splitlines())


def test_a_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody who may write the folder cannot have another file written."""
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutgoingError, match=r"events\.jsonl"):
        carry(FileTarget(name="events"), tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_no_receiver_is_inside_unless_it_is_listed(pem: Path, tmp_path: Path) -> None:
    """Mail and syslog pass the same guard as requests do."""
    with SyslogServer(pem) as server:
        for target in (
            SyslogTarget(host="127.0.0.1", port=server.port, ca_cert=pem.read_text()),
            EmailTarget(smtp_address="localhost", port=server.port, sender="a@b.test", recipients=("b@c.test",)),
            WebhookTarget(url=f"https://localhost:{server.port}/"),
        ):
            with pytest.raises(OutgoingError, match="not spoken to"):
                carry(target, tmp_path, allowed="other.test")
    assert not server.frames


def test_a_receiver_that_hangs_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server that drips one byte at a time is left after a while."""
    monkeypatch.setattr("bartizan.outgoing.courier._SECONDS", 0.5)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not ended.wait(0.05):
                    try:
                        connection.sendall(b"2")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        port = listener.getsockname()[1]
        target = EmailTarget(smtp_address="localhost", port=port, sender="a@b.test", recipients=("b@c.test",))
        with pytest.raises(OutgoingError, match="localhost"):
            carry(target, tmp_path)
        ended.set()
        thread.join()


def _changed(target: Any, **changed: Any) -> Any:
    return msgspec.structs.replace(target, **changed)
