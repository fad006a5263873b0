"""What Defenders tell of discovered operations, for the tests."""

from typing import Any

from tests.channel.running import ConsoleUnderTest, DefenderEnd

DISCOVERY = "/waas/discovery"
NOON = 1_763_726_400_000


def endpoint(path: str = "/orders/{id}", method: str = "GET", **changed: Any) -> dict[str, Any]:
    """Return an endpoint on the wire."""
    return {
        "path": path,
        "method": method,
        "hits": 1,
        "firstSeen": NOON,
        "lastSeen": NOON + 1_000,
        "statuses": {"200": 1},
        "sensitive": False,
        "unauthenticated": False,
        "unencrypted": False,
        **changed,
    }


def tell(
    end: DefenderEnd, *endpoints: dict[str, Any], application: str = "storefront", wide: tuple[str, ...] = (),
    dropped: int = 0,
) -> None:  # fmt: skip
    """Send a status with what was learnt, and something that is answered, so that it has come when this returns."""
    report = {"application": application, "endpoints": list(endpoints), "wide": list(wide), "dropped": dropped}
    end.send({"type": "status", "workloads": [], "waas": {"discovery": [report]}})
    end.send({"type": "observations", "container": "web", "number": 1, "observed": [], "overflow": 0})
    while end.receive()["type"] != "learned":
        pass


def discovered(console: ConsoleUnderTest, **query: Any) -> list[dict[str, Any]]:
    """Return a page of discovered operations."""
    with console.client() as client:
        answer = client.get(DISCOVERY, params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json())
