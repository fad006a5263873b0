"""
Signing in by an identity provider: OpenID Connect's authorization code flow with PKCE.

Encoded are OpenID Connect Core 1.0 (sections 3.1.2, 3.1.3.7), Discovery 1.0 (section 4.3), RFC 7636 (PKCE, S256),
RFC 9207 (`iss` of the answer) and RFC 9700 (one use of `state`, bound to the browser that began).
"""

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bartizan.services.accounts import check_name
from bartizan.services.credentials import Box
from bartizan.services.directory import Directory, UserRecord
from bartizan.services.errors import ForbiddenError, InvalidError, UnauthorizedError, UpstreamError
from bartizan.services.interfaces import Clock, SettingStore
from bartizan.services.outgoing import OutgoingClient, OutgoingRequest

CALLBACK = "/api/v1/session/oidc/callback"
_KEY = "oidc"
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
_PENDING_LIFE = 10 * 60 * 1000
_MOST_PENDING = 1000
_METADATA_LIFE = 10 * 60 * 1000
_SKEW_SECONDS = 60
_MOST_GROUPS = 1000
_LONGEST = 2048
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """How the identity provider is asked; `redirect_uri` is the Console's own address, as registered there."""

    enabled: bool = False
    issuer: str = ""
    client_id: str = ""
    redirect_uri: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email", "groups")
    username_claim: str = "preferred_username"
    groups_claim: str = "groups"
    ca_pem: str = ""
    sealed_secret: bytes = field(default=b"", repr=False)

    @property
    def place(self) -> str:
        """What the sealed secret belongs to: it opens for this client of this provider alone."""
        return f"oidc\0{self.issuer}\0{self.client_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInStart:
    """Where the browser goes, and what it keeps in a cookie until it comes back."""

    url: str
    browser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    browser: bytes
    nonce: str
    verifier: str
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    authorization: str
    token: str
    keys: str
    read: int


