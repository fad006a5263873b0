"""The JSON that goes in and out, for parsing and for the OpenAPI document. Names are the vendor's where it has them."""

from typing import Annotated, Any, Literal

import msgspec

from bartizan.api.access_shapes import ACCESS_SHAPES
from bartizan.api.alert_shapes import ALERT_SHAPES
from bartizan.api.change_shapes import CHANGE_SHAPES
from bartizan.api.collection_shapes import COLLECTION_SHAPES
from bartizan.api.defender_shapes import DEFENDER_SHAPES
from bartizan.api.event_shapes import EVENT_SHAPES
from bartizan.api.firewall_shapes import FIREWALL_SHAPES
from bartizan.api.incident_shapes import INCIDENT_SHAPES
from bartizan.api.overview_shapes import OVERVIEW_SHAPES
from bartizan.api.policy_shapes import CustomRuleShape, RuntimePolicyShape, RuntimeRule
from bartizan.api.profile_shapes import PROFILE_SHAPES
from bartizan.api.revision_shapes import REVISION_SHAPES, Changed
from bartizan.api.scrubbing_shapes import SCRUBBING_SHAPES
from bartizan.api.system_shapes import SYSTEM_SHAPES
from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit

Strings = list[str]


class Problem(msgspec.Struct, omit_defaults=True):
    """
    Why a request was refused.

    `problems` are the reasons one by one, where there may be several; `changed` is what somebody else changed meanwhile
    (status 412).
    """

    err: str
    problems: Strings = msgspec.field(default_factory=list)
    changed: Changed | None = None


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    """The one-time set-up of the administrator, with the token that the Console printed at its start."""

    username: str
    password: str
    token: str


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """A log-in."""

    username: str
    password: str


class Token(msgspec.Struct):
    """A bearer token, good for 30 minutes."""

    token: str


class InstallBundleAnswer(msgspec.Struct, rename="camel"):
    """
    What a Defender is installed with; `bundle` and `installBundle` are the same.

    `defenderArchitectures` are those that this Console has a binary for.
    """

    bundle: str
    install_bundle: str
    ws_address: str
    defender_image: str
    defender_architectures: Strings
    version: str


class BundleGenerationAnswer(msgspec.Struct):
    """One generation of install bundles."""

    id: str
    created: str
    revoked: str | None


class BaseImage(msgspec.Struct):
    """What `docker inspect` says of a base image under `Config`; other fields are ignored."""

    entrypoint: Strings | None = msgspec.field(default=None, name="Entrypoint")
    cmd: Strings | None = msgspec.field(default=None, name="Cmd")
    user: str | None = msgspec.field(default=None, name="User")
    shell: Strings | None = msgspec.field(default=None, name="Shell")
    volumes: dict[str, Any] | None = msgspec.field(default=None, name="Volumes")
    on_build: Strings | None = msgspec.field(default=None, name="OnBuild")


class AppEmbeddedEmbedRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """
    A Dockerfile to put the Defender into; fields from `failMode` on are ours.

    `baseImage` says what the base image starts, where the file does not; without it the Console asks the image's
    registry, unless `extractEntrypoint` is false.
    """

    app_id: str = msgspec.field(name="appID")
    dockerfile: str
    console_addr: str = ""
    data_folder: str = "/bartizan/"
    filesystem_monitoring: bool = False
    fail_mode: Literal["open", "closed"] = "open"
    target: str | None = None
    build_args: dict[str, str] = {}
    architecture: Literal["amd64", "arm64"] | None = None
    migrate: bool = False
    compat: bool = False
    allow_32bit: bool = msgspec.field(default=False, name="allow32bit")
    waas_ports: Strings = []
    base_image: BaseImage | None = None
    extract_entrypoint: bool = True
    registry_type: str = ""
    registry_credential_id: str = msgspec.field(default="", name="registryCredentialID")


class Initialized(msgspec.Struct):
    """Whether the Console has an administrator."""

    initialized: bool


class CertSettings(msgspec.Struct, rename="camel"):
    """The names of the Console's certificate, and the end of its authority's."""

    console_san: Strings = msgspec.field(name="consoleSAN")
    ca_expiration: str


class CertSettingsChange(msgspec.Struct):
    """The new list of names; it replaces the old one."""

    console_san: Strings = msgspec.field(name="consoleSAN")


