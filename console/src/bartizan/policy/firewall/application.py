"""One application of a rule: where it is reached and how it is protected, from the vendor's JSON."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from bartizan.policy.entries import label
from bartizan.policy.firewall import protections
from bartizan.policy.firewall.fields import (
    Reader,
    Shape,
    checked,
    choice,
    effect,
    flag,
    port,
    several,
    text,
    whole,
)

MOST_ENDPOINTS = 100
MOST_PATHS = 5000
MOST_PARAMETERS = 500
LARGEST_SCHEMA = 64 * 1024
_EFFECT = ("disable", "alert", "prevent", "ban")
_HOST = re.compile(r"(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_MARKER = re.compile(r"sealed:[0-9a-f]{32}")
_VARIABLE = re.compile(r"DEFENDER_WAAS_CERTIFICATE[A-Za-z0-9_]*")
_LARGEST_CERTIFICATE = 128 * 1024
_CERTIFICATE_FIELDS = ("plain", "encrypted")
PARAMETER_PLACES = ("path", "query", "cookie", "header", "body", "json", "xml", "formData", "multipart")
PARAMETER_TYPES = ("integer", "number", "string", "array", "boolean", "object")
STYLES = ("simple", "spaceDelimited", "tabDelimited", "pipeDelimited", "form", "matrix", "label", "deepObject")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """
    An application; `document` is the vendor's JSON in its normal form, without the certificate.

    `certificate` names the sealed certificate with its key, `given` is one that has just come (PEM), and `environment`
    names the variable of the Defender that holds one.
    """

    app_id: str
    document: dict[str, Any]
    certificate: str = ""
    given: str = ""
    environment: str = ""

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return f"Application({self.app_id!r})"


def _host(name: str) -> str:
    if not _HOST.fullmatch(name or "*"):
        raise ValueError(f"`{name[:64]}` is no host: a name is expected, with `*.` at its beginning for any below it")
    return name or "*"


def _path(path: str) -> str:
    found = path or "*"
    if not found.startswith(("/", "*")) or any(char in found for char in " ?#") or not found.isprintable():
        raise ValueError(f"`{found[:64]}` is no path: it begins with `/`, and `*` stands for any characters")
    return found


_endpoint = Shape(
    fields={
        "host": checked(_host, longest=300),
        "basePath": checked(_path, longest=2048),
        "exposedPort": port,
        "internalPort": port,
        "tls": flag(),
        "http2": flag(),
        "grpc": flag(),
    },
    needed=("exposedPort", "internalPort"),
)


def _reached(value: object, place: str, problems: list[str]) -> dict[str, Any]:
    found = _endpoint(value, place, problems)
    return {**found, "host": found["host"] or "*", "basePath": found["basePath"] or "*"}


def _number(value: object, place: str, problems: list[str]) -> float | int | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    problems.append(f"{place}: it has to be a number")
    return None


def _schema(value: object, place: str, problems: list[str]) -> dict[str, Any] | None:
    """Read a JSON Schema, which the Defender compiles; here only its size is looked at."""
    if value is None or (isinstance(value, dict) and len(msgspec.json.encode(value)) <= LARGEST_SCHEMA):
        return value
    problems.append(f"{place}: it has to be a JSON Schema, an object of at most {LARGEST_SCHEMA} bytes")
    return None


_parameter: Reader = Shape(
    fields={
        "name": text(longest=1024),
        "location": choice(*PARAMETER_PLACES),
        "type": choice(*PARAMETER_TYPES, default="string"),
        "style": choice(*STYLES),
        "min": _number,
        "max": _number,
        "required": flag(),
        "array": flag(),
        "explode": flag(),
        "allowEmptyValue": flag(),
        "schema": _schema,
    },
    needed=("name", "location"),
)
_paths: Reader = several(
    Shape(
        fields={
            "path": checked(_path, longest=2048),
            "methods": several(
                Shape(
                    fields={
                        "method": choice(*METHODS),
                        "parameters": several(_parameter, most=MOST_PARAMETERS),
                    },
                    needed=("method",),
                ),
                most=len(METHODS),
            ),
        },
        needed=("path",),
    ),
    most=MOST_PATHS,
)
_api = Shape(
    fields={
        "description": text(lines=True),
        "endpoints": several(_reached, most=MOST_ENDPOINTS),
        "paths": _paths,
        "effect": effect(*_EFFECT),
        "fallbackEffect": effect(*_EFFECT),
        "queryParamFallbackEffect": effect(*_EFFECT),
        "skipLearning": flag(),
    }
)


def api_spec(value: object, place: str, problems: list[str]) -> dict[str, Any]:
    """Read an `apiSpec`; bounds of parameters that are not set are left out."""
    found = _api(value, place, problems)
    for path in found["paths"]:
        for method in path["methods"]:
            method["parameters"] = [
                {name: part for name, part in item.items() if part is not None} for item in method["parameters"]
            ]
    return found


_certificate = Shape(
    fields={
        "plain": text(longest=_LARGEST_CERTIFICATE, lines=True),
        "encrypted": text(longest=64),
        "environment": text(longest=128),
    }
)
_application = Shape(
    fields={
        "appID": checked(label, longest=256),
        "apiSpec": api_spec,
        "banDurationMinutes": whole(1, 525_600, default=5),
        **dict.fromkeys(protections.GROUPS, protections.group),
        "body": protections.body,
        "intelGathering": protections.intelligence,
        "csrfEnabled": flag(),
        "clickjackingEnabled": flag(),
        "networkControls": protections.network_controls,
        "headerSpecs": protections.header_specs,
        "maliciousUpload": protections.uploads,
        "botProtectionSpec": protections.bots,
        "dosConfig": protections.dos,
        "customRules": protections.custom_rules,
        "responseHeaderSpecs": protections.response_headers,
        "customBlockResponse": protections.custom_block,
        "disableEventIDHeader": flag(),
        "sessionCookieEnabled": flag(),
        "sessionCookieBan": flag(),
        "sessionCookieSecure": flag(),
        "sessionCookieSameSite": choice("Lax", "Strict", "None", default="Lax"),
        "tlsConfig": protections.tls,
        "certificate": _certificate,
    },
    refused={
        "remoteHostForwarding": "it is for rules of whole hosts; a Defender forwards to its own workload only",
        "autoApplyPatchesSpec": "there are no virtual patches here, write a custom rule",
    },
    needed=("appID", "apiSpec"),
)


def application(value: object, place: str, problems: list[str]) -> Application:
    """Read one application, with what its fields say together."""
    document = _application(value, place, problems)
    certificate = document.pop("certificate")
    # What a policy does not name of our groups goes with the vendor's nearest: see `protections.NEAREST`.
    given = value if isinstance(value, dict) else {}
    document = {key: part for key, part in document.items() if key not in protections.OWN or given.get(key) is not None}
    document["tlsConfig"].pop("metadata")
    _together(document, certificate, place, problems)
    return Application(
        app_id=document["appID"],
        document=document,
        certificate="" if certificate["plain"] else certificate["encrypted"],
        given=certificate["plain"],
        environment=certificate["environment"],
    )


def _together(document: dict[str, Any], certificate: dict[str, str], place: str, problems: list[str]) -> None:
    endpoints = document["apiSpec"]["endpoints"]
    where = f"{place}.apiSpec.endpoints"
    if not endpoints:
        problems.append(f"{where}: an application without endpoints is reached nowhere")
    encrypted: dict[int, bool] = {}
    for index, endpoint in enumerate(endpoints):
        number = endpoint["exposedPort"]
        if number and number == endpoint["internalPort"]:
            problems.append(f"{where}[{index}].internalPort: the application cannot have the port {number} too")
        if number and encrypted.setdefault(number, endpoint["tls"]) != endpoint["tls"]:
            problems.append(f"{where}[{index}].tls: the port {number} is with TLS in one endpoint, without in another")
    _source(certificate, f"{place}.certificate", problems, needed=any(endpoint["tls"] for endpoint in endpoints))
    cookies = document["sessionCookieEnabled"]
    for name, asked in (
        ("sessionCookieBan", document["sessionCookieBan"]),
        ("dosConfig.trackSession", document["dosConfig"]["enabled"] and document["dosConfig"]["trackSession"]),
    ):
        if asked and not cookies:
            problems.append(f"{place}.{name}: sessions are known by a cookie, which `sessionCookieEnabled` turns on")
    _rates(document["dosConfig"], f"{place}.dosConfig", problems)


def _source(certificate: dict[str, str], place: str, problems: list[str], *, needed: bool) -> None:
    plain, kept, variable = (certificate[name] for name in ("plain", "encrypted", "environment"))
    if needed and not (plain or kept or variable):
        problems.append(f"{place}: an endpoint is with TLS, give certificate and key as PEM in `plain`")
    if variable and not _VARIABLE.fullmatch(variable):
        problems.append(
            f"{place}.environment: `{variable}` names no certificate of a Defender, whose variables begin with "
            "`DEFENDER_WAAS_CERTIFICATE`"
        )
    if variable and (plain or kept):
        problems.append(f"{place}.environment: the certificate is given twice, leave one out")
    if not plain and kept and not _MARKER.fullmatch(kept):
        problems.append(f"{place}.encrypted: another Console's secret cannot be read here, use `plain`")
    if plain and ("-----BEGIN CERTIFICATE-----" not in plain or "PRIVATE KEY-----" not in plain):
        problems.append(f"{place}.plain: certificate and private key are expected, both as PEM")


def _rates(dos: dict[str, Any], place: str, problems: list[str]) -> None:
    rates = [dos[kind][span] for kind in ("alert", "ban") for span in ("burst", "average")]
    if dos["enabled"] and not any(rates):
        problems.append(f"{place}: it is on, but no rate is given in `alert` or `ban`")
    for number, condition in enumerate(dos["matchConditions"]):
        for index, codes in enumerate(condition["responseCodeRanges"]):
            if codes["start"] > codes["end"]:
                problems.append(
                    f"{place}.matchConditions[{number}].responseCodeRanges[{index}]: "
                    f"`start` {codes['start']} is above `end` {codes['end']}"
                )
