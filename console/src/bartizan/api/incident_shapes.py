"""Incidents: what is done with them, their timelines and process trees, as JSON."""

from typing import Annotated, Any, Literal

import msgspec

from bartizan.audit.incidents import Incident, IncidentNote

State = Literal["fetching", "complete", "partial", "failed"]


class Acknowledgement(msgspec.Struct):
    """Whether an incident was seen to."""

    acknowledged: bool = True


class Archiving(msgspec.Struct):
    """Whether an incident is put away; a new audit brings it back."""

    archived: bool = True


class IncidentCare(msgspec.Struct, forbid_unknown_fields=True):
    """What is done with several incidents at once, all or none."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=500)]
    acknowledged: bool | None = None
    archived: bool | None = None


class NewNote(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody writes about an incident."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class ForensicsRequest(msgspec.Struct, rename="camel"):
    """Whose record is wanted: the one workload of this App ID (and container), or of this Defender; and what for."""

    app_id: Annotated[str, msgspec.Meta(max_length=512)] = msgspec.field(name="appID", default="")
    defender_id: Annotated[str, msgspec.Meta(max_length=64)] = msgspec.field(name="defenderID", default="")
    container: Annotated[str, msgspec.Meta(max_length=512)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=256)] = ""


class ForensicsSnapshot(msgspec.Struct, rename="camel"):
    """
    A fetched record; `state` is `fetching`, `complete`, `partial` or `failed`.

    `missedCount` events had been given up by the Defender before they could be fetched.
    """

    id: str = msgspec.field(name="_id")
    time: str
    app_id: str = msgspec.field(name="appID")
    defender_id: str = msgspec.field(name="defenderID")
    container: str
    image: str
    reason: str
    incident_id: str = msgspec.field(name="incidentID")
    state: State
    event_count: int
    missed_count: int


class IncidentDetail(msgspec.Struct, rename="camel"):
    """One incident with its notes and the records that show it; `defenderID` is the Defender that keeps such."""

    incident: Incident
    defender_id: str = msgspec.field(name="defenderID")
    defender_connected: bool
    notes: list[IncidentNote]
    snapshots: list[ForensicsSnapshot]


class IncidentFacets(msgspec.Struct, rename="camel"):
    """How many incidents have each value; of `state` there are `open`, `acknowledged` and `archived`."""

    category: dict[str, int]
    severity: dict[str, int]
    app_id: dict[str, int] = msgspec.field(name="appID")
    type: dict[str, int]
    state: dict[str, int]


class TimelineEntry(msgspec.Struct, rename="camel", omit_defaults=True):
    """
    One line of a timeline: an audit, a note, care for the incident, or an event of the record.

    `kind` is audit (`auditID` names it), note, care, process, lookup, connection, listen, file or defender.
    `effect` and `reason` are there where a policy objected; fields that do not apply are left out.
    """

    time: str
    kind: str
    text: str
    effect: str = ""
    reason: str = ""
    severity: str = ""
    pid: int = 0
    path: str = ""
    command: str = ""
    audit_id: str = msgspec.field(name="auditID", default="")
    author: str = ""
    count: int = 1


class Timeline(msgspec.Struct, rename="camel"):
    """What happened around an incident, the oldest first; `cursor` leads to the next page, empty on the last."""

    entries: list[TimelineEntry]
    cursor: str
    snapshot: ForensicsSnapshot | None


class ProcessAction(msgspec.Struct, omit_defaults=True):
    """Something that a process did."""

    time: str
    kind: str
    text: str
    effect: str = ""
    reason: str = ""


class ProcessNode(msgspec.Struct, rename="camel"):
    """
    One program of one process; `parent` is the place of another in the list, always before this one.

    Without `time` it ran before the record begins, or is known from an audit alone. Of `actionCount` things that it did
    at most 20 are in `actions`.
    """

    parent: int | None
    pid: int
    path: str
    command: str
    user: int | None
    time: str | None
    effect: str
    reason: str
    audits: list[str]
    actions: list[ProcessAction]
    action_count: int


class ProcessTreeAnswer(msgspec.Struct, rename="camel"):
    """Which program started which: `leftOut` starts did not fit, `unplaced` events are of no known process."""

    nodes: list[ProcessNode]
    left_out: int
    unplaced: int
    snapshot: ForensicsSnapshot | None


INCIDENT_SHAPES: tuple[Any, ...] = (
    Acknowledgement,
    Archiving,
    ForensicsRequest,
    ForensicsSnapshot,
    Incident,
    IncidentCare,
    IncidentDetail,
    IncidentFacets,
    IncidentNote,
    NewNote,
    ProcessTreeAnswer,
    Timeline,
)
