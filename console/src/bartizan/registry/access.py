"""How registries are reached: credentials, trust, limits (pure values; the sockets are in `outgoing`)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from bartizan.outgoing.network import Network
from bartizan.registry.errors import ImageError
from bartizan.registry.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Kind = Literal["basic", "token", "identity", "ecr", "jfrog"]
_UNSAFE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What opens one registry; no secret is in its `repr`.

    | kind | `user` | `secret` |
    |---|---|---|
    | `basic` | user name | password, or what a registry takes for one (access token, API key) |
    | `token` | | a bearer token, sent as it is (`registrytoken` of Docker's config file) |
    | `identity` | | an OAuth 2 refresh token, for the registry's token service only (`identitytoken`) |
    | `ecr` | access key id; empty means the chain of botocore | secret access key; `session_token` beside it |
    | `jfrog` | user name; empty means that the secret stands alone | password, API key or access token |

    `region` is for `ecr` only and needed only where the host name does not tell it. Raises `ImageError` when a user or
    secret cannot be sent.
    """

    kind: Kind
    user: str = ""
    secret: str = field(default="", repr=False)
    region: str = ""
    session_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what would be cut, or would end a header."""
        if self.kind in {"token", "identity"} and not self.secret:
            raise ImageError(f"a credential of kind `{self.kind}` needs a secret")
        alone = self.kind != "basic" and not (self.kind == "jfrog" and self.user)
        if alone and any(map(_UNSAFE.search, (self.user, self.secret, self.session_token))):
            raise ImageError(f"a credential of kind `{self.kind}` may hold printable ASCII without spaces only")
        if ":" in self.user and self.kind in {"basic", "jfrog"}:
            raise ImageError("a user name may not hold a colon (RFC 7617)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a registry may take, in seconds: to connect, per read, for one look-up as a whole, and for one layer.

    A registry that says when to come again (429 and 503 with `Retry-After`, RFC 9110 section 10.2.3) is asked again up
    to `retries` times if it wants no more than `longest_wait` seconds.
    """

    connect: float = 10.0
    read: float = 20.0
    total: float = 60.0
    layer: float | None = None
    retries: int = 2
    longest_wait: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How registries are reached.

    `credentials` gives the `Credential` of a registry, or None; it is asked with the host (and port) as references have
    it, `docker.io` for Docker Hub. `insecure` hosts may be spoken to without TLS, as loopback may. `ca_bundle` is a PEM
    file to trust, `ca_pem` the same as text; without either the authorities of the system are trusted. Blobs of layers
    are kept in `cache` while they are unpacked.

    `allow_private` says whether a registry may have an address that is not public. The Console turns it off, so that an
    image named in somebody's task definition cannot make it talk to its neighbours, and lists the hosts that are meant
    to be private in `private_hosts`. Link-local addresses, where clouds keep their metadata, are never spoken to, and
    no redirect or token service leads from a public registry to a private address, whatever the switch says.

    `chain` allows Amazon ECR to be asked with the credentials that botocore finds by itself when `credentials` has
    none; `ecr_endpoint` replaces the address of ECR's API. `memory` keeps configurations and the
    passwords of ECR. `wait` sleeps between tries.
    """

    credentials: Callable[[str], Credential | None] = field(default=lambda _host: None, repr=False)
    insecure: frozenset[str] = frozenset()
    ca_bundle: Path | None = None
    ca_pem: str = ""
    cache: Path | None = None
    largest_blob: int = 8 << 30
    allow_private: bool = True
    private_hosts: frozenset[str] = frozenset()
    chain: bool = False
    ecr_endpoint: str | None = None
    patience: Patience = field(default_factory=Patience)
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)
    network: Network = field(default_factory=Network, repr=False, compare=False)
    wait: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)

    def with_credentials(self, credentials: Callable[[str], Credential | None]) -> Access:
        """Return the same access with other credentials."""
        return replace(self, credentials=credentials)
