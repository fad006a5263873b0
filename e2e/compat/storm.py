"""A storm under the supervisor, by hand: `storm.py [LOOK-UPS [CONNECTIONS]]`, a million of each unless told.

Every look-up is of another name with another address, while a hundred questions without answers are on their way.
Prints how many were answered, by how many KiB the Defender grew since the first thousand, and the time; ends with 1
when one was not answered or the Defender grew by more than 4 MiB. Needs the examples of `cargo build --examples` beside
the Defender.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chamber import NAMESPACES, POLICY, SUPERVISE

ATTACKER = SUPERVISE.parent / "attacker_network"
SERVER = "127.0.0.1:53"
MEMORY_MARGIN_KIB = 4096
SCRIPT = f"""set -e
ip link set lo up
echo nameserver 127.0.0.1 > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
{ATTACKER} serve {SERVER} > ready &
until grep -q ready ready; do :; done
exec setpriv --bounding-set -sys_admin,-perfmon {SUPERVISE} policy.json {ATTACKER} "$@"
"""


def storm(*words: str) -> bool:
    """Run one storm; true when all was well."""
    with tempfile.TemporaryDirectory(prefix="bartizan-storm-") as folder:
        (Path(folder) / "policy.json").write_text(json.dumps(POLICY | {"detections": {"unresolvedAddress": "alert"}}))
        begin = time.monotonic()
        command = [*NAMESPACES, "--mount-proc", "sh", "-c", SCRIPT, "sh", *words]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True, text=True).stdout
    right, grown = (int(word) for word in done.split())
    seconds = time.monotonic() - begin
    print(f"{words[0]}: {right} of {words[-1]}, grew by {grown} KiB, {seconds:.0f} s", flush=True)
    return right == int(words[-1]) and grown <= MEMORY_MARGIN_KIB


def main(lookups: str = "1000000", connections: str = "1000000") -> int:
    """Run both storms."""
    results = [storm("storm", SERVER, lookups), storm("storm-of-connections", connections)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
