"""Attaches a debugger and a tracer to a running program: `debugging.py PROGRAM`; prints what they saw."""

from __future__ import annotations

import re
import signal
import subprocess
import sys


def main(program: str) -> int:
    """Return 0 after both have attached, looked and let go, and the program has gone on and ended."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as target:
        assert target.stdin is not None
        assert target.stdout is not None
        target.stdout.readline()
        said = subprocess.run(
            ["gdb", "-nx", "-batch", "-p", str(target.pid), "-ex", "print landmark", "-ex", "info registers rip"],
            capture_output=True,
            text=True,
        )
        print("gdb", said.returncode, re.findall(r"^\$1 = .*$", said.stdout, re.MULTILINE), "rip" in said.stdout)
        trace = subprocess.Popen(
            ["strace", "-e", "trace=getppid", "-p", str(target.pid)], stderr=subprocess.PIPE, text=True
        )
        assert trace.stderr is not None
        print("strace", next(True for line in trace.stderr if line.startswith("getppid()")))
        trace.send_signal(signal.SIGINT)
        trace.communicate()
        target.stdin.write("\n")
        target.stdin.close()
        print(target.stdout.read().strip(), target.wait())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
