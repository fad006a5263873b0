"""The proxy that outgoing requests take."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from bartizan.api.alert_shapes import ProxyAnswer, ProxyChange
from bartizan.api.context import services_of
from bartizan.api.document import gives, reference, takes
from bartizan.api.permissions import Permission, Requires
from bartizan.api.reading import only_known_parameters, read_vendor_body
from bartizan.services.egress import ProxySetting
from bartizan.services.rights import User

router = APIRouter(prefix="/api/v1/settings/proxy", tags=["settings"])
_reader = Annotated[User, Depends(Requires(Permission.SETTINGS_READ))]
_writer = Annotated[User, Depends(Requires(Permission.SETTINGS_WRITE))]
_EXAMPLE = {"httpProxy": "http://proxy.example.com:3128", "noProxy": ".corp.example,10.0.0.0/8"}


@router.get("", responses=gives(reference(ProxyAnswer), text="The proxy, without its password"))
async def get_proxy(request: Request, _user: _reader) -> Response:
    """Return the proxy that alerts and log-ins take on their way out; the password is never given back."""
    only_known_parameters(request, frozenset(("project",)))
    proxy = services_of(request).proxy.current
    answer = ProxyAnswer(
        http_proxy=proxy.url,
        no_proxy=",".join(proxy.bypass),
        user=proxy.user,
        ca=proxy.ca_pem,
        password_set=bool(proxy.password),
    )
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.post("", openapi_extra=takes(ProxyChange, example=_EXAMPLE), responses=gives(None, text="In use"))
async def set_proxy(request: Request, _user: _writer) -> Response:
    """Take another proxy from the next request on, or with an empty `httpProxy` none."""
    only_known_parameters(request, frozenset(("project",)))
    change = await read_vendor_body(request, ProxyChange, ignored=frozenset(("passwordSet",)))
    await services_of(request).proxy.put(
        ProxySetting(
            url=change.http_proxy.strip(),
            user=change.user,
            password=change.password.plain,
            ca_pem=change.ca,
            bypass=tuple(entry.strip() for entry in change.no_proxy.split(",") if entry.strip()),
        )
    )
    return Response()