class DefenderSettings(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """For how many minutes a disconnected Defender stays listed."""

    app_embedded_disconnected_minutes: int


class SecretShape(msgspec.Struct):
    """A secret: it goes in as `plain`, and never comes back; `encrypted` is always empty."""

    plain: str = ""
    encrypted: str = ""

    def __repr__(self) -> str:
        """Return nothing of the secret."""
        return "SecretShape()"


class HiddenSecret(msgspec.Struct):
    """What is shown in place of a secret."""

    encrypted: Literal[""] = ""


class CredentialChange(msgspec.Struct, rename="camel"):
    """
    A credential. `secret` is the password or the secret access key, `apiToken` the token of types apiToken and jfrog.

    Without a new secret the present one is kept. `url` is the only registry that the secret is sent to.
    """

    type: Literal["basic", "aws", "ecr", "apiToken", "jfrog"]
    id: str = msgspec.field(name="_id", default="")
    account_id: str = msgspec.field(name="accountID", default="")
    account_name: str = ""
    secret: SecretShape = msgspec.field(default_factory=SecretShape)
    api_token: SecretShape = msgspec.field(default_factory=SecretShape)
    url: str = ""
    region: str = ""
    role_arn: str = ""
    description: str = ""


class CredentialAnswer(msgspec.Struct, rename="camel"):
    """A credential, without its secret."""

    id: str = msgspec.field(name="_id")
    type: str
    account_id: str = msgspec.field(name="accountID")
    account_name: str
    secret: HiddenSecret
    api_token: HiddenSecret
    url: str
    region: str
    role_arn: str
    description: str
    owner: str
    created: str
    last_modified: str


class CredentialUsage(msgspec.Struct):
    """Who uses a credential."""

    type: str
    description: str


class Resealed(msgspec.Struct):
    """How many secrets were sealed with the new key."""

    resealed: int


class RegistrySpecification(msgspec.Struct, rename="camel"):
    """
    The images of one registry, and how they are asked for.

    `version` is its type (2, aws, jfrog, dockerhub, …), `registry` its address (empty: Docker Hub); in `repository`,
    `tag` and the excluded ones `*` stands for any characters. `cap`, `scanners` and `jfrogRepoTypes` are for scans.
    """

    version: str
    registry: str = ""
    namespace: str = ""
    repository: str = ""
    tag: str = ""
    os: str = "linux"
    credential_id: str = msgspec.field(name="credentialID", default="")
    ca_cert: str = ""
    excluded_repositories: Strings = msgspec.field(default_factory=list)
    excluded_tags: Strings = msgspec.field(default_factory=list)
    cap: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    scanners: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    collections: Strings = msgspec.field(default_factory=list)
    jfrog_repo_types: list[Literal["local", "remote", "virtual"]] = msgspec.field(default_factory=list)


class RegistrySettings(msgspec.Struct):
    """All registries; the first that covers an image tells how it is asked for."""

    specifications: list[RegistrySpecification]


class RepoTag(msgspec.Struct):
    """An image's name."""

    registry: str
    repo: str
    tag: str
    digest: str


class ImageRun(msgspec.Struct, rename="camel", omit_defaults=True):
    """What an image starts; `user` and `shell` are left out when `compact` is asked for."""

    repo_digest: Strings
    entrypoint: Strings
    cmd: Strings
    user: str = ""
    shell: Strings = msgspec.field(default_factory=list)


class KnownImage(msgspec.Struct, rename="camel"):
    """An image that the Console knows, of one architecture; `origin` tells where that was learnt."""

    id: str = msgspec.field(name="_id")
    image_id: str = msgspec.field(name="id")
    reference: str
    repo_tag: RepoTag
    architecture: str
    image: ImageRun
    origin: str
    scan_time: str


class RegistryTest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """
    An image to ask its registry for; without `registryType` and `registryCredentialID` the settings say how.

    `architecture` is amd64 or arm64.
    """

    image: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    architecture: Literal["amd64", "arm64"] = "amd64"
    registry_type: Annotated[str, msgspec.Meta(max_length=32)] = ""
    registry_credential_id: Annotated[str, msgspec.Meta(max_length=200)] = msgspec.field(
        name="registryCredentialID", default=""
    )


ALL = (
    AppEmbeddedEmbedRequest,
    BaseImage,
    BundleGenerationAnswer,
    CertSettings,
    CertSettingsChange,
    CredentialAnswer,
    CredentialChange,
    CredentialUsage,
    Credentials,
    CustomRuleShape,
    DefenderSettings,
    FirewallAudit,
    Initialized,
    InstallBundleAnswer,
    KnownImage,
    Problem,
    RegistrySettings,
    RegistrySpecification,
    RegistryTest,
    Resealed,
    RuntimeAudit,
    RuntimePolicyShape,
    RuntimeRule,
    SignUp,
    Token,
    *ACCESS_SHAPES,
    *CHANGE_SHAPES,
    *DEFENDER_SHAPES,
    *EVENT_SHAPES,
    *OVERVIEW_SHAPES,
    *COLLECTION_SHAPES,
    *ALERT_SHAPES,
    *FIREWALL_SHAPES,
    *INCIDENT_SHAPES,
    *PROFILE_SHAPES,
    *REVISION_SHAPES,
    *SCRUBBING_SHAPES,
    *SYSTEM_SHAPES,
)
