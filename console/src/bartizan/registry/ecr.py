"""Amazon ECR: which hosts are its registries, and the password that its API gives for one.

A private registry is `<account>.dkr.ecr.<region>.amazonaws.com`, `.com.cn` in China, `dkr.ecr-fips` for FIPS, and
`<account>.dkr-ecr.<region>.on.aws` with both IP versions (AWS, "Amazon ECR private registry" and "service endpoints").
`public.ecr.aws` needs nothing of this: it hands out anonymous tokens like any other registry.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import functools
import hashlib
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bartizan.registry.access import Access, Credential
from bartizan.registry.errors import ImageError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr(?:\.ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"|-ecr(?P<fips2>-fips)?\.(?P<region2>[a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.com\.cn))"
)
_REGION = re.compile(r"[a-z]{2,3}(?:-[a-z]+)+-[0-9]{1,2}")
_MARGIN = 300.0


@dataclass(frozen=True, slots=True)
class EcrRegistry:
    """One private registry: the account that owns it, its region, and whether it is asked by FIPS endpoints."""

    account: str
    region: str
    fips: bool


def ecr_registry(host: str) -> EcrRegistry | None:
    """Return what the host name of a private ECR registry says, or None for every other host (pure)."""
    found = _HOST.fullmatch(host.lower())
    region = (found["region"] or found["region2"]) if found else ""
    if found is None or not _REGION.fullmatch(region):
        return None
    return EcrRegistry(found["account"], region, fips=bool(found["fips"] or found["fips2"]))


def ecr_password(host: str, credential: Credential | None, access: Access, *, fresh: bool = False) -> Credential:
    """Ask ECR's `GetAuthorizationToken` for the user and password of `host`, good for twelve hours.

    Without `credential`, or with one that has no key, botocore's chain is used: environment, profile, task or instance
    role. The answer is kept in `access.memory` until shortly before it expires; `fresh` asks again.

    Raises `ImageError`.
    """
    place = ecr_registry(host)
    region = (credential.region if credential else "") or (place.region if place else "")
    if not _REGION.fullmatch(region):
        raise ImageError(f"registry `{host}` has no region in its name: give one with the credential")
    secret = f"{credential.user}\n{credential.secret}\n{credential.session_token}" if credential else ""
    key = ("ecr", host, region, hashlib.sha256(secret.encode()).digest())
    with access.memory.turn:  # several images of one registry need one call
        kept = None if fresh else _kept(access, key)
        if kept is not None:
            return kept
        entry = _ask(place or EcrRegistry("", region, fips=False), region, credential, access)
        password, expires = _read(entry, host)
        content = {"user": password.user, "secret": password.secret, "expires": expires}
        access.memory.keep(key, json.dumps(content).encode())
    return password


def _kept(access: Access, key: Hashable) -> Credential | None:
    content = access.memory.get(key)
    if content is None:
        return None
    found = json.loads(content)
    if found["expires"] - _MARGIN < time.time():
        access.memory.forget(key)
        return None
    return Credential(kind="basic", user=found["user"], secret=found["secret"])


def _ask(place: EcrRegistry, region: str, credential: Credential | None, access: Access) -> Mapping[str, object]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415 - 0.3 s for ECR alone

    given = credential or Credential(kind="ecr")
    try:
        client = _client(region, given, access, fips=place.fips)
        answer = client.get_authorization_token(**({"registryIds": [place.account]} if place.account else {}))
    except ClientError as cause:
        error = cause.response.get("Error", {})
        words = str(error.get("Message", ""))[:200]
        said = f": {words}" if words and "<" not in words else ""  # a web page is no help
        raise ImageError(f"Amazon ECR in `{region}` gives no password: {error.get('Code', '')}{said}") from None
    except (BotoCoreError, HTTPClientError, ValueError) as cause:
        raise _unasked(region, cause) from None
    entries = answer.get("authorizationData") or [{}]
    return dict(entries[0])


def _client(region: str, given: Credential, access: Access, *, fips: bool) -> Any:  # noqa: ANN401 - made at run time
    from botocore import session as sessions  # noqa: PLC0415 - as above
    from botocore.config import Config  # noqa: PLC0415

    patience = access.patience
    config = Config(
        connect_timeout=min(patience.connect, patience.total),
        read_timeout=min(patience.read, patience.total),
        retries={"total_max_attempts": 2, "mode": "standard"},
        use_fips_endpoint=fips,
    )
    session = sessions.Session()
    session.register_component("data_loader", _api_descriptions())
    return session.create_client(
        "ecr",
        region_name=region,
        endpoint_url=access.ecr_endpoint,
        aws_access_key_id=given.user or None,
        aws_secret_access_key=given.secret if given.user else None,
        aws_session_token=(given.session_token or None) if given.user else None,
        verify=str(access.ca_bundle) if access.ca_bundle and access.ecr_endpoint else None,
        config=config,
    )


@functools.cache
def _api_descriptions() -> Any:  # noqa: ANN401 - botocore has no types
    """Read botocore's descriptions of AWS once: they are most of what a client costs."""
    from botocore.loaders import create_loader  # noqa: PLC0415 - as above

    return create_loader()


def _unasked(region: str, cause: Exception) -> ImageError:
    name, words = type(cause).__name__, f"Amazon ECR in `{region}` cannot be asked for a password: {_say(cause)}"
    if name in {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}:
        return UnreachableError(words, timed_out="Timeout" in name)
    return ImageError(words)


def _say(cause: Exception) -> str:
    """Keep the words of an error of botocore that can hold no secret."""
    known = {
        "NoCredentialsError": "no AWS credentials were found",
        "PartialCredentialsError": "the AWS credentials lack a part",
        "EndpointConnectionError": "its address cannot be reached",
        "ConnectTimeoutError": "it does not answer in time",
        "ReadTimeoutError": "it does not answer in time",
        "ProfileNotFound": "the AWS profile does not exist",
    }
    return known.get(type(cause).__name__, f"see the AWS settings ({type(cause).__name__})")


def _read(entry: Mapping[str, object], host: str) -> tuple[Credential, float]:
    try:
        text = base64.b64decode(str(entry.get("authorizationToken", "")), validate=True).decode()
    except (ValueError, binascii.Error):
        text = ""
    user, _, secret = text.partition(":")
    if not (user and secret):
        raise ImageError(f"Amazon ECR gave no password for `{host}` that can be read")
    expires = entry.get("expiresAt")
    seconds = expires.timestamp() if isinstance(expires, dt.datetime) else 0.0
    return Credential(kind="basic", user=user, secret=secret), seconds
