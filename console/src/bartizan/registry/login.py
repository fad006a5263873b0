"""Logging in to one registry: basic, bearer tokens from a token service, Amazon ECR and Artifactory.

Rules: RFC 7617, RFC 6750; distribution `docs/spec/auth/token.md` and `oauth.md`.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import httpx

from bartizan.registry.artifactory import artifactory_headers
from bartizan.registry.challenge import Challenge, parse_challenges
from bartizan.registry.ecr import ecr_password, ecr_registry
from bartizan.registry.errors import ImageError, RegistryFaultError
from bartizan.registry.image import parse_json
from bartizan.registry.transport import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bartizan.registry.access import Access, Credential
    from bartizan.registry.transport import Answer, Transport

_LARGEST_TOKEN = 1 << 20
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_SCHEMES = ("bearer", "basic")


class Login:
    """What one registry is shown: `headers` before and after its challenge has been answered.

    `registry` is the registry's name, for which `access.credentials` is asked.
    """

    def __init__(self, registry: str, access: Access) -> None:
        self._registry = registry
        self._access = access
        self._credential = access.credentials(registry)
        self._renewed = False
        self.headers: Mapping[str, str] = self._first()

    @property
    def has_credential(self) -> bool:
        """Whether there is anything to log in with."""
        return self._credential is not None or self._is_ecr()

    @property
    def challenges(self) -> tuple[int, ...]:
        """The statuses that are worth an answer: ECR says 403 of a password that has expired."""
        return (401, 403) if self._is_ecr() and not self._renewed else (401,)

    @property
    def is_artifactory(self) -> bool:
        """Whether the credential says that this is an Artifactory."""
        return self._credential is not None and self._credential.kind == "jfrog"

    def forget(self) -> None:
        """Drop a token, which was for another repository."""
        self.headers = self._first()

    def answer(self, challenge: str, *, repository: str, registry: httpx.URL, transport: Transport) -> None:
        """Answer a `WWW-Authenticate` of `registry`, so that `headers` opens `repository`. Raises `ImageError`."""
        if self._is_ecr() and not self._renewed:
            self._renewed = True
            self.headers = _basic(ecr_password(self._registry, self._credential, self._access, fresh=True))
            return
        if self.headers and self._credential is not None and self._first():
            raise ImageError(f"registry `{self._registry}` refuses the credentials")
        offered = {item.scheme: item for item in reversed(parse_challenges(challenge))}
        scheme = next((name for name in _SCHEMES if name in offered), None)
        if scheme is None:
            names = ", ".join(f"`{name}`" for name in sorted(offered)) or "none that is named"
            raise ImageError(f"registry `{self._registry}` wants authentication of a kind unknown here: {names}")
        if scheme == "bearer":
            self.headers = self._token(offered[scheme], repository, registry, transport)
        elif self._credential is None:
            raise ImageError(f"registry `{self._registry}` wants a password: give credentials for it")
        elif self._credential.kind == "identity":
            raise ImageError(f"registry `{self._registry}` wants a password: an identity token does not do here")
        else:
            self.headers = _basic(self._credential)

    def _first(self) -> Mapping[str, str]:
        """Return what is sent without being asked: what no challenge could tell us how to use."""
        credential = self._credential
        if self._is_ecr():
            return _basic(ecr_password(self._registry, credential, self._access))
        if credential is None:
            return {}
        if credential.kind == "token":
            return {"authorization": f"Bearer {credential.secret}"}
        return artifactory_headers(credential) if credential.kind == "jfrog" else {}

    def _is_ecr(self) -> bool:
        if self._credential is not None:
            return self._credential.kind == "ecr"
        return self._access.chain and ecr_registry(self._registry) is not None

    def _token(
        self, challenge: Challenge, repository: str, registry: httpx.URL, transport: Transport
    ) -> Mapping[str, str]:
        """Fetch a token from the service that the registry names.

        The service may be on another host, as Docker Hub's is: the user trusts the registry with the password, and it
        could ask for it outright, so naming a service gives it nothing new; this is Docker's rule. But that trust ends
        at the registry's own line: the service must be spoken to over TLS, since a name in a header that somebody on
        the way could read must not be enough to read the password too. Plain HTTP is for a registry that was itself
        reached so, and for a service on the very same host. No redirect is shown the password.
        """
        realm = self._realm(challenge, registry, transport)
        query = {"scope": f"repository:{repository}:pull"}
        if service := challenge.parameters.get("service"):
            query["service"] = service
        credential = self._credential
        if credential is not None and credential.kind == "identity":
            form = query | {"grant_type": "refresh_token", "client_id": "bartizan", "refresh_token": credential.secret}
            with transport.post(realm, form) as answer:
                return {"authorization": f"Bearer {self._read(answer, realm)}"}
        secrets = _basic(credential) if credential is not None else {}
        url = realm.copy_merge_params(query | ({"account": credential.user} if credential is not None else {}))
        with transport.get(url, headers={"accept": "application/json"}, secrets=secrets) as answer:
            return {"authorization": f"Bearer {self._read(answer, realm)}"}

    def _realm(self, challenge: Challenge, registry: httpx.URL, transport: Transport) -> httpx.URL:
        try:
            realm = httpx.URL(challenge.parameters.get("realm", ""))
        except httpx.InvalidURL:
            realm = httpx.URL("")
        if not host_of(realm) or realm.scheme not in {"http", "https"}:
            raise RegistryFaultError(f"registry `{self._registry}` names no token service that can be asked")
        same_plain = registry.scheme == "http" and host_of(realm) == host_of(registry) and transport.may_be_plain(realm)
        if realm.scheme != "https" and not same_plain:
            raise ImageError(
                f"registry `{self._registry}` names the token service `http://{host_of(realm)}`: it must be https"
            )
        return realm.copy_with(username=None, password=None, fragment=None)

    def _read(self, answer: Answer, realm: httpx.URL) -> str:
        if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise ImageError(
                f"registry `{self._registry}`: the credentials are refused by its token service `{host_of(realm)}`"
            )
        if answer.status != httpx.codes.OK:
            raise RegistryFaultError(
                f"the token service `{host_of(realm)}` of `{self._registry}` answers {answer.status}"
            )
        document = parse_json(
            answer.read(_LARGEST_TOKEN, "the token"), f"the answer of the token service `{host_of(realm)}`"
        )
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise RegistryFaultError(f"the token service `{host_of(realm)}` gave no token")
        return token


def _basic(credential: Credential) -> Mapping[str, str]:
    text = f"{credential.user}:{credential.secret}".encode()
    return {"authorization": "Basic " + base64.b64encode(text).decode("ascii")}
