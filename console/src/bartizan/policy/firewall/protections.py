"""The fields of one application's protections, in tables by the vendor's names (`waas.ApplicationSpec`)."""

import re
from typing import Any

from bartizan.policy.entries import label
from bartizan.policy.firewall.fields import (
    Reader,
    Shape,
    checked,
    choice,
    effect,
    flag,
    header_name,
    ignored,
    once,
    several,
    text,
    whole,
)
from bartizan.policy.firewall.patterns import expression

OWASP = ("sqli", "xss", "cmdi", "codeInjection", "lfi", "attackTools", "shellshock", "malformedReq")
"""The vendor's groups of attacks."""
OWN = ("ssrf", "nosql", "ssti", "xxe", "deserialisation", "protocol")
"""Our groups beside them."""
GROUPS = (*OWASP, *OWN)
NEAREST = {
    "ssrf": "codeInjection", "ssti": "codeInjection", "deserialisation": "codeInjection", "nosql": "sqli", "xxe": "lfi",
    "protocol": "malformedReq",
}  # fmt: skip
"""The vendor's group that speaks for each of ours where a policy does not name it."""
LOCATIONS = (
    "path", "query", "queryValues", "cookie", "UserAgentHeader", "header", "body", "rawBody", "XMLPath", "JSONPath",
)  # fmt: skip
"""Where in a request an exception may be."""
_PATHS = ("XMLPath", "JSONPath")
MOST_EXCEPTIONS = 1000
_EFFECT = ("disable", "alert", "prevent", "ban")
_BOT_EFFECT = ("disable", "allow", "alert", "prevent", "ban")
_LARGEST_BODY = 1 << 30
_COUNTRY = re.compile(r"[A-Z]{2}")
_KNOWN_BOTS = (
    "searchEngineCrawlers", "businessAnalytics", "educational", "news", "financial", "contentFeedClients", "archiving",
    "careerSearch", "mediaSearch",
)  # fmt: skip
_UNKNOWN_BOTS = (
    "generic", "webAutomationTools", "webScrapers", "apiLibraries", "httpLibraries", "botImpersonation",
    "browserImpersonation",
)  # fmt: skip
_FILE_TYPES = (
    "pdf", "office", "officeLegacy", "officeOoxml", "odf", "jpeg", "png", "gif", "bmp", "ico", "avi", "mp4", "aac",
    "mp3", "wav", "zip", "gzip", "rar", "7zip",
)  # fmt: skip
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND")
_CAPTCHA = "it is a service of its vendor, which requests are not sent to"

_exception = Shape(
    fields={
        "location": choice(*LOCATIONS),
        "key": text(longest=1024),
        "keyPattern": flag(),
        "value": text(longest=1024),
        "valuePattern": flag(),
    },
    refused={"response": "exceptions are for requests; what responses leak is one protection, on or off"},
    needed=("location",),
)


def _excepted(value: object, place: str, problems: list[str]) -> dict[str, Any]:
    """Read one exception; keys that are patterns have to compile, paths have to be absolute."""
    found = _exception(value, place, problems)
    location, key = found["location"], found["key"]
    for name, pattern in (("key", found["keyPattern"]), ("value", found["valuePattern"])):
        if pattern:
            checked(expression)(found[name], f"{place}.{name}", problems)
    if location in _PATHS and not found["keyPattern"] and (not key.startswith("/") or key == "/"):
        problems.append(f"{place}.key: a {location} is absolute, such as `/user/name`; `/` alone is everything")
    if location and not key and not found["value"]:
        problems.append(f"{place}.key: with neither `key` nor `value` everything would be excepted")
    return found


exceptions: Reader = several(_excepted, most=MOST_EXCEPTIONS)
group: Reader = Shape(fields={"effect": effect(*_EFFECT), "exceptionFields": exceptions})
body: Reader = Shape(
    fields={
        "skip": flag(),
        "inspectionSizeBytes": whole(1, _LARGEST_BODY, default=131072),
        "inspectionLimitExceededEffect": effect(*_EFFECT),
    }
)
intelligence: Reader = Shape(
    fields={"infoLeakageEffect": effect(*_EFFECT), "removeFingerprintsEnabled": flag()},
)
custom_block: Reader = Shape(
    fields={
        "enabled": flag(),
        "code": whole(200, 599, default=403),
        "body": text(longest=65536, lines=True),
    }
)
_header_values = once(text(longest=1024), most=200)
header_specs: Reader = several(
    Shape(
        fields={
            "name": header_name,
            "values": _header_values,
            "allow": flag(),
            "required": flag(),
            "effect": effect(*_EFFECT),
        },
        needed=("name",),
    ),
    most=200,
)
response_headers: Reader = several(
    Shape(fields={"name": header_name, "values": _header_values, "override": flag()}, needed=("name",)), most=200
)
uploads: Reader = Shape(
    fields={
        "effect": effect(*_EFFECT),
        "allowedFileTypes": once(choice(*_FILE_TYPES), most=len(_FILE_TYPES)),
        "allowedExtensions": once(text(longest=64), most=200),
    }
)


