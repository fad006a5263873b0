"""Alert profiles: who is told of what; secrets go in, and never come out."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.alerts import (
    AlertProfile,
    FileLine,
    HttpMessage,
    MailMessage,
    Message,
    SyslogMessage,
    secrets_of,
    target_name,
    with_secrets,
)
from bartizan.alerts.targets import TARGETS
from bartizan.api.alert_shapes import AlertPreview, AlertProfileAnswer, AlertProfileChange, AlertState
from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import fitted, only_known_parameters, read_body
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.alert_profiles import Running
from bartizan.services.errors import InvalidError
from bartizan.services.rights import User

router = APIRouter(prefix="/api/v1/alert-profiles", tags=["alerts"])
_reader = Annotated[User, Depends(Requires(Permission.ALERTS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.ALERTS_WRITE))]
_PROJECT = frozenset(("project",))
# Set by the server, whatever a client sends back of what it was given.
_BOOK_KEEPING = frozenset(
    ("_id", "modified", "owner", "previousName", "lastError", "state", "target", "secretsSet", "external")
)
_EXAMPLE = {
    "name": "on call",
    "aggregationPeriodMs": 60000,
    "policy": {"appEmbeddedRuntime": {"allRules": True, "effects": ["prevent"]}, "incident": {}},
    "webhook": {
        "url": "https://hooks.example.com/bartizan",
        "json": '{"text": "#title in #appID", "event": #event}',
        "secret": {"plain": "…"},
    },
}


@router.get("", responses=gives(list_of(AlertProfileAnswer), text="All profiles, without their secrets"))
async def list_profiles(request: Request, _user: _reader) -> Response:
    """Return the alert profiles, with how each does; secrets are never given back."""
    only_known_parameters(request, _PROJECT)
    return _json([_shown(item) for item in services_of(request).alert_profiles.all()])


@router.get("/names", responses=gives({"type": "array", "items": {"type": "string"}}, text="The names"))
async def list_names(request: Request, _user: _reader) -> Response:
    """Return the names of the alert profiles."""
    only_known_parameters(request, _PROJECT)
    return _json([item.profile.name for item in services_of(request).alert_profiles.all()])


@router.post("", openapi_extra=takes(AlertProfileChange, example=_EXAMPLE), responses=gives(None, text="In use"))
async def add_profile(request: Request, user: _writer) -> Response:
    """Add an alert profile, or replace the one of its name; it tells of what happens from now on."""
    only_known_parameters(request, _PROJECT)
    profile = _parsed(await read_body(request, dict[str, Any]))
    await services_of(request).alert_profiles.put(profile, author=user.name)
    return Response()


@router.post("/test", openapi_extra=takes(AlertProfileChange, example=_EXAMPLE), responses=gives(None, text="Arrived"))
async def try_profile(request: Request, _user: _writer) -> Response:
    """Send a test alert and wait until it arrived; secrets that are not given are those of the profile of this name."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).alert_profiles.test(_parsed(await read_body(request, dict[str, Any])))
    return Response()


@router.post(
    "/preview",
    openapi_extra=takes(AlertProfileChange, example=_EXAMPLE),
    responses=gives(reference(AlertPreview), text="The message"),
)
async def preview_profile(request: Request, _user: _reader) -> Response:
    """Return the message that a test alert would be; nothing is sent."""
    only_known_parameters(request, _PROJECT)
    profile = _parsed(await read_body(request, dict[str, Any]))
    return _json(_previewed(services_of(request).alert_profiles.preview(profile)))


@router.get("/{profile}", responses=gives(reference(AlertProfileAnswer), text="The profile, without its secrets"))
async def get_profile(request: Request, profile: str, _user: _reader) -> Response:
    """Return an alert profile, with how it does."""
    only_known_parameters(request, _PROJECT)
    return _json(_shown(services_of(request).alert_profiles.one(profile)))


