"""Messages that people read: Slack, mail, PagerDuty, Jira."""

import base64
import json

from bartizan.alerts.alert import Alert
from bartizan.alerts.messages.message import HttpMessage, MailMessage, Origin, facts, headline, one_line
from bartizan.alerts.targets import EmailTarget, JiraTarget, PagerDutyTarget, SlackTarget

_JSON = {"content-type": "application/json"}
_COLOURS = {"low": "#1971c2", "medium": "#e8590c", "high": "#c92a2a"}


def slack(target: SlackTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """Return a message for an incoming webhook: one attachment with the facts as fields."""
    shown: dict[str, object] = {
        "text": f"*{_slack(headline(alert))}*",
        "attachments": [
            {
                "color": _COLOURS[alert.severity],
                "fallback": _slack(headline(alert)),
                "text": _slack(one_line(alert.message)),
                "fields": [{"title": name, "value": _slack(value), "short": True} for name, value in facts(alert)],
                "title": "Open in the Console",
                "title_link": origin.page(alert),
                "ts": alert.time // 1000,
            }
        ],
    }
    if target.channels:
        shown["channel"] = target.channels[0]
    return HttpMessage(url=target.webhook_url.plain, headers=dict(_JSON), body=_body(shown), ca_pem=target.ca_cert)


def email(target: EmailTarget, alert: Alert, origin: Origin) -> MailMessage:
    """Return a mail in plain text; nothing of the event can add a header, for its subject is one line."""
    lines = [one_line(alert.message, 4000), "", *(f"{name + ':':<12}{value}" for name, value in facts(alert))]
    lines += [
        "",
        f"Open it in the Console: {origin.page(alert)}",
        "",
        f"Told by {origin.name}, Bartizan {origin.version}",
    ]
    return MailMessage(
        host=target.smtp_address,
        port=target.port,
        tls_first=target.ssl,
        user=target.user,
        password=target.password.plain,
        sender=target.sender,
        recipients=target.recipients,
        subject=f"[{alert.severity}] {headline(alert)}",
        text="\n".join(lines) + "\n",
        identifier=f"{alert.group}.{alert.time}",
        ca_pem=target.ca_cert,
    )


def pagerduty(target: PagerDutyTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """Return an event of the Events API v2; the group is its `dedup_key`, so that alike ones are one incident."""
    severity = target.severity or {"low": "info", "medium": "warning", "high": "critical"}[alert.severity]
    body = {
        "routing_key": target.routing_key.plain,
        "event_action": "trigger",
        "dedup_key": f"bartizan-{alert.group}",
        "client": f"Bartizan {origin.name}",
        "client_url": origin.page(alert),
        "payload": {
            "summary": one_line(f"{headline(alert)}: {alert.message}", 1024),
            "source": alert.app_id or origin.name,
            "severity": severity,
            "timestamp": alert.moment,
            "component": alert.container or alert.app_id,
            "group": alert.app_id,
            "class": alert.category,
            "custom_details": dict(facts(alert)),
        },
    }
    return HttpMessage(url=target.url, headers=dict(_JSON), body=_body(body), ca_pem=target.ca_cert)


def jira(target: JiraTarget, alert: Alert, origin: Origin) -> HttpMessage:
    """Return the request that makes an issue (Jira REST API, version 2); the event stands in a block without markup."""
    # `{` would begin a macro of Jira's markup, and so end the block.
    message = one_line(alert.message, 4000).replace("{", "(").replace("}", ")")
    table = "\n".join(f"{name}: {value}" for name, value in facts(alert)).replace("{", "(").replace("}", ")")
    fields: dict[str, object] = {
        "project": {"key": target.project_key},
        "issuetype": {"name": target.issue_type},
        "summary": headline(alert)[:250],
        "description": f"{{noformat}}\n{message}\n\n{table}\n{{noformat}}\n{origin.page(alert)}",
        "labels": list(target.labels),
    }
    if target.priority:
        fields["priority"] = {"name": target.priority}
    token = target.api_token.plain
    basic = base64.b64encode(f"{target.user}:{token}".encode()).decode()
    return HttpMessage(
        url=f"{target.base_url.rstrip('/')}/rest/api/2/issue",
        headers=_JSON | {"authorization": f"Basic {basic}" if target.user else f"Bearer {token}"},
        body=_body({"fields": fields}),
        ca_pem=target.ca_cert,
    )


def _slack(text: str) -> str:
    """Escape what begins a link or a mention (Slack, "Formatting text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _body(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