class Oidc:
    """The sign-in by the identity provider of one Console."""

    def __init__(
        self, directory: Directory, stored: SettingStore, box: Box, client: OutgoingClient, *, clock: Clock
    ) -> None:
        self._directory = directory
        self._stored = stored
        self._box = box
        self._client = client
        self._clock = clock
        self._pending: OrderedDict[bytes, _Pending] = OrderedDict()
        self._provider: _Provider | None = None
        text = stored.get(_KEY)
        self.settings = msgspec.json.decode(text, type=OidcSettings) if text else OidcSettings()

    async def configure(self, settings: OidcSettings, secret: str) -> None:
        """
        Put settings in force; an empty secret keeps the present one.

        Raises InvalidError, also when the secret would be kept for another provider or client than it was given for.
        """
        _check(settings)
        present = self.settings
        if secret:
            sealed = self._box.seal(secret, belongs_to=settings.place)
        elif present.sealed_secret and present.place != settings.place:
            raise InvalidError("`clientSecret`: another issuer or client takes the secret again")
        else:
            sealed = present.sealed_secret
        settings = dataclasses.replace(settings, sealed_secret=sealed)
        if settings.enabled:
            await asyncio.to_thread(self._discover, settings)
        await asyncio.to_thread(self._stored.put, _KEY, msgspec.json.encode(settings).decode())
        self.settings, self._provider = settings, None
        self._pending.clear()

    async def start(self) -> SignInStart:
        """Return where to send a browser. Raises ForbiddenError when this way is off, UpstreamError."""
        settings = self._enabled()
        provider = await self._found(settings)
        state, browser, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        challenge = base64.urlsafe_b64encode(_digest(verifier)).rstrip(b"=").decode()
        self._pending[_digest(state)] = _Pending(
            browser=_digest(browser), nonce=nonce, verifier=verifier, expires=self._clock() + _PENDING_LIFE
        )
        while len(self._pending) > _MOST_PENDING:
            self._pending.popitem(last=False)
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": settings.redirect_uri,
            "scope": " ".join(settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        mark = "&" if urlsplit(provider.authorization).query else "?"
        return SignInStart(url=provider.authorization + mark + urlencode(query), browser=browser)

    async def finish(self, answer: Mapping[str, str], *, browser: str) -> str:
        """
        Return the name of the user whom the provider sent back, kept with the role of the first group that fits.

        Raises UnauthorizedError, ForbiddenError for somebody without a role here, UpstreamError.
        """
        settings = self._enabled()
        pending = self._pending.pop(_digest(answer.get("state", "")), None)
        if pending is None or pending.expires <= self._clock():
            raise UnauthorizedError("this sign-in was not begun here, or too long ago: begin again")
        if not hmac.compare_digest(pending.browser, _digest(browser)):
            raise UnauthorizedError("this sign-in was begun in another browser: begin again")
        if answer.get("iss", settings.issuer) != settings.issuer:
            raise UnauthorizedError("the answer is of another identity provider")
        if "error" in answer or not answer.get("code"):
            raise UnauthorizedError("the identity provider refused the sign-in")
        provider = await self._found(settings)
        token = await asyncio.to_thread(self._redeem, settings, provider, answer["code"], pending.verifier)
        claims = await asyncio.to_thread(self._claims, settings, provider, token)
        check_claims(claims, issuer=settings.issuer, client=settings.client_id, nonce=pending.nonce, now=self._clock())
        return await self._keep(settings, claims)

    async def _keep(self, settings: OidcSettings, claims: Mapping[str, Any]) -> str:
        name, given = claims.get(settings.username_claim), claims.get(settings.groups_claim, [])
        if not isinstance(name, str):
            raise ForbiddenError(f"the identity provider says no `{settings.username_claim}`")
        check_name(name)
        groups = {item for item in given[:_MOST_GROUPS] if isinstance(item, str)} if isinstance(given, list) else set()
        async with self._directory.lock:
            ordered = sorted(self._directory.groups.values(), key=lambda item: item.position)
            group = next((item for item in ordered if item.oidc_group and item.oidc_group in groups), None)
            if group is None:
                raise ForbiddenError(f"no group of `{name[:_LONGEST_NAME]}` has a role in this Console")
            old, now = self._directory.users.get(name), self._clock()
            if old is not None and old.auth_type != "oidc":
                raise ForbiddenError(f"`{name}` is a user with a password here, and signs in by that")
            record = old or UserRecord(name=name, role=group.role, auth_type="oidc", created=now, modified=now)
            await self._directory.put_user(
                dataclasses.replace(record, role=group.role, collections=group.collections, last_login=now)
            )
        return name

    def _enabled(self) -> OidcSettings:
        if not self.settings.enabled:
            raise ForbiddenError("signing in by an identity provider is not set up")
        return self.settings

    async def _found(self, settings: OidcSettings) -> _Provider:
        if self._provider is None or self._clock() - self._provider.read > _METADATA_LIFE:
            self._provider = await asyncio.to_thread(self._discover, settings)
        return self._provider

    def _discover(self, settings: OidcSettings) -> _Provider:
        url = settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = self._asked(OutgoingRequest(method="GET", url=url, ca_pem=settings.ca_pem))
        if found.get("issuer") != settings.issuer:
            raise UpstreamError("the identity provider names another `issuer` than the settings")
        places = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if not all(isinstance(place, str) and urlsplit(place).scheme == "https" for place in places):
            raise UpstreamError("the identity provider's description lacks an https endpoint")
        authorization, token, keys = map(str, places)
        return _Provider(authorization=authorization, token=token, keys=keys, read=self._clock())

    def _redeem(self, settings: OidcSettings, provider: _Provider, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_uri,
            "code_verifier": verifier,
            "client_id": settings.client_id,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if settings.sealed_secret:
            secret = self._box.open(settings.sealed_secret, belongs_to=settings.place)
            # RFC 6749, section 2.3.1: both are form-encoded first.
            pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        request = OutgoingRequest(
            method="POST", url=provider.token, headers=headers, body=urlencode(form).encode(), ca_pem=settings.ca_pem
        )
        token = self._asked(request).get("id_token")
        if not isinstance(token, str):
            raise UpstreamError("the identity provider gave no `id_token`")
        return token

    def _claims(self, settings: OidcSettings, provider: _Provider, token: str) -> dict[str, Any]:
        keys = self._asked(OutgoingRequest(method="GET", url=provider.keys, ca_pem=settings.ca_pem))
        try:
            return dict(jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError):
            raise UnauthorizedError("the identity provider's token is not signed as it has to be") from None

    def _asked(self, request: OutgoingRequest) -> dict[str, Any]:
        answer = self._client.send(request)
        try:
            found = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if answer.status != 200 or not isinstance(found, dict):  # noqa: PLR2004 - HTTP
            raise UpstreamError(f"the identity provider answered with status {answer.status}, and not as it should")
        return found


def check_claims(claims: Mapping[str, Any], *, issuer: str, client: str, nonce: str, now: int) -> None:
    """Raise UnauthorizedError for a token of somebody else, for somebody else, or of another time (Core, 3.1.3.7)."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if claims.get("iss") != issuer:
        raise UnauthorizedError("the token is of another identity provider")
    if not isinstance(audiences, list) or client not in audiences:
        raise UnauthorizedError("the token is for another client")
    party = claims.get("azp")
    if (len(audiences) > 1 and party is None) or party not in (None, client):
        raise UnauthorizedError("the token was given to another client")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise UnauthorizedError("the token is of another sign-in")
    ends, given_at, begins = (_seconds(claims, name) for name in ("exp", "iat", "nbf"))
    seconds = now / 1000
    if ends is None or ends + _SKEW_SECONDS <= seconds:
        raise UnauthorizedError("the token has ended, or says no `exp`")
    if given_at is None or max(given_at, begins or 0) - _SKEW_SECONDS >= seconds:
        raise UnauthorizedError("the token is of the future, or says no `iat`: compare the clocks")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    time = claims.get(name)
    return time if isinstance(time, int | float) and not isinstance(time, bool) else None


def _check(settings: OidcSettings) -> None:
    for name, value in (("issuer", settings.issuer), ("redirectURI", settings.redirect_uri)):
        place = urlsplit(value if len(value) <= _LONGEST else "")
        if settings.enabled and (place.scheme != "https" or not place.netloc or place.query or place.fragment):
            raise InvalidError(f"`{name}` has to be an address like `https://example.com/path`")
    if settings.enabled and not settings.redirect_uri.endswith(CALLBACK):
        raise InvalidError(f"`redirectURI` is the Console's own address and `{CALLBACK}`")
    if settings.enabled and not settings.client_id:
        raise InvalidError("`clientID` is missing")
    if "openid" not in settings.scopes:
        raise InvalidError("`scopes` have `openid` among them")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
