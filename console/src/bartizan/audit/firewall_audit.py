"""
From a Defender's audit of a request to the one that users see: the vendor's `shared.AppFirewallAudit`, by its names.

Identity (App ID, container, image) comes from the session that reported it, never from the audit.
"""

import hashlib
import ipaddress

import msgspec

from bartizan.audit.runtime_audit import Reporter, rfc3339
from bartizan.audit.wire import Audit, RequestEvent

ALIKE_SPAN = 5 * 60 * 1000
"""Events of one client, place and kind that are less than this apart are shown as one (milliseconds)."""
_LONGEST = 4096
_INJECTION = frozenset(
    ("sqli", "xss", "cmdi", "codeInjection", "shellshock", "nosql", "ssti", "xxe", "deserialisation", "ssrf")
)
_ACCESS = frozenset(("lfi", "deniedIP", "deniedCountry", "header", "unexpectedAPI"))
_DESIGN = frozenset(("disallowedFile", "dos", "malformedRequest", "violationsExceeded"))
_EXPOSURE = frozenset(("informationLeak", "publicSensitiveDataWithoutAuthentication"))
_API = {
    "dos": "lackOfResources&RateLimiting",
    "informationLeak": "excessiveDataExposure",
    "unexpectedAPI": "improperAssetsManagement",
    "lfi": "securityMisconfiguration",
    "attackTools": "securityMisconfiguration",
    "malformedRequest": "securityMisconfiguration",
}
_FLOODS = frozenset(("dos", "violationsExceeded"))
_SCANS = frozenset(("attackTools", "webScrapers", "requestAnomalies"))


class ShownField(msgspec.Struct, frozen=True):
    """The place of an attack in a request."""

    type: str
    key: str
    value: str


class FirewallAudit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """
    One WAAS event of the API. Fields that do not apply are left out.

    `subnet` is the client's address, `connectingIPs` are those that it came through, `rules` are the rules that
    matched; `firstSeen` is there when several events are shown as one.
    """

    id: str = msgspec.field(name="_id", default="")
    time: str
    app_id: str = msgspec.field(name="appID")
    hostname: str
    profile_id: str = ""
    container_name: str = ""
    image_name: str = ""
    rule_name: str = ""
    rule_app_id: str = msgspec.field(name="ruleAppID", default="")
    effect: str
    type: str
    protection: str
    msg: str
    attack_field: ShownField | None = None
    attack_techniques: tuple[str, ...] = ()
    owasp_top10: str = ""
    owasp_api_top10: str = msgspec.field(name="owaspAPITop10", default="")
    event_id: str = msgspec.field(name="eventID")
    url: str = ""
    url_path: str = ""
    url_query: str = ""
    method: str = ""
    request_host: str = ""
    request_headers: str = ""
    request_header_names: tuple[str, ...] = ()
    response_header_names: tuple[str, ...] = ()
    status_code: int = 0
    user_agent_header: str = ""
    subnet: str = ""
    connecting_ips: tuple[str, ...] = msgspec.field(name="connectingIPs", default=())
    country: str = ""
    count: int
    first_seen: str = ""
    rules: tuple[int, ...] = ()
    score: int = 0
    firewall_type: str
    resource: dict[str, list[str]] = {}
    defender_id: str = msgspec.field(name="defenderID", default="")
    version: str = ""


def describe_request(audit: Audit, event: RequestEvent, reporter: Reporter) -> FirewallAudit:
    """Return the event as users see it, still without its id. Texts are cut to bounded lengths."""
    found = event.field
    return FirewallAudit(
        time=rfc3339(audit.time),
        app_id=reporter.app_id,
        hostname=reporter.app_id,
        profile_id=f"{reporter.app_id}_{reporter.container}" if reporter.container else reporter.app_id,
        container_name=reporter.container or "",
        image_name=reporter.image or "",
        firewall_type="app-embedded",
        rule_name=_cut(audit.rule or ""),
        rule_app_id=_cut(event.application),
        effect=audit.effect.value,
        type=event.type,
        protection=event.protection.value,
        msg=_cut(event.message),
        attack_field=None if found is None else ShownField(_cut(found.type), _cut(found.key), _cut(found.value)),
        attack_techniques=_techniques(event.type),
        owasp_top10=_owasp(event.type),
        owasp_api_top10="injection" if event.type in _INJECTION else _API.get(event.type, ""),
        event_id=event.event_id,
        url=_cut(event.url),
        url_path=_cut(event.path),
        url_query=_cut(event.query),
        method=_cut(event.method),
        request_host=_cut(event.host),
        request_headers=_cut(event.headers),
        request_header_names=event.header_names,
        response_header_names=event.response_header_names,
        status_code=event.status or 0,
        user_agent_header=_cut(event.user_agent),
        subnet=event.address,
        connecting_ips=event.peers,
        country=(event.country or "").upper(),
        count=audit.count,
        rules=event.rules,
        score=event.score,
        resource={"appIDs": [reporter.app_id]},
        defender_id=reporter.instance,
        version=reporter.version,
    )


def alike(shown: FirewallAudit) -> str:
    """Return a digest of what events have in common that are shown as one: client, place, kind, what was done."""
    parts = (
        shown.app_id,
        shown.container_name,
        shown.rule_name,
        shown.rule_app_id,
        shown.subnet,
        shown.request_host,
        shown.url_path,
        shown.method,
        shown.user_agent_header,
        shown.type,
        shown.effect,
    )
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]


def packed(address: str) -> bytes | None:
    """Return an address as 16 bytes that sort as addresses do (IPv4 as mapped), None for what is none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return found.packed.rjust(16, b"\0") if found.version == 6 else b"\0" * 10 + b"\xff\xff" + found.packed  # noqa: PLR2004


def span_of(subnet: str) -> tuple[bytes, bytes]:
    """Return the first and the last address of a CIDR block, as `packed` gives them. Raises ValueError."""
    network = ipaddress.ip_network(subnet, strict=False)
    first, last = packed(str(network.network_address)), packed(str(network.broadcast_address))
    if first is None or last is None:
        raise ValueError("a zone means nothing here")
    return first, last


def _owasp(kind: str) -> str:
    names = (
        (_INJECTION, "injection"),
        (_ACCESS, "brokenAccessControl"),
        (_DESIGN, "insecureDesign"),
        (_EXPOSURE, "cryptographicFailures"),
    )
    return next((name for kinds, name in names if kind in kinds), "")


def _techniques(kind: str) -> tuple[str, ...]:
    if kind in _FLOODS:
        return ("T1499",)
    if kind in _SCANS:
        return ("T1595",)
    return ("T1190",) if kind in _INJECTION | _ACCESS else ()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
