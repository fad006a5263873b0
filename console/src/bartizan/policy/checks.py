"""
What the vendor's fields ask for, in detections.

A `check…` field asks when it is true, a `skip…` field when it is false; a field that is left out asks for nothing. What
is asked for takes the effect of its section. The rule's own `detections` win over all of them.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bartizan.policy.defender_policy import Detection, Effect


class Check(enum.Enum):
    """A field of the vendor's that asks for detections, by its name there."""

    NEW_BINARIES = "checkNewBinaries"
    CRYPTO_MINERS = "checkCryptoMiners"
    LATERAL_MOVEMENT = "checkLateralMovement"
    MODIFIED = "skipModified"
    ALL_BINARIES = "blockAllBinaries"
    NEW_FILES = "checkNewFiles"
    BACKDOOR_FILES = "backdoorFiles"
    ELF_HEADERS = "suspiciousELFHeaders"
    ENCRYPTED_BINARIES = "skipEncryptedBinaries"
    ADVANCED = "advancedProtection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one field asks for: it does so when it has the value `when`."""

    detections: tuple[Detection, ...]
    when: bool = True


PROCESS_CHECKS: Mapping[Check, Asked] = {
    Check.NEW_BINARIES: Asked(detections=(Detection.NEW_BINARY,)),
    Check.CRYPTO_MINERS: Asked(detections=(Detection.CRYPTO_MINER,)),
    Check.LATERAL_MOVEMENT: Asked(detections=(Detection.LATERAL_MOVEMENT,)),
    Check.MODIFIED: Asked(detections=(Detection.MODIFIED_BINARY, Detection.ALTERED_PACKAGE_BINARY), when=False),
    Check.ALL_BINARIES: Asked(detections=(Detection.NOT_MAIN_PROCESS,)),
}
"""Fields of `processes`."""

FILE_CHECKS: Mapping[Check, Asked] = {
    Check.NEW_FILES: Asked(detections=(Detection.BINARY_WRITTEN, Detection.CERTIFICATE_WRITTEN)),
    Check.BACKDOOR_FILES: Asked(detections=(Detection.SSH_ACCESS, Detection.ADMINISTRATIVE_ACCOUNT)),
    Check.ELF_HEADERS: Asked(detections=(Detection.SUSPICIOUS_ELF,)),
    Check.ENCRYPTED_BINARIES: Asked(detections=(Detection.PACKED_BINARY,), when=False),
}
"""Fields of `filesystem`."""

ADVANCED = (
    Detection.REVERSE_SHELL,
    Detection.WEB_SHELL,
    Detection.MEMORY_PROCESS,
    Detection.PORT_SCAN,
    Detection.UNSEEN_CONNECTION,
    Detection.TAMPERING,
)
"""
What `advancedProtection` asks for, in alert whatever the sections say: the detections of high severity that no other
field speaks of. Those of files are left out, for they would switch the watching of files on.
"""


def effects_of(
    checks: Collection[Check], *, processes: Effect, files: Effect, own: Mapping[Detection, Effect]
) -> dict[Detection, Effect]:
    """Return the effect of every detection that is on, in the order of `Detection`."""
    found: dict[Detection, Effect] = {}
    if Check.ADVANCED in checks:
        found.update(dict.fromkeys(ADVANCED, Effect.ALERT))
    for fields, effect in ((PROCESS_CHECKS, processes), (FILE_CHECKS, files)):
        for check, asked in fields.items():
            if check in checks:
                found.update(dict.fromkeys(asked.detections, effect))
    found.update(own)
    return {item: found[item] for item in Detection if found.get(item, Effect.DISABLE) is not Effect.DISABLE}
