"""
Credentials for registries: kept sealed, used by look-ups, never given back.

A secret goes to one place only: its credential's `url`, or without one the registries whose settings name it (an AWS
key goes to Amazon alone). What decides the place cannot be changed without giving the secret again, so that nobody who
may edit a credential can have its secret sent to a machine of theirs.
"""

import asyncio
import dataclasses
import enum
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from bartizan.services.errors import ConflictError, InvalidError, MissingError, UnavailableError
from bartizan.services.interfaces import Clock
from bartizan.services.registry_hosts import ecr_region, registry_host

_log = logging.getLogger(__name__)
MOST_CREDENTIALS = 1000
# An id is a segment of a path and a value of a query.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,199}")
_LONGEST = 2048
_LONGEST_SECRET = 16 * 1024
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
# IAM user guide, "IAM identifiers": roles.
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}")


class CredentialType(enum.StrEnum):
    """What a credential is; `ecr` is an AWS key that is for Amazon ECR, `jfrog` a token of Artifactory."""

    BASIC = "basic"
    AWS = "aws"
    ECR = "ecr"
    API_TOKEN = "apiToken"  # noqa: S105 - a name
    JFROG = "jfrog"

    @property
    def is_aws(self) -> bool:
        """Whether the secret belongs to an AWS access key."""
        return self in {CredentialType.AWS, CredentialType.ECR}

    @property
    def is_token(self) -> bool:
        """Whether the secret is a token that needs no user."""
        return self in {CredentialType.API_TOKEN, CredentialType.JFROG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """
    All of a credential but its secret; times are unix milliseconds.

    `account` is the user's name or the AWS access key's id, `host` the only registry that the secret may go to (empty:
    those whose settings name the credential). Raises InvalidError for what cannot be right.
    """

    id: str
    type: CredentialType
    account: str = ""
    host: str = ""
    url: str = ""
    region: str = ""
    role_arn: str = ""
    description: str = ""
    account_name: str = ""
    owner: str = ""
    created: int = 0
    modified: int = 0

    @property
    def destination(self) -> tuple[str, ...]:
        """What decides whom the secret is shown to."""
        return (self.type.value, self.account, self.host, self.role_arn)

    @property
    def place(self) -> str:
        """What the sealed secret belongs to; it opens nowhere else, and for no other destination."""
        return "\0".join(("credential", self.id, "secret", *self.destination))


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCredential:
    """A credential as it is stored; `key` is the row's own id."""

    credential: Credential
    secret: bytes
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCredential:
    """A credential that is being used."""

    credential: Credential
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Who uses a credential."""

    type: str
    description: str


class CredentialStore(Protocol):
    """The sealed credentials."""

    def all(self) -> list[SealedCredential]:
        """Return all credentials."""
        ...

    def one(self, credential: str) -> SealedCredential | None:
        """Return a credential."""
        ...

    def put(self, sealed: SealedCredential) -> None:
        """Add or replace a credential."""
        ...

    def remove(self, credential: str) -> None:
        """Remove a credential."""
        ...


class Box(Protocol):
    """Seals secrets for the place that they belong to."""

    def seal(self, text: str, *, belongs_to: str) -> bytes:
        """Return the text sealed."""
        ...

    def open(self, sealed: bytes, *, belongs_to: str) -> str:
        """Return the text; raise an exception that says why it does not open."""
        ...

    def is_current(self, sealed: bytes) -> bool:
        """Return whether the newest key sealed this."""
        ...

    def add_key(self) -> None:
        """Make a new key that seals from now on."""
        ...

    def drop_old_keys(self) -> None:
        """Forget all keys but the newest."""
        ...


class Credentials:
    """
    The credential store of a Console. `box_error` is what the box raises for a secret that does not open.

    `usages` are asked who uses a credential before it goes.
    """

    def __init__(self, store: CredentialStore, box: Box, *, box_error: type[Exception], clock: Clock) -> None:
        self._store = store
        self._box = box
        self._box_error = box_error
        self._clock = clock
        self._lock = asyncio.Lock()
        self._users: list[Callable[[str], Sequence[Usage]]] = []
        self._known = {sealed.key: sealed.credential for sealed in store.all()}

    def add_user(self, usages: Callable[[str], Sequence[Usage]]) -> None:
        """Add somebody who uses credentials, so that none is removed under them."""
        self._users.append(usages)

    def all(self) -> list[Credential]:
        """Return all credentials, by their ids."""
        return [self._known[key] for key in sorted(self._known)]

    def one(self, credential: str) -> Credential:
        """Return a credential. Raises MissingError."""
        found = self._known.get(credential)
        if found is None:
            raise MissingError(f"there is no credential `{credential[:200]}`")
        return found

    def usages(self, credential: str) -> list[Usage]:
        """Return who uses a credential. Raises MissingError."""
        self.one(credential)
        return [usage for users in self._users for usage in users(credential)]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let no credential come or go for the while: for whoever is about to use one by name."""
        async with self._lock:
            yield

    async def put(self, credential: Credential, secret: str, *, author: str) -> None:
        """
        Add or replace a credential; an empty secret keeps the present one.

        Raises InvalidError when there is none to keep, or when it would be shown to somebody else than before.
        """
        check(credential, secret)
        async with self._lock:
            now = self._clock()
            old = self._known.get(credential.id)
            if old is None and len(self._known) >= MOST_CREDENTIALS:
                raise InvalidError(f"there are {MOST_CREDENTIALS} credentials, no more are possible")
            made = dataclasses.replace(
                credential, owner=author, created=old.created if old is not None else now, modified=now
            )
            sealed = await asyncio.to_thread(self._sealed, made, secret, old)
            await asyncio.to_thread(self._store.put, sealed)
            self._known[made.id] = made
        _log.info("credential `%s` was %s by `%s`", made.id, "added" if old is None else "changed", author)

    async def remove(self, credential: str, *, author: str) -> None:
        """Remove a credential. Raises MissingError, or ConflictError that names who uses it."""
        async with self._lock:
            usages = self.usages(credential)
            if usages:
                names = ", ".join(usage.description for usage in usages[:10])
                raise ConflictError(f"credential `{credential}` is in use by {names}: take it out there first")
            await asyncio.to_thread(self._store.remove, credential)
            del self._known[credential]
        _log.info("credential `%s` was removed by `%s`", credential, author)

    async def open(self, credential: str) -> OpenCredential:
        """Return a credential with its secret. Raises MissingError, or UnavailableError when it does not open."""
        sealed = await asyncio.to_thread(self._store.one, credential)
        if sealed is None:
            raise MissingError(f"there is no credential `{credential[:200]}`")
        try:
            secret = await asyncio.to_thread(self._opened, sealed)
        except self._box_error as error:
            raise UnavailableError(
                f"the secret of credential `{credential}` cannot be read: {error}; give it anew with "
                f"PUT /api/v1/credentials/{credential}"
            ) from None
        return OpenCredential(credential=sealed.credential, secret=secret)

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed, and return how many secrets that were."""
        async with self._lock:
            return await asyncio.to_thread(self._reseal)

    async def rotate_key(self, *, author: str) -> int:
        """Make a new key, seal everything with it, forget the old ones; return how many secrets there were."""
        async with self._lock:
            await asyncio.to_thread(self._box.add_key)
            count = await asyncio.to_thread(self._reseal)
            stale = [sealed.key for sealed in await asyncio.to_thread(self._store.all) if not self._is_current(sealed)]
            if not stale:
                await asyncio.to_thread(self._box.drop_old_keys)
        _log.info("the key of the credentials was changed by `%s`", author)
        return count

    def _sealed(self, made: Credential, secret: str, old: Credential | None) -> SealedCredential:
        if secret:
            sealed = self._box.seal(secret, belongs_to=made.place)
            return SealedCredential(credential=made, secret=sealed, key=made.id)
        if old is None:
            raise InvalidError(f"credential `{made.id}` has no secret: give it in `{secret_field(made.type)}.plain`")
        if old.destination != made.destination:
            raise InvalidError(
                "a change of `type`, `accountID`, `url` or `roleArn` takes the secret again: "
                f"give it in `{secret_field(made.type)}.plain`"
            )
        present = self._store.one(made.id)
        if present is None:
            raise MissingError(f"there is no credential `{made.id}`")
        return SealedCredential(credential=made, secret=present.secret, key=made.id)

    def _opened(self, sealed: SealedCredential) -> str:
        # The row's own id, and not what its document says: a document may have been moved too.
        return self._box.open(sealed.secret, belongs_to=dataclasses.replace(sealed.credential, id=sealed.key).place)

    def _is_current(self, sealed: SealedCredential) -> bool:
        return self._box.is_current(sealed.secret)

    def _reseal(self) -> int:
        count = 0
        for sealed in self._store.all():
            if self._is_current(sealed):
                continue
            try:
                secret = self._box.seal(self._opened(sealed), belongs_to=sealed.credential.place)
            except self._box_error as error:
                _log.warning("the secret of credential `%s` cannot be read: %s", sealed.key, error)
                continue
            self._store.put(dataclasses.replace(sealed, secret=secret))
            count += 1
        return count


def secret_field(kind: CredentialType) -> str:
    """Return the name of the field that a credential of this type has its secret in."""
    return "apiToken" if kind.is_token else "secret"


def check(credential: Credential, secret: str) -> None:
    """Raise InvalidError for a credential that cannot be right; the message never holds the secret."""
    if not _ID.fullmatch(credential.id) or credential.id != credential.id.strip():
        raise InvalidError(
            "`_id`: a name has 1 to 200 letters, digits, blanks and `._@-`, and begins with a letter or digit"
        )
    for name, text in (("accountID", credential.account), ("description", credential.description),
                       ("accountName", credential.account_name), ("url", credential.url)):  # fmt: skip
        if len(text) > _LONGEST or not text.isprintable():
            raise InvalidError(f"`{name}`: at most {_LONGEST} characters, none of them a control character")
    if len(secret) > _LONGEST_SECRET or not secret.isprintable():
        raise InvalidError(
            f"`{secret_field(credential.type)}.plain`: at most {_LONGEST_SECRET} characters on one line; "
            "does it end with a line break?"
        )
    if secret and credential.type is not CredentialType.BASIC and not _VISIBLE.fullmatch(secret):
        raise InvalidError(f"`{secret_field(credential.type)}.plain`: printable ASCII without blanks is expected")
    if credential.type.is_aws:
        _check_aws(credential)
    elif credential.region or credential.role_arn:
        raise InvalidError("`region` and `roleArn` are for credentials of type `aws` or `ecr`")
    elif credential.type is CredentialType.BASIC and (not credential.account or ":" in credential.account):
        raise InvalidError("`accountID`: a basic credential needs the user's name, without `:` (RFC 7617)")


def _check_aws(credential: Credential) -> None:
    if not credential.account:
        raise InvalidError("`accountID`: an AWS credential needs the access key's id, such as AKIA…")
    if credential.region and not _REGION.fullmatch(credential.region):
        raise InvalidError("`region`: not a region of AWS, such as `eu-central-1`")
    if credential.role_arn and not _ROLE.fullmatch(credential.role_arn):
        raise InvalidError("`roleArn`: not the ARN of a role, such as `arn:aws:iam::123456789012:role/reader`")
    if credential.host and ecr_region(credential.host) is None:
        raise InvalidError(
            "`url`: an AWS credential is for registries such as `123456789012.dkr.ecr.eu-central-1.amazonaws.com`"
        )


def host_of_url(url: str) -> str:
    """Return the host[:port] that a credential's `url` names, empty for an empty one. Raises InvalidError."""
    return registry_host(url, where="url") if url else ""
