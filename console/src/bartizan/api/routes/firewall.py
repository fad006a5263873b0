"""The WAAS policy, and the network lists and rules of scrubbing that belong to it."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.context import services_of
from bartizan.api.document import gives, list_of, reference, takes
from bartizan.api.editing import EDIT_PARAMETERS, edit_of, in_force, revision_headers
from bartizan.api.firewall_shapes import NetworkListShape, ScrubbingRuleShape, WaasPolicyShape
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters
from bartizan.policy.firewall import (
    NetworkList,
    country_table,
    firewall_document,
    network_list_document,
    parse_firewall,
    parse_network_list,
    parse_scrubbing,
    scrubbing_document,
    subnets_of_csv,
)
from bartizan.services.interfaces import User

router = APIRouter(prefix="/api/v1/policies/firewall/app", tags=["waas"])
_reader = Annotated[User, Depends(Requires(Permission.POLICY_READ))]
_writer = Annotated[User, Depends(Requires(Permission.POLICY_WRITE))]
_PROJECT = frozenset(("project",))
_LIST = {"_id": "office", "subnets": ["198.51.100.0/24", "2001:db8:51::/48"], "description": "Our own networks"}
_POLICY = {
    "_id": "appEmbeddedAppFirewall",
    "rules": [
        {
            "name": "shop",
            "collections": [{"name": "shop", "appIDs": ["shop:*"]}],
            "applicationsSpec": [
                {
                    "appID": "storefront",
                    "apiSpec": {"endpoints": [{"host": "*", "exposedPort": 80, "internalPort": 8080}]},
                    "sqli": {
                        "effect": "prevent",
                        "exceptionFields": [{"location": "queryValues", "key": "q"}],
                    },
                    "xss": {"effect": "alert"},
                }
            ],
        }
    ],
    "minPort": 30000,
    "maxPort": 31000,
}
_COUNTRIES = "network,country\n192.0.2.0/24,NL\n2001:db8::/32,DE\n"
_SCRUBBING = [{"name": "card numbers", "type": "pattern", "pattern": "[0-9]{13,19}", "placeholder": "[card]"}]


@router.get("/app-embedded", responses=gives(reference(WaasPolicyShape), text="The policy in force", example=_POLICY))
async def get_waas_policy(request: Request, _user: _reader) -> Response:
    """Return the WAAS policy; private keys are never given back."""
    only_known_parameters(request, _PROJECT)
    firewall = services_of(request).firewall
    answer = _json(firewall_document(firewall.current))
    answer.headers.update(revision_headers(firewall.revision))
    return answer


@router.put(
    "/app-embedded",
    openapi_extra={**takes(WaasPolicyShape, example=_POLICY), "parameters": EDIT_PARAMETERS},
    responses=gives(None, text="It is in force"),
)
async def put_waas_policy(request: Request, user: _writer) -> Response:
    """Replace the whole WAAS policy; Defenders get it at once."""
    edit = edit_of(request, user)
    policy = parse_firewall(await request.body())
    firewall = services_of(request).firewall
    return in_force(await firewall.replace(policy, author=edit.author, comment=edit.comment, base=edit.base))


@router.get("/network-list", responses=gives(list_of(NetworkListShape), text="All of them", example=[_LIST]))
async def list_network_lists(request: Request, _user: _reader) -> Response:
    """Return the network lists by their names."""
    only_known_parameters(request, _PROJECT)
    lists = sorted(services_of(request).firewall.networks.items())
    return _json([network_list_document(item) for _, item in lists])


@router.post("/network-list", openapi_extra=takes(NetworkListShape, example=_LIST), responses=gives(None, text="Kept"))
async def add_network_list(request: Request, user: _writer) -> Response:
    """Add a network list; its name must be new."""
    only_known_parameters(request, _PROJECT)
    item = parse_network_list(await request.body())
    await services_of(request).firewall.put_network(item, author=user.name, new=True)
    return Response()


@router.put("/network-list", openapi_extra=takes(NetworkListShape, example=_LIST), responses=gives(None, text="Kept"))
async def change_network_list(request: Request, user: _writer) -> Response:
    """Replace the network list of this `_id`; Defenders whose policy uses it get it at once."""
    only_known_parameters(request, _PROJECT)
    item = parse_network_list(await request.body())
    await services_of(request).firewall.put_network(item, author=user.name, new=False)
    return Response()


@router.post(
    "/network-list/{name}/csv",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": "subnet\n198.51.100.0/24\n2001:db8:51::/48\n"}
            },
        }
    },
    responses=gives(reference(NetworkListShape), text="The list as it is now", example=_LIST),
)
async def import_network_list(request: Request, name: str, user: _writer) -> Response:
    """Fill a network list, a new one if need be, with the first column of a CSV file."""
    only_known_parameters(request, _PROJECT)
    firewall = services_of(request).firewall
    subnets = subnets_of_csv(await request.body())
    present = firewall.networks.get(name)
    document: dict[str, Any] = {} if present is None else network_list_document(present)
    item: NetworkList = parse_network_list(msgspec.json.encode({**document, "_id": name, "subnets": subnets}))
    await firewall.put_network(item, author=user.name)
    return _json(network_list_document(firewall.networks[name]))


@router.delete("/network-list/{name}", responses=gives(None, text="Removed"))
async def remove_network_list(request: Request, name: str, user: _writer) -> Response:
    """Remove a network list that no policy uses; otherwise the refusal names the rules that do."""
    only_known_parameters(request, _PROJECT)
    await services_of(request).firewall.remove_network(name, author=user.name)
    return Response()


@router.get(
    "/country-table", responses=gives({"type": "string"}, media="text/csv", text="The table", example=_COUNTRIES)
)
async def get_country_table(request: Request, _user: _reader) -> Response:
    """Return the table of countries, as CSV."""
    only_known_parameters(request, _PROJECT)
    return Response(services_of(request).firewall.countries, media_type="text/csv")


@router.put(
    "/country-table",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string"}, "example": _COUNTRIES}},
        }
    },
    responses=gives(None, text="It is in force"),
)
async def put_country_table(request: Request, user: _writer) -> Response:
    """Replace the table that tells in which country a network is; Defenders whose policy asks for countries get it."""
    only_known_parameters(request, _PROJECT)
    table = country_table(await request.body())
    await services_of(request).firewall.set_countries(table, author=user.name)
    return Response()


@router.get("/log-scrubbing", responses=gives(list_of(ScrubbingRuleShape), text="All of them", example=_SCRUBBING))
async def list_scrubbing(request: Request, _user: _reader) -> Response:
    """Return the rules for what is replaced before requests are logged."""
    only_known_parameters(request, _PROJECT)
    return _json(scrubbing_document(services_of(request).firewall.scrubbing))


@router.put(
    "/log-scrubbing",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": list_of(ScrubbingRuleShape), "example": _SCRUBBING}},
        }
    },
    responses=gives(None, text="They are in force"),
)
async def put_scrubbing(request: Request, user: _writer) -> Response:
    """Replace the rules for what is replaced before requests are logged; Defenders get them at once."""
    only_known_parameters(request, _PROJECT)
    rules = parse_scrubbing(await request.body())
    await services_of(request).firewall.set_scrubbing(rules, author=user.name)
    return Response()


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
