"""A storm of forbidden operations against the real Defender, by hand: `storm.py [STARTS]`, usually a million.

A program tries to start forbidden programs by ten thousand different names, and every fourth time connects where that
is only reported, as fast as it can, while the Console is away. Then the Console comes back. Checked are: everything
forbidden failed, memory and descriptors of the Defender stayed bounded, every event is either recorded or counted as
dropped, and what was prevented was kept rather than what was only reported.

Needs a built Defender (`BARTIZAN_DEFENDER`, or the release build of this checkout) and gcc.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "e2e"))

from console import Console, Json, running_console  # noqa: E402 (found by the line above)

RELEASE = ROOT / "defender/target/x86_64-unknown-linux-gnu/release/defender"
DEFENDER = os.environ.get("BARTIZAN_DEFENDER", str(RELEASE))
# The spool's 4 MiB are of audits as they travel; held they take several times as much.
MOST_KIB, MOST_DESCRIPTORS = 32 << 10, 1024
DEADLINE_SECONDS = 60.0
STORM = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **words) {
    long starts = atol(words[1]), refused = 0, reported = 0, ran = 0;
    char line[8], path[64], number[16];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 1;
    for (long at = 0; at < starts; at++) {
        snprintf(path, sizeof path, "./evil-%ld", at % 10000);
        snprintf(number, sizeof number, "%ld", at);
        char *arguments[] = {path, number, 0};
        volatile int failed = 0;
        pid_t child = vfork();
        if (!child) { execve(path, arguments, 0); failed = errno; _exit(0); }
        int status;
        waitpid(child, &status, 0);
        if (failed == EACCES || WIFSIGNALED(status)) refused++; else ran++;
        if (at % 4) continue;
        int end = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1 + at / 4 % 60000)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect(end, (void *)&to, sizeof to);
        close(end);
        reported++;
    }
    printf("%ld %ld %ld\n", refused, reported, ran);
    fflush(stdout);
    fgets(line, sizeof line, stdin);
    return 0;
}
"""


@dataclass(slots=True)
class Peak:
    """The most that was seen: memory in KiB, descriptors."""

    memory: int = 0
    descriptors: int = 0

    def look(self, process: int) -> None:
        """Look at a process once more."""
        status = Path(f"/proc/{process}/status").read_text()
        self.memory = max(self.memory, int(status.split("VmHWM:")[1].split()[0]))
        self.descriptors = max(self.descriptors, len(list(Path(f"/proc/{process}/fd").iterdir())))


def main(starts: int) -> int:
    """Let it storm; return 0 when every promise was kept."""
    with tempfile.TemporaryDirectory(prefix="bartizan-storm-") as name:
        folder = Path(name)
        build(folder)
        with running_console(folder / "console", "localhost") as console:
            console.put_policy(POLICY)
            process = start(folder, console, starts)
            try:
                return storm(console, process, starts)
            finally:
                process.kill()
                process.wait()


POLICY: Json = {
    "name": "storm",
    "collections": [{"name": "All"}],
    "processes": {"effect": "prevent", "blacklist": ["evil-*"]},
    "network": {"effect": "alert", "blacklistOutboundPorts": [{"start": 1, "end": 65000, "deny": True}]},
}


def build(folder: Path) -> None:
    """Compile the workload, and give it its forbidden names."""
    (folder / "storm.c").write_text(STORM)
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", "storm", "storm.c"], cwd=folder, check=True)
    for number in range(10_000):
        (folder / f"evil-{number}").hardlink_to(folder / "storm")


def start(folder: Path, console: Console, starts: int) -> subprocess.Popen[str]:
    """Start the workload under the Defender; return once the policy is in force."""
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": "localhost"}).json()
    environment = {
        "PATH": "/usr/bin:/bin", "DEFENDER_TYPE": "appEmbedded", "DEFENDER_APP_ID": "storm", "DATA_FOLDER": str(folder),
        "INSTALL_BUNDLE": bundle["installBundle"], "WS_ADDRESS": bundle["wsAddress"], "DEFENDER_FAIL_MODE": "closed",
    }  # fmt: skip
    process = subprocess.Popen(
        [DEFENDER, "app-embedded", "./storm", str(starts)], env=environment, cwd=folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise SystemExit(f"storm: the Defender ended with {process.wait()}")
    return process


def storm(console: Console, process: subprocess.Popen[str], starts: int) -> int:
    """Storm without a Console, bring it back, and compare."""
    assert process.stdin is not None
    assert process.stdout is not None
    console.kill()
    began, peak = time.monotonic(), Peak()
    process.stdin.write("go\n")
    process.stdin.flush()
    os.set_blocking(process.stdout.fileno(), False)
    said = ""
    while not said:
        time.sleep(0.5)
        peak.look(process.pid)
        said = process.stdout.readline()
    seconds = time.monotonic() - began
    refused, reported, ran = map(int, said.split())
    print(
        f"storm: {starts} starts, {reported} connects in {seconds:.0f} s, {refused} starts refused, {ran} ran",
        flush=True,
    )
    print(f"storm: at most {peak.memory} KiB resident, {peak.descriptors} descriptors", flush=True)
    console.start()
    kept = counted(console, refused + reported)
    peak.look(process.pid)
    print(f"storm: {json.dumps(kept)}, {peak.memory} KiB with the Console back", flush=True)
    checks = {
        "everything forbidden was refused": (refused, ran) == (starts, 0),
        "memory is bounded": peak.memory <= MOST_KIB,
        "descriptors are bounded": peak.descriptors <= MOST_DESCRIPTORS,
        "nothing is lost without being counted": kept["prevent"] + kept["alert"] + kept["dropped"]
        >= refused + reported,
        "what was prevented is kept last": kept["alertAudits"] == 0 or kept["prevent"] == refused,
    }
    for check, holds in checks.items():
        print(f"storm: {'yes' if holds else 'NO '} {check}")
    return 0 if all(checks.values()) else 1


def counted(console: Console, expected: int) -> dict[str, int]:
    """Events by effect, as the Console has them, and how many the Defender gave up, once they are all accounted for."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = {"prevent": 0, "alert": 0, "preventAudits": 0, "alertAudits": 0}
        for audit in every_audit(console):
            if audit["type"] in ("processes", "network"):
                found[audit["effect"]] += audit.get("count", 1)
                found[f"{audit['effect']}Audits"] += 1
        workloads = console.defenders()
        found["dropped"] = sum(workload["dropped"] for one in workloads for workload in one["workloads"])
        if found["prevent"] + found["alert"] + found["dropped"] >= expected or time.monotonic() > end:
            return found
        time.sleep(2)


def every_audit(console: Console) -> list[Json]:
    """All runtime audits, page by page."""
    found: list[Json] = []
    while True:
        page = console.request("GET", "audits/runtime/app-embedded", params={"limit": 250, "offset": len(found)}).json()
        found += page
        if len(page) < 250:
            return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
