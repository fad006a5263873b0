"""What a Defender's firewall learnt of the interfaces of its applications, from the messages to what is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from bartizan.channel.messages import WaasDiscovery, WaasEndpoint
from bartizan.policy.discovery import Discovered, Operation, Shape
from bartizan.policy.discovery.operations import combined
from bartizan.policy.discovery.shape import normal


def learnt_of(reports: Sequence[WaasDiscovery], policy: Mapping[str, Any], *, now: int) -> dict[str, Discovered]:
    """
    Return what the reports of one status tell, by the names of applications.

    Of applications that the Defender's policy does not have nothing is taken: a Defender invents no names. Nothing is
    seen in the future, whatever its clock says.
    """
    known = {application["appID"] for application in policy["applications"]}
    found: dict[str, Discovered] = {}
    for report in reports:
        if report.application in known:
            told = (_told(endpoint, now) for endpoint in report.endpoints)
            operations = [Discovered(operations={operation.key: operation}) for operation in told]
            rest = Discovered(wide=frozenset(report.wide), dropped=report.dropped)
            before = found.get(report.application, Discovered())
            found[report.application] = combined(before, rest, *operations)
    return found


def _told(endpoint: WaasEndpoint, now: int) -> Operation:
    return Operation(
        path=endpoint.path,
        method=endpoint.method,
        hits=endpoint.hits,
        first_seen=min(endpoint.first_seen, now),
        last_seen=min(endpoint.last_seen, now),
        statuses=endpoint.statuses,
        sensitive=endpoint.sensitive,
        unauthenticated=endpoint.unauthenticated,
        unencrypted=endpoint.unencrypted,
        query=normal(endpoint.query or Shape()),
        body=normal(endpoint.body or Shape()),
    )
