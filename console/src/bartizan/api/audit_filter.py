"""The filters of the audits: the vendor's query parameters, all of them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Query

from bartizan.api.reading import milliseconds, values
from bartizan.audit import RuntimeAudit
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import AuditQuery

_Several = Annotated[list[str] | None, Query()]
FILTERS = frozenset(
    ("id", "profileID", "from", "to", "time", "imageName", "container", "containerID", "cluster", "namespace", "os",
     "ruleName", "type", "effect", "user", "interactive", "attackType", "attackTechniques", "hostname", "appID", "app",
     "processPath", "reason", "severity", "msg")
)  # fmt: skip
_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(RuntimeAudit))


def audit_filter(  # noqa: PLR0913, PLR0917 - these are the vendor's parameters
    id: _Several = None,  # noqa: A002
    profileID: _Several = None,  # noqa: N803
    from_: Annotated[datetime | None, Query(alias="from")] = None,
    to: Annotated[datetime | None, Query()] = None,
    imageName: _Several = None,  # noqa: N803
    container: _Several = None,
    ruleName: _Several = None,  # noqa: N803
    type: _Several = None,  # noqa: A002
    effect: _Several = None,
    user: _Several = None,
    attackType: _Several = None,  # noqa: N803
    attackTechniques: _Several = None,  # noqa: N803
    hostname: _Several = None,
    appID: _Several = None,  # noqa: N803
    app: _Several = None,
    processPath: _Several = None,  # noqa: N803
    reason: _Several = None,
    severity: _Several = None,
    msg: Annotated[str, Query(max_length=1000)] = "",
    time: Annotated[datetime | None, Query()] = None,
    os: _Several = None,
    containerID: _Several = None,  # noqa: N803
    cluster: _Several = None,
    namespace: _Several = None,
    interactive: Annotated[bool | None, Query()] = None,
) -> AuditQuery:
    """
    Return the filter of a request: alternatives may be repeated or separated by commas, times are RFC 3339.

    What our audits never have (`containerID`, `cluster`, `namespace`, anything interactive) is a filter that nothing
    passes; all of them are of the `os` `linux`.
    """
    numbers = values(id)
    if not all(number.isascii() and number.isdigit() and len(number) < 19 for number in numbers):  # noqa: PLR2004 - 64 bits
        raise InvalidError("`id`: an audit's id is a number")
    start, end = _span(milliseconds(from_), milliseconds(to), time)
    return AuditQuery(
        ids=tuple(int(number) for number in numbers),
        start=start,
        end=end,
        never=bool(values(containerID) or values(cluster) or values(namespace) or interactive or _foreign(values(os))),
        equal={
            "profileId": values(profileID),
            "imageName": values(imageName),
            "containerName": values(container),
            "ruleName": tuple(ruleName or ()),
            "type": values(type),
            "effect": values(effect),
            "user": values(user),
            "attackType": values(attackType),
            "appID": (*values(appID), *values(hostname), *values(app)),
            "processPath": tuple(processPath or ()),
            "reason": values(reason),
            "severity": values(severity),
        },
        techniques=values(attackTechniques),
        message=msg,
    )


def chosen_fields(given: list[str] | None) -> frozenset[str]:
    """Return the fields that an audit is to have, none for all. Raises InvalidError for one that no audit has."""
    wanted = frozenset(values(given))
    if unknown := sorted(wanted - _FIELDS):
        names = ", ".join(f"`{name[:64]}`" for name in unknown[:10])
        raise InvalidError(f"`fields`: audits have no {names}; possible are {', '.join(sorted(_FIELDS))}")
    return wanted


def only_fields(document: bytes, wanted: frozenset[str]) -> bytes:
    """Return an audit's JSON with only these fields and its `_id`."""
    audit: dict[str, Any] = msgspec.json.decode(document)
    return msgspec.json.encode({name: value for name, value in audit.items() if name == "_id" or name in wanted})


def _span(start: int | None, end: int | None, time: datetime | None) -> tuple[int | None, int | None]:
    """Return the bounds of the time, both inclusive; `time` without a fraction is the whole second."""
    moment = milliseconds(time)
    if time is None or moment is None:
        return start, end
    last = moment if time.microsecond else moment + 999
    return (moment if start is None else max(start, moment)), (last if end is None else min(end, last))


def _foreign(systems: tuple[str, ...]) -> bool:
    return bool(systems) and "linux" not in map(str.lower, systems)
