"""A container of its own for one program, with the Defender in it or without.

Made as Docker would (runc, Docker's seccomp profile and capabilities, with SYS_PTRACE or without, an overlay as root),
from this machine's own files, in its own network (loopback only, with a name server at 127.0.0.1:53 that knows
``good.test`` and ``other.test``). With the Defender, its supervisor is PID 1 and the program its child; without,
``tini`` is: both adopt orphans, forward signals and end with the program's own status, so that whatever differs is the
Defender's doing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container import Container, configuration

ROOT = Path(__file__).resolve().parent.parent.parent
DEFENDER = Path(os.environ.get("BARTIZAN_DEFENDER", ROOT / "defender/target/x86_64-unknown-linux-gnu/release/defender"))
SUPERVISE = Path(os.environ.get("BARTIZAN_PROGRAMS", DEFENDER.parent / "examples")) / "supervise"
PROGRAMS = Path(__file__).resolve().parent / "programs"
HERE = Path(__file__).resolve().parent


def detections() -> list[str]:
    """Names of all detections that a policy can set; the others come with the lists of their sections."""
    schema = json.loads((ROOT / "contract/defender-policy.schema.json").read_text())
    return list(schema["$defs"]["Detection"]["enum"])


# Two process namespaces, one in the other: killing the outer one takes everything down, whoever it has become.
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
NAMES = ("good.test=127.0.0.1", "other.test=192.0.2.7")
WORK = Path("/srv/compat")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": str(WORK),
    "LANG": "C.UTF-8",
}

# A policy as somebody would have it who knows the workload: everything on prevent, lists that concern none of the
# programs, and every detection. Each notification and each judgement happens, and all of it must let the programs be.
POLICY: dict[str, Any] = {
    "version": 1,
    "revision": 1,
    "rule": "compat",
    "processes": {"effect": "prevent", "allow": [], "deny": ["xmrig", "/opt/*/evil"]},
    "dns": {"effect": "prevent", "allow": [], "deny": ["*.evil.test"]},
    "network": {
        "effect": "prevent",
        "allowAddresses": [],
        "denyAddresses": ["203.0.113.0/24"],
        "allowPorts": [],
        "denyPorts": [{"start": 6666, "end": 6666}],
        "denyListenPorts": [{"start": 6667, "end": 6667}],
    },
    "files": {"effect": "prevent", "allow": [], "deny": ["/opt/denied", "/etc/passwd", "/usr/bin/*"]},
    "detections": dict.fromkeys(detections(), "prevent"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program did: exit status (128 plus signal), all that it printed, and what the Defender reported."""

    code: int
    output: str
    audits: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Running:
    """A program in its chamber: the process that everything hangs on, its folder, and where its audits go."""

    process: subprocess.Popen[bytes]
    folder: Path
    audits: Path


def run(command: list[str], *, guarded: bool, seconds: float = 120, **options: Any) -> Outcome:
    """Run ``command`` in a fresh chamber (see `chamber` for the options) to its end.

    Raises:
        AssertionError: it did not end in time; everything in the chamber is gone then.
    """
    with chamber(command, guarded=guarded, **options) as running:
        try:
            output, _ = running.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            end_group(running.process.pid)
            output, _ = running.process.communicate()
            raise AssertionError(f"not over after {seconds} s, and had printed:\n{output.decode()}") from error
        reported = tuple(json.loads(text) for text in running.audits.read_text().splitlines())
        return Outcome(running.process.returncode, output.decode(errors="replace"), reported)


@contextmanager
def chamber(  # noqa: PLR0913 - each is a matter of its own
    command: list[str],
    *,
    guarded: bool,
    policy: dict[str, Any] | None = None,
    user: str = "",
    tracing: bool = True,
    terminal: bool = False,
    talking: bool = False,
    environment: dict[str, str] | None = None,
    watcher: list[str] | None = None,
) -> Iterator[Running]:
    """Start ``command`` in a fresh container, as ``user`` (root when empty), with SYS_PTRACE or without.

    ``policy`` replaces the usual one. With ``terminal`` it gets a terminal, on which programs/terminal.py plays a user;
    when ``talking``, its standard input is a pipe. A ``watcher`` runs it instead of the Defender or tini. At the end of
    the context everything in the container is killed.
    """
    with tempfile.TemporaryDirectory(prefix="bartizan-compat-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("layer", "root", "bundle", "told"):
            (folder / part).mkdir()
        (folder / "told/policy.json").write_text(json.dumps(policy or POLICY))
        audits = folder / "told/audits.jsonl"
        audits.touch()
        audits.chmod(0o666)
        before = [str(SUPERVISE), str(folder / "told/policy.json")] if guarded else ["tini", "-s", "--"]
        container = Container(
            command=[*(watcher or before), *command],
            environment=ENVIRONMENT
            | (environment or {})
            | ({"SUPERVISE_AUDITS": str(audits), "SUPERVISE_FILES": "1"} if guarded else {}),
            folder=str(WORK),
            user=user,
            tracing=tracing,
            terminal=terminal,
            binds={str(folder / "told"): True},
            root=str(folder / "root"),
            cgroup=f"/{folder.name}/compat",
        )
        (folder / "bundle/config.json").write_text(json.dumps(configuration(container)))
        process = start(folder, user, terminal=terminal, talking=talking)
        try:
            yield Running(process, folder, audits)
        finally:
            if process.poll() is None:
                end_group(process.pid)
            process.communicate()
            remove_cgroups(folder.name)


def start(folder: Path, owner: str, *, terminal: bool, talking: bool) -> subprocess.Popen[bytes]:
    """Start the namespaces with the container in them."""
    runc = ["runc", "--root", str(folder / "runc"), "run", "--bundle", str(folder / "bundle"), folder.name]
    given = {
        "resolver": [sys.executable, str(ROOT / "examples/name_server.py"), "127.0.0.1", "53", *NAMES],
        "layer": str(folder / "layer"),
        "root": str(folder / "root"),
        "work": str(WORK),
        "owner": owner,
        "command": ["python3", str(PROGRAMS / "terminal.py"), *runc] if terminal else runc,
    }
    return subprocess.Popen(
        [*NAMESPACES, sys.executable, str(HERE / "inside.py"), json.dumps(given)],
        stdin=subprocess.PIPE if talking else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end_group(leader: int) -> None:
    """Kill the process group, and with its first process the whole process namespace."""
    os.killpg(leader, 9)


def remove_cgroups(name: str) -> None:
    """Remove what runc leaves of a container that was killed, in each hierarchy."""
    for root in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        for path in (root / name / "compat", root / name):
            # Its processes may still be ending; an empty directory hurts nobody.
            with suppress(OSError):
                path.rmdir()
