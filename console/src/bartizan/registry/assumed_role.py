"""AWS roles: an access key is changed for the short-lived one of a role that it may assume."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

from bartizan.registry.access import Access, Credential
from bartizan.registry.ecr import ecr_registry
from bartizan.registry.errors import ImageError, RegistryFaultError

if TYPE_CHECKING:
    from collections.abc import Hashable

_MARGIN = 300.0
# STS API reference, AssumeRole: the shortest; a look-up takes seconds.
_SECONDS = 900


def assume_role(
    credential: Credential, role: str, *, host: str, access: Access, endpoint: str | None = None
) -> Credential:
    """Return the credential of `role`, for the registry `host`, by the key in `credential`.

    It is kept in `access.memory` until shortly before its end. `endpoint` replaces the address of STS. Raises
    `ImageError`, which never holds a key.
    """
    place = ecr_registry(host)
    region = credential.region or (place.region if place else "")
    if not region:
        raise ImageError(f"registry `{host}` has no region in its name: give one with the credential")
    key: Hashable = ("role", role, region, credential.user, hash(credential.secret))
    kept = access.memory.get(key)
    if kept is not None:
        found = json.loads(kept)
        if found["expires"] - _MARGIN > time.time():
            return _credential(found, region)
        access.memory.forget(key)
    found = _ask(credential, role, region, access, endpoint)
    access.memory.keep(key, json.dumps(found).encode())
    return _credential(found, region)


def _credential(found: dict[str, Any], region: str) -> Credential:
    return Credential(
        kind="ecr", user=found["user"], secret=found["secret"], session_token=found["token"], region=region
    )


def _ask(credential: Credential, role: str, region: str, access: Access, endpoint: str | None) -> dict[str, Any]:
    from botocore import session as sessions  # noqa: PLC0415 - 0.3 s that only this needs
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415

    patience = access.patience
    config = Config(
        connect_timeout=min(patience.connect, patience.total),
        read_timeout=min(patience.read, patience.total),
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    try:
        client = sessions.Session().create_client(
            "sts",
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=credential.user,
            aws_secret_access_key=credential.secret,
            config=config,
        )
        answer = client.assume_role(RoleArn=role, RoleSessionName="bartizan", DurationSeconds=_SECONDS)
    except ClientError as cause:
        code = cause.response.get("Error", {}).get("Code", "")
        raise ImageError(f"the role `{role}` cannot be assumed: AWS says `{code}`") from None
    except (BotoCoreError, HTTPClientError, ValueError) as cause:
        raise RegistryFaultError(f"AWS STS in `{region}` cannot be asked: {type(cause).__name__}") from None
    given = answer["Credentials"]
    expires = given["Expiration"]
    return {
        "user": str(given["AccessKeyId"]),
        "secret": str(given["SecretAccessKey"]),
        "token": str(given["SessionToken"]),
        "expires": expires.timestamp() if isinstance(expires, dt.datetime) else 0.0,
    }
