"""Requests to AWS: Security Hub and SQS, signed with Signature Version 4."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from bartizan.alerts.alert import Alert
from bartizan.alerts.messages.collectors import document_of
from bartizan.alerts.messages.message import HttpMessage, Origin, facts, headline, one_line
from bartizan.alerts.targets import SecurityHubTarget, SqsTarget
from bartizan.alerts.template import TemplateError

_LABELS = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_ALGORITHM = "AWS4-HMAC-SHA256"


def security_hub(target: SecurityHubTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """
    Return the import of one finding (ASFF) for the account's own product `default`.

    The answer says in `FailedCount` whether the finding was refused.
    """
    partition = _partition(target.region)
    product = f"arn:{partition}:securityhub:{target.region}:{target.account_id}:product/{target.account_id}/default"
    finding = {
        "SchemaVersion": "2018-10-08",
        "Id": f"bartizan/{origin.name}/{alert.id}",
        "ProductArn": product,
        "GeneratorId": f"bartizan/{alert.kind.value}/{alert.rule or alert.category or 'none'}"[:512],
        "AwsAccountId": target.account_id,
        "Types": ["Unusual Behaviors/Container"],
        "CreatedAt": alert.moment,
        "UpdatedAt": alert.moment,
        "Severity": {"Label": _LABELS[alert.severity]},
        "Title": headline(alert),
        "Description": one_line(alert.message, 1024) or headline(alert),
        "SourceUrl": origin.page(alert),
        "ProductFields": {f"bartizan/{name.replace(' ', '')}": value for name, value in facts(alert)},
        "Resources": [_resource(alert, origin, partition, target.region)],
        "RecordState": "ACTIVE",
        "Workflow": {"Status": "NEW"},
    }
    url = f"{target.endpoint.rstrip('/') or _endpoint('securityhub', target.region)}/findings/import"
    return signed(
        url,
        {"content-type": "application/json"},
        json.dumps({"Findings": [finding]}).encode(),
        service="securityhub",
        target=target,
        now=origin.now,
        refusal_key="FailedCount",
    )


def sqs(target: SqsTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """Return the sending of a message (SQS's JSON protocol); a FIFO queue gets one group for alerts that are alike."""
    body = {"QueueUrl": target.queue_url, "MessageBody": document_of(target.json, alert, origin).decode()}
    if target.queue_url.endswith(".fifo"):
        body |= {"MessageGroupId": alert.group, "MessageDeduplicationId": f"{alert.group}.{alert.time}"}
    place = urlsplit(target.queue_url)
    if not place.netloc:
        raise TemplateError("`sqs.queueURL`: the address of a queue is expected")
    url = f"{target.endpoint.rstrip('/') or f'{place.scheme}://{place.netloc}'}/"
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage"}
    return signed(url, headers, json.dumps(body).encode(), service="sqs", target=target, now=origin.now)


def signed(
    url: str,
    headers: dict[str, str],
    body: bytes,
    *,
    service: str,
    target: SecurityHubTarget | SqsTarget,
    now: int,
    refusal_key: str = "",
) -> HttpMessage:
    """Return a POST with its signature (AWS, "Signature Version 4 signing process")."""
    moment = datetime.fromtimestamp(now / 1000, tz=UTC)
    stamp, day = moment.strftime("%Y%m%dT%H%M%SZ"), moment.strftime("%Y%m%d")
    place = urlsplit(url)
    digest = hashlib.sha256(body).hexdigest()
    covered = headers | {"host": place.netloc, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    names = ";".join(sorted(covered))
    canonical = "\n".join(
        [
            "POST",
            quote(place.path or "/", safe="/-_.~"),
            "",
            *(f"{name}:{covered[name].strip()}" for name in sorted(covered)),
            "",
            names,
            digest,
        ]
    )
    scope = f"{day}/{target.region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{target.secret_access_key.plain}".encode()
    for part in (day, target.region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    authorization = (
        f"{_ALGORITHM} Credential={target.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    sent = {name: value for name, value in covered.items() if name != "host"} | {"authorization": authorization}
    return HttpMessage(url=url, headers=sent, body=body, ca_pem=target.ca_cert, refusal_key=refusal_key)


def _resource(alert: Alert, origin: Origin, partition: str, region: str) -> dict[str, object]:
    details = {"Name": alert.container, "ImageName": alert.image}
    return {
        "Type": "Container" if alert.container or alert.image else "Other",
        "Id": alert.resource or f"bartizan/{alert.app_id or origin.name}/{alert.container}",
        "Partition": partition,
        "Region": region,
        "Details": {"Container": {name: value for name, value in details.items() if value}},
    }


def _partition(region: str) -> str:
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _endpoint(service: str, region: str) -> str:
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