@router.put("/{profile}", openapi_extra=takes(AlertProfileChange), responses=gives(None, text="In use"))
async def change_profile(request: Request, profile: str, user: _writer) -> Response:
    """Change an alert profile; secrets that are not given are kept, as long as they go to the same place."""
    only_known_parameters(request, _PROJECT)
    profiles = services_of(request).alert_profiles
    profiles.one(profile)
    body = await read_body(request, dict[str, Any])
    if body.get("name") not in (None, "", profile):
        raise InvalidError("`name`: a profile keeps its name, add another one instead")
    await profiles.put(_parsed(body | {"name": profile}), author=user.name)
    return Response()


@router.delete("/{profile}", responses=gives(None, text="Removed"))
async def remove_profile(request: Request, profile: str, user: _writer) -> Response:
    """Remove an alert profile; what waited to be sent by it is dropped."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).alert_profiles.remove(profile, author=user.name)
    return Response()


def _parsed(body: dict[str, Any]) -> AlertProfile:
    blocks = [name for name in TARGETS if _is_used(body.get(name))]
    if len(blocks) != 1:
        raise InvalidError(
            f"exactly one target is expected, one of {', '.join(TARGETS)}; `enabled` may be false in others"
        )
    (block,) = blocks
    wanted = {name: value for name, value in body.items() if name not in TARGETS}
    wanted[block] = {name: value for name, value in body[block].items() if name != "enabled"}
    change = fitted(wanted, AlertProfileChange, ignored=_BOOK_KEEPING)
    found = {item.encode_name: getattr(change, item.name) for item in msgspec.structs.fields(AlertProfileChange)}
    return AlertProfile(
        name=change.name,
        description=change.description,
        enabled=change.enabled,
        period=change.aggregation_period_ms,
        policy=change.policy,
        target=found[block],
    )


def _is_used(block: object) -> bool:
    return isinstance(block, dict) and block.get("enabled", True) is not False


def _shown(running: Running) -> AlertProfileAnswer:
    profile, state = running.profile, running.state
    block = target_name(profile.target)
    attribute = next(item.name for item in msgspec.structs.fields(AlertProfileChange) if item.encode_name == block)
    return AlertProfileAnswer(
        id=profile.name,
        name=profile.name,
        description=profile.description,
        enabled=profile.enabled,
        aggregation_period_ms=profile.period,
        policy=profile.policy,
        owner=profile.owner,
        modified=rfc3339(profile.modified),
        target=block,
        secrets_set=sorted(secrets_of(running.target)),
        last_error=running.problem or state.last_error,
        state=AlertState(
            status=_status(running),
            sent=state.sent,
            waiting=len(state.pending) + sum(window.waiting for window in state.windows.values()),
            dropped=state.dropped,
            skipped=state.skipped,
            last_sent=_moment(state.last_sent),
            last_error=running.problem or state.last_error,
            last_error_time=_moment(state.last_error_time),
            next_try=_moment(state.retry),
        ),
        **{attribute: with_secrets(profile.target, {})},  # type: ignore[arg-type] # the attribute is that of the target
    )


def _status(running: Running) -> str:
    if running.problem:
        return "unusable"
    if not running.profile.enabled:
        return "disabled"
    if running.state.failing_since:
        return "failing"
    return "working" if running.state.last_sent else "idle"


def _moment(time: int) -> str:
    return rfc3339(time) if time else ""


def _previewed(message: Message) -> AlertPreview:
    match message:
        case HttpMessage():
            hidden = {"authorization": "(hidden)"} if "authorization" in message.headers else {}
            return AlertPreview("HTTPS", message.url, message.headers | hidden, _pretty(message.body))
        case MailMessage():
            heads = {"From": message.sender, "To": ", ".join(message.recipients), "Subject": message.subject}
            return AlertPreview("SMTP", f"{message.host}:{message.port}", heads, message.text)
        case SyslogMessage():
            return AlertPreview("syslog", f"{message.host}:{message.port}", {}, message.line.decode())
        case FileLine():
            return AlertPreview("file", f"alerts/{message.name}.jsonl", {}, _pretty(message.line))


def _pretty(body: bytes) -> str:
    return msgspec.json.format(body, indent=2).decode()


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
