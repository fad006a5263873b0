"""Runs one command in a small machine of its own; started by chamber.py inside fresh network and mount namespaces.

The argument is JSON: ``{"resolver": [command], "resolvConf": path, "command": [command]}``. Brings up the loopback
interface, puts the resolver's address where the C libraries look, starts the resolver outside of the command's process
namespace, runs the command as PID 1 of its own and ends with its exit status.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading


def main(given: dict[str, list[str]]) -> int:
    """Run it; return the exit status, 128 plus the signal for a killed command."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", str(given["resolvConf"]), "/etc/resolv.conf"], check=True)
    # Of its own session, so that no signal to the command's terminal reaches it.
    with subprocess.Popen(given["resolver"], stdout=subprocess.PIPE, start_new_session=True) as resolver:
        assert resolver.stdout is not None
        resolver.stdout.readline()
        # It tells every question, and would wait for a reader when the pipe is full.
        threading.Thread(target=resolver.stdout.read, daemon=True).start()
        code = subprocess.run(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *given["command"]], check=False
        ).returncode
        resolver.kill()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
