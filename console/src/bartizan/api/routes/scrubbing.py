"""What is replaced in runtime audits and records before they are stored."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_body, read_vendor_body
from bartizan.api.scrubbing_shapes import (
    AuditScrubbing,
    AuditScrubbingChange,
    AuditScrubbingResult,
    AuditScrubbingRule,
    AuditScrubbingTrial,
)
from bartizan.audit.scrubbing import ScrubbingRule
from bartizan.audit.telling_secrets import BUILT_IN
from bartizan.services.rights import User
from bartizan.services.scrubbing import ScrubbingSetting

router = APIRouter(prefix="/api/v1/settings/scrubbing", tags=["settings"])
_reader = Annotated[User, Depends(Requires(Permission.SETTINGS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.SETTINGS_WRITE))]
_EXAMPLE = {
    "builtIn": True,
    "rules": [{"name": "cards", "pattern": "\\b[0-9]{13,19}\\b", "placeholder": "[card]", "disabled": False}],
}
_NONE: frozenset[str] = frozenset()


@router.get("", responses=gives(reference(AuditScrubbing), text="The rules"))
async def get_scrubbing(request: Request, _user: _reader) -> Response:
    """Return the rules for what is replaced in runtime audits and records before they are stored."""
    only_known_parameters(request, _NONE)
    current = services_of(request).scrubbing.current
    answer = AuditScrubbing(built_in=current.built_in, rules=_shown(current.rules), built_in_rules=_shown(BUILT_IN))
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.put("", openapi_extra=takes(AuditScrubbingChange, example=_EXAMPLE), responses=gives(None, text="In force"))
async def put_scrubbing(request: Request, _user: _writer) -> Response:
    """Replace the rules; what comes in from now on is scrubbed by them, what is stored stays as it is."""
    only_known_parameters(request, _NONE)
    change = await read_vendor_body(request, AuditScrubbingChange, ignored=frozenset(("builtInRules",)))
    await services_of(request).scrubbing.put(_setting(change))
    return Response()


@router.post(
    "/trial",
    openapi_extra=takes(AuditScrubbingTrial, example={"text": "mysql --password=hunter2", "scrubbing": _EXAMPLE}),
    responses=gives(reference(AuditScrubbingResult), text="What would be stored"),
)
async def try_scrubbing(request: Request, _user: _reader) -> Response:
    """Return what would be stored of a text; it is kept nowhere."""
    only_known_parameters(request, _NONE)
    body = await read_body(request, AuditScrubbingTrial)
    wanted = _setting(body.scrubbing) if body.scrubbing is not None else None
    found = await services_of(request).scrubbing.trial(body.text, wanted)
    answer = AuditScrubbingResult(text=found.text, rules=list(found.rules))
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _setting(change: AuditScrubbingChange) -> ScrubbingSetting:
    rules = (ScrubbingRule(**msgspec.structs.asdict(rule)) for rule in change.rules)
    return ScrubbingSetting(built_in=change.built_in, rules=tuple(rules))


def _shown(rules: Iterable[ScrubbingRule]) -> list[AuditScrubbingRule]:
    return [
        AuditScrubbingRule(name=rule.name, pattern=rule.pattern, placeholder=rule.placeholder, disabled=rule.disabled)
        for rule in rules
    ]
