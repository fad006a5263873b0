"""Bodies of credentials and registries: whatever JSON comes, it is understood or refused by name."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bartizan.api.reading import fitted
from bartizan.api.routes.credentials import _parsed as parsed_credential
from bartizan.api.routes.registries import _parsed as parsed_registry
from bartizan.api.shapes import CredentialChange, RegistrySpecification
from bartizan.services.credentials import Credential
from bartizan.services.credentials import check as check_credential
from bartizan.services.errors import InvalidError
from bartizan.services.registries import Registry
from bartizan.services.registries import check as check_registry

T = TypeVar("T")
SECRET = "tr0ub4dor-that-must-not-show"
_leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(SECRET)
_json = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def bodies(shape: Any, **likely: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with fields of a shape, of the vendor, and of nobody."""
    names = [*(field.encode_name for field in msgspec.structs.fields(shape)), "useAWSRole", "surprise"]
    values = {name: likely.get(name, st.nothing()) | _json for name in names}
    return st.fixed_dictionaries({}, optional=values)


_secret = st.fixed_dictionaries({"plain": st.just(SECRET) | st.text(max_size=5)})


def outcome(understand: Callable[[dict[str, Any]], T], body: dict[str, Any]) -> T | str:
    """Return what a body is understood as, or the words it is refused with."""
    try:
        return understand(json.loads(json.dumps(body)))
    except InvalidError as error:
        return str(error)


def credential_of(body: dict[str, Any]) -> tuple[Credential, str]:
    """Understand a credential as the route does."""
    change = fitted(body, CredentialChange)
    credential, secret = parsed_credential(change, change.id)
    check_credential(credential, secret)
    return credential, secret


def registry_of(body: dict[str, Any]) -> Registry:
    """Understand a registry as the route does."""
    registry = parsed_registry(body, "")
    check_registry(registry)
    return registry


@given(
    body=bodies(
        CredentialChange,
        type=st.sampled_from(["basic", "aws", "ecr", "apiToken", "jfrog"]),
        _id=st.just("shop"),
        accountID=st.just("robot"),
        secret=_secret,
        apiToken=_secret,
        url=st.sampled_from(["", "https://registry.test", "docker.io"]),
    )
)
def test_a_credential_is_understood_or_refused_without_its_secret(body: dict[str, Any]) -> None:
    """Any object becomes a credential, or one error of ours that does not hold the secret."""
    result = outcome(credential_of, body)
    if isinstance(result, str):
        assert result
        assert SECRET not in result
    else:
        assert result[0].id == body["_id"]
        assert result[1] in json.dumps(body, ensure_ascii=False)


@given(
    body=bodies(
        RegistrySpecification,
        version=st.sampled_from(["2", "aws", "jfrog", "dockerhub"]),
        registry=st.sampled_from(["", "https://registry.test", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"]),
        repository=st.sampled_from(["", "team/*"]),
        os=st.just("linux"),
    )
)
def test_a_registry_is_understood_or_refused(body: dict[str, Any]) -> None:
    """Any object becomes a specification with the values that were given, or one error of ours."""
    result = outcome(registry_of, body)
    if isinstance(result, str):
        assert result
    else:
        assert (result.version, result.url) == (body["version"], body.get("registry") or "")
