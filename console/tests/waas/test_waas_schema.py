"""What Defenders get of WAAS fits `contract/waas-policy.schema.json`."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waas.policies import application, certificate_pair, rule, tls
from tests.waas.test_waas_parsers import good_rules

from bartizan.policy import PolicyError, Workload
from bartizan.policy.firewall import (
    NetworkList,
    ScrubbingRule,
    Surroundings,
    parse_firewall,
    parse_scrubbing,
    resolve_firewall,
)

CONTRACT = Path(__file__).parents[3] / "contract"
SCHEMA = jsonschema.Draft202012Validator(json.loads((CONTRACT / "waas-policy.schema.json").read_text(encoding="utf-8")))
VECTORS = sorted((CONTRACT / "vectors/waas").glob("*.json"))
OFFICE = {"office": NetworkList(name="office", subnets=("192.0.2.0/24",))}


def policies(document: Any) -> list[dict[str, Any]]:
    """Return every policy in a document of vectors, wherever it stands."""
    if isinstance(document, list):
        return [found for item in document for found in policies(item)]
    if not isinstance(document, dict):
        return []
    own = [document["policy"]] if isinstance(document.get("policy"), dict) else []
    return own + [found for item in document.values() for found in policies(item)]


def resolved(*rules: dict[str, Any], scrubbing: tuple[ScrubbingRule, ...] = ()) -> dict[str, Any]:
    """Return what a Defender of `shop:1` gets of these rules."""
    policy = parse_firewall(json.dumps({"rules": rules}))
    around = Surroundings(networks=OFFICE, scrubbing=scrubbing, certificates={}, countries="192.0.2.0/24,NL\n")
    found = resolve_firewall(policy, [Workload(app_id="shop:1")], revision=3, around=around).policy
    return dict(json.loads(json.dumps(found)))


@pytest.mark.parametrize("path", [path for path in VECTORS if path.stem != "bad"], ids=lambda path: path.stem)
def test_policies_of_the_vectors_fit(path: Path) -> None:
    """The policies with which both sides try the firewall are such as the schema allows."""
    found = policies(json.loads(path.read_text(encoding="utf-8")))
    assert found
    for policy in found:
        SCHEMA.validate({"version": 1, "revision": 0, "rule": None, "applications": [], **policy})


@given(rules=st.lists(good_rules, max_size=2, unique_by=lambda item: item["name"]))
def test_whatever_is_resolved_fits(rules: list[dict[str, Any]]) -> None:
    """Every policy that the Console takes becomes one that the schema allows."""
    SCHEMA.validate(resolved(*rules))


def test_a_policy_with_everything_fits() -> None:
    """So does one in which every feature is used, with networks, countries, scrubbing and a certificate."""
    codes = {"start": 400, "end": 499}
    full = application(
        body={"inspectionSizeBytes": 1000, "inspectionLimitExceededEffect": "alert"},
        networkControls={
            "subnets": {"enabled": True, "prevent": ["office"], "fallbackEffect": "alert"},
            "countries": {"enabled": True, "alert": ["NL"]},
            "exceptionSubnets": ["198.51.100.0/24"],
        },
        headerSpecs=[{"name": "X-Client", "values": ["a*"], "allow": True, "required": True, "effect": "alert"}],
        maliciousUpload={"effect": "prevent", "allowedFileTypes": ["pdf"], "allowedExtensions": ["txt"]},
        dosConfig={
            "enabled": True,
            "alert": {"burst": 5},
            "ban": {"average": 50},
            "matchConditions": [{"methods": ["GET"], "fileTypes": [".png"], "responseCodeRanges": [codes]}],
            "excludedNetworkLists": ["office"],
        },
        customBlockResponse={"enabled": True, "code": 451, "body": "<p>#eventID</p>"},
        responseHeaderSpecs=[{"name": "X-A", "values": ["b"], "override": True}],
        intelGathering={"infoLeakageEffect": "prevent", "removeFingerprintsEnabled": True},
        xss={"effect": "ban", "exceptionFields": [{"location": "query", "key": "q"}]},
        sessionCookieEnabled=True,
        csrfEnabled=True,
    )
    scrubbing = parse_scrubbing('[{"name":"c","type":"pattern","pattern":"[0-9]{13}","placeholder":"[card]"}]')
    secured = tls("".join(certificate_pair()), appID="secured")
    found = resolved(
        rule("all", full, secured, trustedProxies=["office"], profile="crsStrict"),
        scrubbing=scrubbing,
    )
    SCHEMA.validate(found)
    assert found["sensitiveDataRules"][0]["placeholder"] == "[card]"
    assert "PRIVATE KEY" in found["applications"][1]["certificate"]["plain"]


def test_a_certificate_may_lie_in_the_environment() -> None:
    """The policy then names the Defender's variable and has no key; another name, or two sources, are refused."""
    name = "DEFENDER_WAAS_CERTIFICATE_SHOP"
    found = resolved(rule("a", {**tls(""), "certificate": {"environment": name}}))
    SCHEMA.validate(found)
    assert found["applications"][0]["certificate"] == {"environment": name}
    pem = "".join(certificate_pair())
    for certificate, said in (
        ({"environment": "INSTALL_BUNDLE"}, "names no certificate of a Defender"),
        ({"environment": name, "plain": pem}, "is given twice"),
        ({"environment": ""}, "an endpoint is with TLS"),
    ):
        with pytest.raises(PolicyError, match=said):
            resolved(rule("a", {**tls(""), "certificate": certificate}))


def test_the_schema_refuses_what_means_nothing() -> None:
    """A wrong effect, name of a list or kind of value does not pass: the schema is no empty promise."""
    good = resolved(rule("a", application()))
    for change in (
        {"forwardedFor": "sometimes"},
        {"applications": [{**good["applications"][0], "sqli": {"effect": "block"}}]},
        {"applications": [{**good["applications"][0], "certificate": {"environment": "PATH"}}]},
        {"readTimeoutSeconds": "5"},
        {"networkLists": ["office"]},
    ):
        assert not SCHEMA.is_valid({**good, **change}), change
