"""Requests that Defenders report, for the tests."""

from typing import Any

from tests.channel.running import DefenderEnd

EVENTS = "/audits/firewall/app/app-embedded"
NOON = 1_763_726_400_000
MINUTE = 60_000


def request_audit(number: int, *, time: int = NOON, effect: str = "prevent", **changed: Any) -> dict[str, Any]:
    """Return a wire audit of an SQL injection; the rest changes its event."""
    event = {
        "kind": "request",
        "application": "storefront",
        "type": "sqli",
        "protection": "firewall",
        "message": "SQL injection in the query's value `id`",
        "field": {"type": "queryValues", "key": "id", "value": "' OR '1"},
        "eventId": f"event{number}",
        "method": "GET",
        "url": "shop.test/item?id=%27%20OR%20%271",
        "path": "/item",
        "query": "id=%27%20OR%20%271",
        "host": "shop.test",
        "headers": "GET /item HTTP/1.1\r\nHost: shop.test\r\n",
        "headerNames": ["Host", "X-Trace"],
        "responseHeaderNames": [],
        "status": 403,
        "userAgent": "curl/8.5.0",
        "address": "203.0.113.9",
        "peers": ["203.0.113.9", "10.0.0.7"],
        "country": None,
        "rules": [942100],
        "score": 5,
        **changed,
    }
    return {
        "seq": number,
        "time": time,
        "rule": "shop",
        "effect": effect,
        "reason": "waas",
        "matched": None,
        "event": event,
    }


def report(end: DefenderEnd, *audits: dict[str, Any], container: str | None = None) -> dict[str, Any]:
    """Send audits and return the acknowledgement."""
    end.send({"type": "audits", "source": end.instance, "container": container, "audits": list(audits)})
    return end.receive()
