"""The JSON of the runtime policy and of custom rules, for the OpenAPI document; `policy` parses it more strictly."""

from typing import Annotated, Literal

import msgspec

EffectName = Literal["disable", "alert", "prevent"]
Strings = list[str]


class PortRangeShape(msgspec.Struct):
    """An inclusive range of ports."""

    start: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    end: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    deny: bool = False


class CollectionShape(msgspec.Struct, rename="camel"):
    """
    The name of a stored collection, alone; or a scope of the rule's own, under a name that no stored collection has.

    Fields are ANDed, patterns ORed, `*` is any run of characters, a leading `-` excludes.
    """

    name: str
    images: Strings = msgspec.field(default_factory=list)
    containers: Strings = msgspec.field(default_factory=list)
    app_ids: Strings = msgspec.field(name="appIDs", default_factory=list)
    labels: Strings = msgspec.field(default_factory=list)
    account_ids: Strings = msgspec.field(name="accountIDs", default_factory=list)
    clusters: Strings = msgspec.field(default_factory=list)
    description: str = ""
    color: str = ""


class ProcessesShape(msgspec.Struct, rename="camel"):
    """
    Program starts: names, globs on absolute paths, or `sha256:` with a digest.

    The further fields ask for detections, with the effect of the section; `skipModified` does so when it is false.
    """

    effect: EffectName = "disable"
    whitelist: Strings = msgspec.field(default_factory=list)
    blacklist: Strings = msgspec.field(default_factory=list)
    check_new_binaries: bool = False
    check_crypto_miners: bool = False
    check_lateral_movement: bool = False
    skip_modified: bool = True
    block_all_binaries: bool = False


class DnsShape(msgspec.Struct):
    """Look-ups: globs on domain names."""

    effect: EffectName = "disable"
    whitelist: Strings = msgspec.field(default_factory=list)
    blacklist: Strings = msgspec.field(default_factory=list)


class NetworkShape(msgspec.Struct):
    """
    Outgoing connections: addresses or CIDR blocks (IPv4 and IPv6), and ports; and the ports that are listened on.

    `checkUnresolvedPrivate` is ours: the detection `unresolvedAddress` does not exempt private addresses.
    """

    effect: EffectName = "disable"
    whitelist_ips: Strings = msgspec.field(name="whitelistIPs", default_factory=list)
    blacklist_ips: Strings = msgspec.field(name="blacklistIPs", default_factory=list)
    whitelist_outbound_ports: list[PortRangeShape] = msgspec.field(name="whitelistOutboundPorts", default_factory=list)
    blacklist_outbound_ports: list[PortRangeShape] = msgspec.field(name="blacklistOutboundPorts", default_factory=list)
    whitelist_listening_ports: list[PortRangeShape] = msgspec.field(
        name="whitelistListeningPorts", default_factory=list
    )
    blacklist_listening_ports: list[PortRangeShape] = msgspec.field(
        name="blacklistListeningPorts", default_factory=list
    )
    check_unresolved_private: bool = msgspec.field(name="checkUnresolvedPrivate", default=False)


class FilesystemShape(msgspec.Struct, rename="camel"):
    """
    Writes to files: globs on absolute paths, which also speak of everything beneath.

    The further fields ask for detections, with the effect of the section; `skipEncryptedBinaries` does so when false.
    """

    effect: EffectName = "disable"
    whitelist: Strings = msgspec.field(default_factory=list)
    blacklist: Strings = msgspec.field(default_factory=list)
    check_new_files: bool = False
    backdoor_files: bool = False
    suspicious_elf_headers: bool = msgspec.field(name="suspiciousELFHeaders", default=False)
    skip_encrypted_binaries: bool = True


class AttachmentShape(msgspec.Struct):
    """A custom rule of the library in a rule; they are tried in their order, before everything else."""

    id: int = msgspec.field(name="_id")
    effect: Literal["allow", "alert", "prevent", "disable"]
    action: Literal["audit", "incident"] = "audit"


class RuntimeRule(msgspec.Struct, rename="camel"):
    """
    One rule; the first that is not disabled and covers a workload wins.

    `detections` is ours: the effect of detections by their names, whatever the other fields ask for. Other fields of
    the vendor are accepted while they ask for nothing, and refused by name otherwise.
    """

    name: str
    collections: list[CollectionShape] = msgspec.field(default_factory=list)
    processes: ProcessesShape = msgspec.field(default_factory=ProcessesShape)
    network: NetworkShape = msgspec.field(default_factory=NetworkShape)
    dns: DnsShape = msgspec.field(default_factory=DnsShape)
    filesystem: FilesystemShape = msgspec.field(default_factory=FilesystemShape)
    custom_rules: list[AttachmentShape] = msgspec.field(default_factory=list)
    advanced_protection: bool = False
    detections: dict[str, EffectName] = msgspec.field(default_factory=dict)
    disabled: bool = False
    notes: str = ""
    previous_name: str = ""
    owner: str = ""
    modified: str = ""


class RuntimePolicyShape(msgspec.Struct):
    """The whole runtime policy."""

    rules: list[RuntimeRule]
    id: str = msgspec.field(name="_id", default="appEmbeddedRuntime")


class CustomRuleShape(msgspec.Struct, rename="camel"):
    """
    A custom rule: what its `script` matches is told by its `message`, in which `%proc.name` stands for that field.

    `minVersion`, `attackTechniques` and `vulnIDs` are kept as they come; techniques are shown with audits.
    """

    name: str
    type: Literal["processes", "filesystem", "network-outgoing"]
    script: str
    id: int | None = msgspec.field(name="_id", default=None)
    message: str = ""
    description: str = ""
    min_version: str = ""
    attack_techniques: Strings = msgspec.field(default_factory=list)
    owner: str = ""
    vuln_ids: Strings = msgspec.field(name="vulnIDs", default_factory=list)