def country(code: str) -> str:
    """Return a country's two letters (ISO 3166-1). Raises ValueError."""
    if not _COUNTRY.fullmatch(code.upper()):
        raise ValueError(f"`{code[:20]}` is no country: two letters are expected, such as `DE` (ISO 3166-1)")
    return code.upper()


def _access(entry: Reader, *, most: int) -> Reader:
    entries = once(entry, most=most)
    return Shape(
        fields={
            "enabled": flag(),
            "allowMode": flag(default=True),
            "allow": entries,
            "alert": entries,
            "prevent": entries,
            "fallbackEffect": effect("disable", "alert", "prevent"),
        }
    )


network_name: Reader = checked(label, longest=256)
_network_names = once(network_name, most=200)
network_controls: Reader = Shape(
    fields={
        "subnets": _access(network_name, most=200),
        "countries": _access(checked(country), most=300),
        "exceptionSubnets": _network_names,
        "networkControlsExceptionSubnets": _network_names,
    },
    refused={"advancedProtectionEffect": "it needs the reputation of addresses, a service of its vendor; use lists"},
)
bots: Reader = Shape(
    fields={
        "knownBotProtectionsSpec": Shape(fields={name: effect(*_BOT_EFFECT) for name in _KNOWN_BOTS}),
        "unknownBotProtectionSpec": Shape(
            fields={
                **{name: effect(*_BOT_EFFECT) for name in _UNKNOWN_BOTS},
                "requestAnomalies": Shape(
                    fields={"effect": effect(*_BOT_EFFECT), "threshold": whole(1, 9, default=9)},
                ),
            }
        ),
        "userDefinedBots": several(
            Shape(
                fields={
                    "name": checked(label, longest=256),
                    "headerName": text(longest=256),
                    "headerValues": _header_values,
                    "subnets": _network_names,
                    "effect": effect(*_BOT_EFFECT),
                },
                needed=("name",),
            ),
            most=200,
        ),
        "sessionValidation": effect(*_EFFECT),
        "interstitialPage": flag(),
        "jsInjectionSpec": Shape(fields={"enabled": flag(), "timeoutEffect": effect(*_EFFECT)}),
    },
    refused={"reCAPTCHASpec": _CAPTCHA},
)
_rates: Reader = Shape(fields={"burst": whole(1, 10**9, default=0), "average": whole(1, 10**9, default=0)})
_codes: Reader = Shape(
    fields={"start": whole(100, 599, default=0), "end": whole(100, 599, default=0)}, needed=("start", "end")
)
dos: Reader = Shape(
    fields={
        "enabled": flag(),
        "alert": _rates,
        "ban": _rates,
        "matchConditions": several(
            Shape(
                fields={
                    "methods": once(choice(*_METHODS), most=len(_METHODS)),
                    "fileTypes": once(text(longest=64), most=200),
                    "responseCodeRanges": several(_codes, most=100),
                }
            ),
            most=100,
        ),
        "excludedNetworkLists": _network_names,
        "trackSession": flag(),
    }
)
custom_rules: Reader = several(
    Shape(
        fields={
            "_id": whole(1, 2**31 - 1, default=0),
            "effect": effect("disable", "allow", "alert", "prevent", "ban"),
            "action": choice("audit", default="audit"),
            "name": checked(label, longest=256),
            "type": choice("waas-request", "waas-response", default="waas-request"),
            "expression": text(longest=16 * 1024, lines=True),
            "message": text(longest=1024),
        },
        needed=("_id", "name", "expression"),
    ),
    most=100,
)
tls: Reader = Shape(
    fields={
        "metadata": ignored,
        "minTLSVersion": choice("1.0", "1.1", "1.2", "1.3", default="1.2"),
        "HSTSConfig": Shape(
            fields={
                "enabled": flag(),
                "maxAgeSeconds": whole(0, 2**31 - 1, default=31536000),
                "includeSubdomains": flag(),
                "preload": flag(),
            }
        ),
    }
)
