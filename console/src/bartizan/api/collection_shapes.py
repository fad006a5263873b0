"""The JSON of collections, for the OpenAPI document; `policy.scopes` parses them more strictly."""

from typing import Annotated, Literal

import msgspec

Patterns = Annotated[list[str], msgspec.Meta(description="`*` is any run of characters, a leading `-` excludes")]


class CollectionScope(msgspec.Struct, rename="camel"):
    """
    A collection as it is given: fields are ANDed, patterns ORed, upper and lower case are the same.

    A field that is left out is `["*"]`. Labels are `key:value`.
    """

    name: str
    description: str = ""
    color: str = ""
    images: Patterns = msgspec.field(default_factory=list)
    containers: Patterns = msgspec.field(default_factory=list)
    app_ids: Patterns = msgspec.field(name="appIDs", default_factory=list)
    labels: Patterns = msgspec.field(default_factory=list)
    account_ids: Patterns = msgspec.field(name="accountIDs", default_factory=list)
    clusters: Patterns = msgspec.field(default_factory=list)


class CollectionDocument(CollectionScope, rename="camel"):
    """A collection as it is kept; `system` is true for the built-in `All`."""

    owner: str = ""
    modified: str = ""
    system: bool = False
    prisma: bool = False
    hosts: Patterns = msgspec.field(default_factory=list)
    functions: Patterns = msgspec.field(default_factory=list)
    namespaces: Patterns = msgspec.field(default_factory=list)


class CollectionUsage(msgspec.Struct):
    """Something that uses a collection; `policy` tells whose rule `name` is."""

    type: Literal["policy", "settings", "user", "group", "apiToken", "registryScan"]
    name: str
    policy: Literal["runtime", "waas", ""] = ""


class CollectionMatch(msgspec.Struct, rename="camel"):
    """A workload that a scope covers, and the `id` of its Defender."""

    id: str
    app_id: str = msgspec.field(name="appID")
    image: str | None = None
    container: str | None = None
    labels: list[str] = msgspec.field(default_factory=list)
    account_id: str | None = msgspec.field(name="accountID", default=None)
    cluster: str | None = None


class CollectionPreview(msgspec.Struct):
    """What a scope covers now: `total` workloads of `defenders` Defenders, of all that are `connected`."""

    total: int
    defenders: int
    connected: int
    matches: list[CollectionMatch]


COLLECTION_SHAPES: tuple[type, ...] = (
    CollectionDocument,
    CollectionMatch,
    CollectionPreview,
    CollectionScope,
    CollectionUsage,
)
