"""The runtime policy: the whole, and its rules one by one."""

from dataclasses import replace
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.editing import EDIT_PARAMETERS, edit_of, in_force, revision_headers
from bartizan.api.permissions import Permission, Requires
from bartizan.api.policy_shapes import RuntimePolicyShape, RuntimeRule
from bartizan.api.reading import only_known_parameters, read_body
from bartizan.api.revision_shapes import PolicyCheck, RuleName, RuleOrder, RuleSwitch, RuleUse
from bartizan.audit.runtime_audit import rfc3339
from bartizan.policy import PolicyError, Rule, parse_rule, policy_document
from bartizan.policy.yaml_form import policy_yaml, read_policy, runtime_changes
from bartizan.services.collections import workloads_of
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import Hits, User

router = APIRouter(prefix="/api/v1/policies/runtime", tags=["policies"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_PROJECT = frozenset(("project",))
_YAML = "application/yaml"
_SAMPLE = {"name": "shop", "collections": [{"name": "shop", "appIDs": ["shop:*"]}],
           "processes": {"effect": "prevent", "blacklist": ["curl", "/opt/tools/*"]}}  # fmt: skip
_WHOLE = {"rules": [_SAMPLE]}


@router.get("/app-embedded", responses=gives(reference(RuntimePolicyShape), text="The policy in force", example=_WHOLE))
async def get_policy(request: Request, _user: _reader) -> Response:
    """Return the runtime policy; its `ETag` is for `If-Match` of a change."""
    only_known_parameters(request, _PROJECT)
    policies = services_of(request).policies
    revision, current = policies.revision, policies.current
    body = msgspec.json.encode(policy_document(current))
    return Response(body, media_type="application/json", headers=revision_headers(revision))


@router.get(
    "/app-embedded/export",
    responses=gives(
        reference(RuntimePolicyShape), media=_YAML, text="The policy as YAML or JSON", also=("application/json",)
    ),
)
async def export_policy(request: Request, _user: _reader, file_format: str = "yaml") -> Response:
    """Return the runtime policy as a file (`file_format` is `yaml` or `json`); `PUT` takes both."""
    only_known_parameters(request, frozenset(("file_format", "project")))
    _refuse_other_formats(file_format)
    policies = services_of(request).policies
    revision, current = policies.revision, policies.current
    name = f"runtime-policy-{revision}.{file_format}"
    headers = {**revision_headers(revision), "Content-Disposition": f'attachment; filename="{name}"'}
    if file_format == "yaml":
        return Response(policy_yaml(current), media_type=_YAML, headers=headers)
    text = msgspec.json.format(msgspec.json.encode(policy_document(current)), indent=2)
    return Response(text, media_type="application/json", headers=headers)


@router.put(
    "/app-embedded",
    openapi_extra={**takes(RuntimePolicyShape, example=_WHOLE), "parameters": EDIT_PARAMETERS},
    responses=gives(None, text="It is in force"),
)
async def put_policy(request: Request, user: _writer) -> Response:
    """Replace the whole runtime policy, as JSON or YAML; running workloads get it at once."""
    edit = edit_of(request, user)
    policy = read_policy(await request.body())
    policies = services_of(request).policies
    return in_force(await policies.replace(policy, author=edit.author, comment=edit.comment, base=edit.base))


@router.post(
    "/app-embedded",
    openapi_extra={**takes(RuntimeRule, example=_SAMPLE), "parameters": EDIT_PARAMETERS},
    responses=gives(None, text="It is in force"),
)
async def add_rule(request: Request, user: _writer) -> Response:
    """Add one rule before all others."""
    edit = edit_of(request, user)
    rule = parse_rule(await request.body())
    policies = services_of(request).policies
    return in_force(await policies.add_rule(rule, author=edit.author, comment=edit.comment, base=edit.base))


@router.post(
    "/app-embedded/check",
    openapi_extra=takes(RuntimePolicyShape, example=_WHOLE),
    responses=gives(reference(PolicyCheck), example={"problems": [], "changes": []}),
)
async def check_policy(request: Request, _user: _reader) -> Response:
    """
    Return what a policy (JSON or YAML) would be refused for, and what it would change; nothing is kept.

    The `ETag` is that of the policy which it was compared with.
    """
    only_known_parameters(request, _PROJECT)
    policies = services_of(request).policies
    headers = revision_headers(policies.revision)
    try:
        policy = read_policy(await request.body())
    except PolicyError as error:
        return _json({"problems": error.shown, "changes": []}, headers)
    changes = runtime_changes(policies.current, policy)
    return _json({"problems": policies.problems(policy), "changes": msgspec.to_builtins(changes)}, headers)


@router.post(
    "/app-embedded/convert",
    openapi_extra=takes(RuntimePolicyShape, example=_WHOLE),
    responses=gives(
        reference(RuntimePolicyShape), media=_YAML, text="The policy as YAML or JSON", also=("application/json",)
    ),
)
async def convert_policy(request: Request, _user: _reader, file_format: str = "yaml") -> Response:
    """Return a policy, given as JSON or YAML, as YAML without what says nothing, or as JSON; nothing is kept."""
    only_known_parameters(request, frozenset(("file_format", "project")))
    _refuse_other_formats(file_format)
    policy = read_policy(await request.body())
    if file_format == "json":
        return _json(policy_document(policy))
    return Response(policy_yaml(policy), media_type=_YAML)


@router.get(
    "/app-embedded/hits",
    responses=gives(list_of(RuleUse), example=[{"rule": "shop", "hits": 3, "lastHit": None, "workloads": 2}]),
)
async def rule_hits(request: Request, _user: _reader) -> Response:
    """Return how often each rule matched and when it last did, and how many connected workloads it applies to."""
    only_known_parameters(request, _PROJECT)
    services = services_of(request)
    workloads: dict[str, int] = {}
    for record in services.defenders.connected_records():
        for workload in workloads_of(record):
            name = services.policies.resolve(workload).policy.rule
            if name is not None:
                workloads[name] = workloads.get(name, 0) + 1
    return _json([_use(rule, services.rule_hits.of(rule.name), workloads) for rule in services.policies.current.rules])


@router.put("/app-embedded/order", openapi_extra={**takes(RuleOrder, example={"rules": ["shop", "rest"]}),
            "parameters": EDIT_PARAMETERS}, responses=gives(None, text="It is in force"))  # fmt: skip
async def order_rules(request: Request, user: _writer) -> Response:
    """Put the rules into another order; the first that covers a workload counts."""
    edit = edit_of(request, user)
    body = await read_body(request, RuleOrder)
    return in_force(await services_of(request).policies.order(body.rules, edit))


@router.post("/app-embedded/clone", openapi_extra={**takes(RuleName, example={"rule": "shop", "newName": "shop 2"}),
             "parameters": EDIT_PARAMETERS}, responses=gives(None, text="It is in the policy"))  # fmt: skip
async def clone_rule(request: Request, user: _writer) -> Response:
    """Put a copy of a rule behind it, disabled."""
    edit = edit_of(request, user)
    body = await read_body(request, RuleName)
    name = parse_rule(msgspec.json.encode({"name": body.new_name})).name
    return in_force(await services_of(request).policies.clone_rule(body.rule, name, edit))


@router.put("/app-embedded/rules/{name:path}", openapi_extra={**takes(RuntimeRule, example=_SAMPLE),
            "parameters": EDIT_PARAMETERS}, responses=gives(None, text="It is in force"))  # fmt: skip
async def put_rule(request: Request, name: str, user: _writer) -> Response:
    """Replace one rule, which keeps its place; the body may give it another name."""
    edit = edit_of(request, user)
    rule = parse_rule(await request.body())
    policies = services_of(request).policies
    return in_force(
        await policies.change_rule(name, lambda _: rule, author=edit.author, comment=edit.comment, base=edit.base)
    )


@router.patch("/app-embedded/rules/{name:path}", openapi_extra={**takes(RuleSwitch, example={"disabled": True}),
              "parameters": EDIT_PARAMETERS}, responses=gives(None, text="It is in force"))  # fmt: skip
async def switch_rule(request: Request, name: str, user: _writer) -> Response:
    """Leave a rule out when rules are tried, or take it in again."""
    edit = edit_of(request, user)
    disabled = (await read_body(request, RuleSwitch)).disabled

    def switched(rule: Rule) -> Rule:
        return replace(rule, disabled=disabled)

    policies = services_of(request).policies
    revision = await policies.change_rule(name, switched, author=edit.author, comment=edit.comment, base=edit.base)
    return in_force(revision)


@router.delete("/app-embedded/rules/{name:path}", openapi_extra={"parameters": EDIT_PARAMETERS},
               responses=gives(None, text="It is gone"))  # fmt: skip
async def remove_rule(request: Request, name: str, user: _writer) -> Response:
    """Remove one rule."""
    edit = edit_of(request, user)
    return in_force(await services_of(request).policies.remove_rule(name, edit))


def _refuse_other_formats(name: str) -> None:
    if name not in ("yaml", "json"):
        raise InvalidError("`file_format` is `yaml` or `json`")


def _use(rule: Rule, hits: Hits | None, workloads: dict[str, int]) -> dict[str, object]:
    return {
        "rule": rule.name,
        "hits": hits.count if hits else 0,
        "lastHit": rfc3339(hits.last) if hits else None,
        "workloads": workloads.get(rule.name, 0),
    }


def _json(value: object, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)
