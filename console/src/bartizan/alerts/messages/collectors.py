"""Messages that programs read: webhooks, syslog, Splunk, OpenTelemetry, and files of OCSF events."""

import hashlib
import hmac
import json
from typing import Any

from bartizan.alerts.alert import Alert, AlertKind
from bartizan.alerts.macros import macros_of
from bartizan.alerts.messages.message import FileLine, HttpMessage, Origin, SyslogMessage, headline, one_line
from bartizan.alerts.messages.ocsf import ocsf_event
from bartizan.alerts.targets import FileTarget, OtlpTarget, SplunkTarget, SyslogTarget, WebhookTarget
from bartizan.alerts.template import fill

_JSON = {"content-type": "application/json"}
# RFC 5424, section 6.2.1; severities of syslog.
_SYSLOG = {"low": 5, "medium": 4, "high": 2}
# OpenTelemetry, logs data model, `SeverityNumber`: INFO, WARN, ERROR.
_OTLP = {"low": (9, "INFO"), "medium": (13, "WARN"), "high": (17, "ERROR")}
_MESSAGE_IDS = {
    AlertKind.RUNTIME: "app_embedded_runtime_audit",
    AlertKind.FIREWALL: "app_embedded_app_firewall_audit",
    AlertKind.INCIDENT: "incident",
    AlertKind.DEFENDER: "defender_disconnected",
}
# RFC 5612 reserves this number for documentation; a name before `@` needs one of somebody's own (RFC 5424, 7.2.2).
_ELEMENT = "bartizan@32473"


def document_of(template: str, alert: Alert, origin: Origin) -> bytes:
    """Return the JSON of an alert, by a template if there is one. Raises TemplateError."""
    macros = macros_of(alert, page=origin.page(alert))
    return fill(template, macros) if template else _body(macros)


def webhook(target: WebhookTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """Return the request of a webhook, signed if there is a secret for it."""
    body, headers = document_of(target.json, alert, origin), dict(_JSON)
    if target.authorization.plain:
        headers["authorization"] = target.authorization.plain
    if target.secret.plain:
        stamp = str(origin.now // 1000)
        signed = hmac.new(target.secret.plain.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers |= {"x-bartizan-timestamp": stamp, "x-bartizan-signature": f"sha256={signed}"}
    return HttpMessage(url=target.url, headers=headers, body=body, ca_pem=target.ca_cert)


def splunk(target: SplunkTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """Return an event for the HTTP Event Collector, which answers with a `code` other than 0 when it refuses."""
    event: dict[str, Any] = {
        "time": alert.time / 1000,
        "host": alert.app_id or origin.name,
        "source": "bartizan",
        "sourcetype": "bartizan:alert",
        "event": json.loads(document_of(target.json, alert, origin)),
    }
    if target.index:
        event["index"] = target.index
    headers = _JSON | {"authorization": f"Splunk {target.auth_token.plain}"}
    return HttpMessage(url=target.url, headers=headers, body=_body(event), ca_pem=target.ca_cert, refusal_key="code")


def otlp(target: OtlpTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """Return one log record in the JSON encoding of OTLP 1.x; numbers of 64 bits are strings in it."""
    number, text = _OTLP[alert.severity]
    attributes = {
        "event.name": f"bartizan.{alert.kind.value}",
        "bartizan.app_id": alert.app_id,
        "bartizan.rule": alert.rule,
        "bartizan.effect": alert.effect,
        "bartizan.category": alert.category,
        "bartizan.count": alert.count,
        "bartizan.event": json.dumps(alert.document, separators=(",", ":")),
        "container.name": alert.container,
        "container.image.name": alert.image,
        "threat.technique.id": ",".join(alert.techniques),
        "url.full": origin.page(alert),
    }
    record = {
        "timeUnixNano": str(alert.time * 1_000_000),
        "observedTimeUnixNano": str(origin.now * 1_000_000),
        "severityNumber": number,
        "severityText": text,
        "body": {"stringValue": f"{headline(alert)}: {alert.message}"},
        "attributes": _attributes(attributes),
    }
    resource = {"service.name": alert.app_id or "bartizan", "service.namespace": "bartizan", "host.name": origin.name}
    scope = {"name": "bartizan", "version": origin.version}
    body = {
        "resourceLogs": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeLogs": [{"scope": scope, "logRecords": [record]}],
            }
        ]
    }
    headers = dict(_JSON)
    if target.authorization.plain:
        headers["authorization"] = target.authorization.plain
    return HttpMessage(url=target.url, headers=headers, body=_body(body), ca_pem=target.ca_cert)


def syslog(target: SyslogTarget, alert: Alert, origin: Origin) -> SyslogMessage:
    """Return a message of RFC 5424 with the facts as structured data."""
    priority = target.facility * 8 + _SYSLOG[alert.severity]
    facts = {
        "type": alert.kind.value,
        "id": alert.id,
        "appID": alert.app_id,
        "container": alert.container,
        "image": alert.image,
        "rule": alert.rule,
        "effect": alert.effect,
        "severity": alert.severity,
        "category": alert.category,
        "techniques": ",".join(alert.techniques),
        "count": str(alert.count),
    }
    data = " ".join(f'{name}="{_parameter(value)}"' for name, value in facts.items() if value)
    host = "".join(sign for sign in origin.name if "!" <= sign <= "~")[:255] or "-"
    head = f"<{priority}>1 {alert.moment} {host} bartizan - {_MESSAGE_IDS[alert.kind]} [{_ELEMENT} {data}] "
    # The mark says that the text is UTF-8 (RFC 5424, section 6.4).
    text = one_line(f"{headline(alert)}: {alert.message}", 2000)
    line = head.encode(errors="replace") + b"\xef\xbb\xbf" + text.encode(errors="replace")
    return SyslogMessage(host=target.host, port=target.port, line=line, ca_pem=target.ca_cert)


def event_file(target: FileTarget, alert: Alert, origin: Origin) -> FileLine:
    """Return a line of a file of OCSF events."""
    line = _body(ocsf_event(alert, origin)) + b"\n"
    return FileLine(name=target.name, line=line, max_bytes=target.max_megabytes << 20, keep=target.keep)


def _parameter(value: str) -> str:
    """Escape the value of a parameter of structured data (RFC 5424, section 6.3.3)."""
    return one_line(value, 512).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, value in values.items():
        if isinstance(value, int):
            found.append({"key": name, "value": {"intValue": str(value)}})
        elif value:
            found.append({"key": name, "value": {"stringValue": value}})
    return found


def _body(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
