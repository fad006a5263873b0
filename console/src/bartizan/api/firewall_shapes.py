"""The JSON of the WAAS policy, for the OpenAPI document; `policy.firewall` reads it more strictly."""

from typing import Annotated, Any, Literal

import msgspec

from bartizan.api.policy_shapes import CollectionShape

WaasEffect = Literal["disable", "alert", "prevent", "ban"]
Strings = list[str]
PortNumber = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class WaasEndpoint(msgspec.Struct, rename="camel"):
    """
    Where an application is reached: on `exposedPort` by clients, on `internalPort` by the firewall.

    `host` may begin with `*.`, in `basePath` `*` stands for any characters.
    """

    exposed_port: PortNumber
    internal_port: PortNumber
    host: str = "*"
    base_path: str = "*"
    tls: bool = False
    http2: bool = False
    grpc: bool = False


class WaasParameter(msgspec.Struct, rename="camel", omit_defaults=True):
    """One parameter of a method; `min` and `max` bound a number, or the length of a text."""

    name: str
    location: Literal["path", "query", "cookie", "header", "body", "json", "xml", "formData", "multipart"]
    type: Literal["integer", "number", "string", "array", "boolean", "object"] = "string"
    style: str = ""
    min: float | None = None
    max: float | None = None
    required: bool = False
    array: bool = False
    explode: bool = False
    allow_empty_value: bool = False


class WaasMethod(msgspec.Struct):
    """A method of a path with its parameters."""

    method: str
    parameters: list[WaasParameter] = msgspec.field(default_factory=list)


class WaasPath(msgspec.Struct):
    """A path, with `{name}` for what is a parameter."""

    path: str
    methods: list[WaasMethod] = msgspec.field(default_factory=list)


class WaasApiSpec(msgspec.Struct, rename="camel"):
    """
    Where an application is reached and what its API takes.

    `effect` is that of parameters that do not fit, `fallbackEffect` that of unknown paths and methods,
    `queryParamFallbackEffect` that of unknown parameters of the query.
    """

    endpoints: list[WaasEndpoint] = msgspec.field(default_factory=list)
    paths: list[WaasPath] = msgspec.field(default_factory=list)
    effect: WaasEffect = "disable"
    fallback_effect: WaasEffect = "disable"
    query_param_fallback_effect: WaasEffect = "disable"
    skip_learning: bool = False
    description: str = ""


class WaasException(msgspec.Struct, rename="camel"):
    """A place that a group of attacks is not looked for in; `key` and `value` may be patterns (RE2)."""

    location: Literal[
        "path", "query", "queryValues", "cookie", "UserAgentHeader", "header", "body", "rawBody", "XMLPath", "JSONPath"
    ]
    key: str = ""
    key_pattern: bool = False
    value: str = ""
    value_pattern: bool = False


class WaasGroup(msgspec.Struct, rename="camel"):
    """A group of attacks."""

    effect: WaasEffect = "disable"
    exception_fields: list[WaasException] = msgspec.field(default_factory=list)


class WaasCertificate(msgspec.Struct):
    """
    Certificate and private key as PEM: they go in as `plain` and never come back.

    `encrypted` names the pair that is kept here; sent back with an empty `plain`, it stays. `environment` (ours) names
    a variable of the Defender that holds the pair, such as a secret of the task definition.
    """

    plain: str = ""
    encrypted: str = ""
    environment: str = ""


class WaasApplication(msgspec.Struct, rename="camel"):
    """One application: where it is reached and how it is protected. The groups from `ssrf` on are ours."""

    app_id: str = msgspec.field(name="appID")
    api_spec: WaasApiSpec
    certificate: WaasCertificate = msgspec.field(default_factory=WaasCertificate)
    ban_duration_minutes: int = 5
    sqli: WaasGroup = msgspec.field(default_factory=WaasGroup)
    xss: WaasGroup = msgspec.field(default_factory=WaasGroup)
    cmdi: WaasGroup = msgspec.field(default_factory=WaasGroup)
    code_injection: WaasGroup = msgspec.field(default_factory=WaasGroup)
    lfi: WaasGroup = msgspec.field(default_factory=WaasGroup)
    attack_tools: WaasGroup = msgspec.field(default_factory=WaasGroup)
    shellshock: WaasGroup = msgspec.field(default_factory=WaasGroup)
    malformed_req: WaasGroup = msgspec.field(default_factory=WaasGroup)
    ssrf: WaasGroup = msgspec.field(default_factory=WaasGroup)
    nosql: WaasGroup = msgspec.field(default_factory=WaasGroup)
    ssti: WaasGroup = msgspec.field(default_factory=WaasGroup)
    xxe: WaasGroup = msgspec.field(default_factory=WaasGroup)
    deserialisation: WaasGroup = msgspec.field(default_factory=WaasGroup)
    protocol: WaasGroup = msgspec.field(default_factory=WaasGroup)
    body: dict[str, Any] = msgspec.field(default_factory=dict)
    intel_gathering: dict[str, Any] = msgspec.field(default_factory=dict)
    csrf_enabled: bool = False
    clickjacking_enabled: bool = False
    network_controls: dict[str, Any] = msgspec.field(default_factory=dict)
    header_specs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    malicious_upload: dict[str, Any] = msgspec.field(default_factory=dict)
    bot_protection_spec: dict[str, Any] = msgspec.field(default_factory=dict)
    dos_config: dict[str, Any] = msgspec.field(default_factory=dict)
    custom_rules: list[dict[str, Any]] = msgspec.field(default_factory=list)
    response_header_specs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    custom_block_response: dict[str, Any] = msgspec.field(default_factory=dict)
    disable_event_id_header: bool = msgspec.field(name="disableEventIDHeader", default=False)
    session_cookie_enabled: bool = False
    session_cookie_ban: bool = False
    session_cookie_secure: bool = False
    session_cookie_same_site: Literal["Lax", "Strict", "None"] = "Lax"
    tls_config: dict[str, Any] = msgspec.field(default_factory=dict)


