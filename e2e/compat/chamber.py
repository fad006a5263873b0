"""A small machine of its own for one program, with the Defender in it or without.

Own network (loopback only, with a name server at 127.0.0.1:53 that knows ``good.test`` and ``other.test``), own process
namespace, Docker's capabilities and SYS_PTRACE. With the Defender, its supervisor is PID 1 and the program its child;
without, ``tini`` is: both adopt orphans, forward signals and end with the program's own status, so that whatever
differs is the Defender's doing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DEFENDER = Path(os.environ.get("BARTIZAN_DEFENDER", ROOT / "defender/target/x86_64-unknown-linux-gnu/release/defender"))
SUPERVISE = DEFENDER.parent / "examples/supervise"
PROGRAMS = Path(__file__).resolve().parent / "programs"
HERE = Path(__file__).resolve().parent

# Docker's default set, and SYS_PTRACE, which Fargate lets a task add.
CAPABILITIES = (
    "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,"
    "audit_write,setfcap,sys_ptrace"
)
# Two process namespaces, one in the other: killing the outer one takes everything down, whoever it has become.
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")
NAMES = ("good.test=127.0.0.1", "other.test=192.0.2.7")

# Lists that concern none of the programs, everything on prevent: every notification and every judgement happens, and
# all of it must let the program be.
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
    "files": {"effect": "prevent", "allow": [], "deny": ["/opt/denied"]},
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
        text = output.decode(errors="replace").replace(str(running.folder), "FOLDER")
        return Outcome(running.process.returncode, text, reported)


@contextmanager
def chamber(
    command: list[str],
    *,
    guarded: bool,
    policy: dict[str, Any] | None = None,
    user: str = "",
    terminal: bool = False,
    talking: bool = False,
    environment: dict[str, str] | None = None,
    watcher: list[str] | None = None,
) -> Iterator[Running]:
    """Start ``command`` in a fresh chamber, in a fresh folder that belongs to ``user`` (root when empty).

    ``policy`` replaces the usual one. With ``terminal`` it gets a terminal, on which programs/terminal.py plays a user;
    when ``talking``, its standard input is a pipe. A ``watcher`` runs it instead of the Defender or tini. At the end of
    the context everything in the chamber is killed.
    """
    with tempfile.TemporaryDirectory(prefix="bartizan-compat-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "work").mkdir()
        if user:
            subprocess.run(["chown", user, str(folder / "work")], check=True)
        (folder / "policy.json").write_text(json.dumps(policy or POLICY))
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")
        audits = folder / "audits.jsonl"
        audits.touch()
        audits.chmod(0o666)
        before = [str(SUPERVISE), str(folder / "policy.json")] if guarded else ["tini", "-s", "--"]
        before = watcher or before
        if terminal:
            before = ["python3", str(PROGRAMS / "terminal.py"), *before]
        given = {
            "resolver": [sys.executable, str(ROOT / "examples/name_server.py"), "127.0.0.1", "53", *NAMES],
            "resolvConf": str(folder / "resolv.conf"),
            "command": ["setpriv", *privileges(user), *before, *command],
        }
        process = start(
            given,
            folder,
            (environment or {}) | {"SUPERVISE_AUDITS": str(audits), "SUPERVISE_FILES": "1"},
            talking=talking,
        )
        try:
            yield Running(process, folder, audits)
        finally:
            if process.poll() is None:
                end_group(process.pid)
            process.communicate()


def start(
    given: dict[str, Any], folder: Path, environment: dict[str, str], *, talking: bool
) -> subprocess.Popen[bytes]:
    """Start the namespaces with everything in them."""
    work = folder / "work"
    base = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(work),
        "LANG": "C.UTF-8",
    }
    return subprocess.Popen(
        [*NAMESPACES, sys.executable, str(HERE / "inside.py"), json.dumps(given)],
        cwd=work,
        env=base | environment,
        stdin=subprocess.PIPE if talking else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end_group(leader: int) -> None:
    """Kill the process group, and with its first process the whole process namespace."""
    os.killpg(leader, 9)


def privileges(user: str) -> list[str]:
    """Options of setpriv(1)."""
    bounding = "-all" + "".join(f",+{name}" for name in CAPABILITIES.split(","))
    identity = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
    return ["--bounding-set", bounding, "--inh-caps", "-all", *identity, "--"]