class WaasRule(msgspec.Struct, rename="camel"):
    """
    One rule; the first that is not disabled and covers a workload wins. From `profile` to `forwardedFor` it is ours.

    `X-Forwarded-For` counts when it comes from `trustedProxies` (by default private addresses); of its entries the last
    counts that no such proxy has, unless `forwardedFor` says otherwise.
    """

    name: str
    applications_spec: list[WaasApplication]
    collections: list[CollectionShape] = msgspec.field(default_factory=list)
    read_timeout_seconds: int = 5
    skip_api_learning: bool = msgspec.field(name="skipAPILearning", default=False)
    profile: Literal["balanced", "crsStrict"] = "balanced"
    trusted_proxies: Strings | None = None
    forwarded_for: Literal["nearestUntrusted", "first", "never"] = "nearestUntrusted"
    disabled: bool = False
    notes: str = ""
    previous_name: str = ""
    owner: str = ""
    modified: str = ""


class WaasPolicyShape(msgspec.Struct, rename="camel"):
    """The whole WAAS policy."""

    rules: list[WaasRule]
    id: str = msgspec.field(name="_id", default="appEmbeddedAppFirewall")
    min_port: int = 30000
    max_port: int = 31000


class NetworkListShape(msgspec.Struct):
    """A named list of addresses and CIDR blocks, IPv4 and IPv6."""

    id: str = msgspec.field(name="_id")
    subnets: Strings
    description: str = ""
    disabled: bool = False
    name: str = ""
    owner: str = ""
    modified: str = ""


class ScrubbingRuleShape(msgspec.Struct, rename="camel"):
    """What `placeholder` stands for before a request is logged: what `pattern` (RE2) matches, or what is at a place."""

    name: str
    type: Literal["pattern", "location"]
    placeholder: str
    pattern: str = ""
    location: str = ""
    key: str = ""
    key_pattern: bool = False
    disabled: bool = False
    notes: str = ""


class SpecScan(msgspec.Struct, rename="camel"):
    """What was found in an OpenAPI document, the worst first."""

    issues: list["SpecIssueShape"]
    counts: dict[str, int]
    source: str = ""


class SpecIssueShape(msgspec.Struct):
    """One finding; `path` leads to it (JSON Pointer, RFC 6901)."""

    id: str
    severity: Literal["HIGH", "MEDIUM", "LOW", "INFO"]
    name: str
    description: str
    path: str


class WaasTimeslice(msgspec.Struct):
    """How many events there were from `start` until before `end`."""

    start: str
    end: str
    count: int


class WaasExceptionAnswer(msgspec.Struct, rename="camel"):
    """What an exception for an event is, and the policy with it; `applied` tells whether it is in force."""

    rule_name: str
    app_id: str = msgspec.field(name="appID")
    protection: str
    exception: WaasException
    applied: bool
    policy: WaasPolicyShape


class WaasRuleset(msgspec.Struct, rename="camel"):
    """A set of rules that was brought in; `hash` is the SHA-256 of its files. Defenders judge by the one in use."""

    hash: str
    version: str
    files: int
    author: str
    created: str
    in_use: bool


class WaasRulesetChoice(msgspec.Struct):
    """Which set of rules Defenders are to judge by; null: the one that they come with."""

    hash: str | None


class WaasDiscoveredOperation(msgspec.Struct, rename="camel"):
    """
    A method of a path that requests have shown an application to have; `{id}` stands for what differs.

    `query` and `body` are JSON Schemas of what was seen. `shadow` tells whether the `apiSpec` of the application lacks
    it, null when it describes nothing.
    """

    app_id: str = msgspec.field(name="appID")
    application: str
    path: str
    method: str
    hits: int
    first_seen: str
    last_seen: str
    statuses: dict[str, int]
    risks: list[Literal["sensitive", "unauthenticated", "unencrypted"]]
    shadow: bool | None
    query: dict[str, Any]
    body: dict[str, Any]


class WaasDiscoveredApplication(msgspec.Struct, rename="camel"):
    """
    An application of which operations were discovered; `ruleName` is the WAAS rule when it was last heard of.

    `dropped` counts requests to operations for which there was no room.
    """

    app_id: str = msgspec.field(name="appID")
    application: str
    rule_name: str
    first_seen: str
    last_seen: str
    operations: int
    hits: int
    dropped: int


class WaasCertificateFacts(msgspec.Struct, rename="camel"):
    """A certificate that is kept for protected applications; `name` goes into `certificate.encrypted` of another."""

    name: str
    subject: str
    names: Strings
    expires: str
    used_by: Strings


class WaasRevisionContent(msgspec.Struct):
    """One state of the WAAS policy, whole."""

    revision: int
    author: str
    time: str
    comment: str
    policy: WaasPolicyShape


FIREWALL_SHAPES = (
    NetworkListShape,
    ScrubbingRuleShape,
    SpecScan,
    WaasApiSpec,
    WaasCertificateFacts,
    WaasDiscoveredApplication,
    WaasDiscoveredOperation,
    WaasExceptionAnswer,
    WaasPolicyShape,
    WaasRevisionContent,
    WaasRuleset,
    WaasRulesetChoice,
    WaasTimeslice,
)
