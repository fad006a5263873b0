"""Everyday programs do their own work under a policy that prevents, with nothing to tell them from a run without."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chamber import PROGRAMS, Outcome, run
from comparing import CACHE, same_with_and_without, without

# Detections of what these programs are there for, which a policy for them would not have.
CHILDREN = "notMainProcess"  # they start programs
NUMBERS = "unresolvedAddress"  # they connect to an address that nobody looked up
PHP_EXEC = "webShell"  # a page that calls exec() is one

# With SYS_PTRACE and without, as root and as somebody.
CONTAINERS = pytest.mark.parametrize(
    "container",
    [{"user": user, "tracing": tracing} for user in ("", "1000") for tracing in (True, False)],
    ids=["root, SYS_PTRACE", "root", "1000, SYS_PTRACE", "1000"],
)


@pytest.fixture(scope="session")
def go_program() -> Path:
    """The Go program, static, as its containers have it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    built = CACHE / "compat-go"
    environment = {
        "PATH": "/usr/lib/go/bin:/usr/bin:/bin",
        "HOME": str(CACHE),
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=mod",
    }
    subprocess.run(["go", "build", "-o", str(built), str(PROGRAMS / "compat.go")], check=True, env=environment)
    return built


@pytest.fixture(scope="session")
def java_classes() -> Path:
    """The Java program's classes."""
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["javac", "-d", str(CACHE / "java"), str(PROGRAMS / "Compat.java")], check=True)
    return CACHE / "java"


@CONTAINERS
def test_go(go_program: Path, container: dict[str, Any]) -> None:
    """200 connections, 100 children, 2000 goroutines, its own resolver and a thousand signals."""
    outcome = same_with_and_without([str(go_program)], CHILDREN, NUMBERS, **container)

    assert "dials 200\nstarted 100\n" in outcome.output
    assert "udp [192.0.2.7] <nil>\nudp true\ntcp [192.0.2.7] <nil>\ntcp true\n" in outcome.output
    assert outcome.output.endswith("signals 1000\n")


@CONTAINERS
def test_java(java_classes: Path, container: dict[str, Any]) -> None:
    """300 connections, child processes, a hundred thousand null pointers caught by signal."""
    command = ["java", "-Xmx256m", "-cp", str(java_classes), "Compat"]
    outcome = same_with_and_without(command, CHILDREN, NUMBERS, **container)

    assert outcome.code == 3
    assert "started 30\nstatus 7\n" in outcome.output
    assert "nulls 100000 100000\n192.0.2.7\n" in outcome.output
    assert outcome.output.endswith("http 50\n")


@CONTAINERS
def test_node(container: dict[str, Any]) -> None:
    """Children, a fork with messages, look-ups on the thread pool, HTTP, workers."""
    command = ["node", str(PROGRAMS / "compat.js")]
    outcome = same_with_and_without(command, CHILDREN, NUMBERS, **container)

    assert outcome.code == 5
    assert "started 20\nsync 42\nstatus 9 ENOENT\n" in outcome.output
    assert "http 100\nlookup { address: '192.0.2.7', family: 4 }\nmissing ENOTFOUND\n" in outcome.output
    assert outcome.output.count("from a worker") == 4


@CONTAINERS
def test_python(container: dict[str, Any]) -> None:
    """subprocess, multiprocessing in each of its ways, asyncio, threads, a storm of timers."""
    command = ["python3", str(PROGRAMS / "compat.py")]
    outcome = same_with_and_without(command, CHILDREN, NUMBERS, **container)

    assert outcome.code == 6
    assert "fork 328350\nspawn 328350\nforkserver 328350\n" in outcome.output
    assert "clients 100\n" in outcome.output
    assert outcome.output.endswith("timer True\n")


@CONTAINERS
def test_ruby(container: dict[str, Any]) -> None:
    """fork, spawn, pipes, threads, the C library's resolver and its own."""
    outcome = same_with_and_without(["ruby", str(PROGRAMS / "compat.rb")], CHILDREN, **container)

    assert outcome.code == 7
    assert "clients 1275\nname 192.0.2.7\nresolv 192.0.2.7\n" in outcome.output


@pytest.mark.parametrize("dumpable", [[], ["dumpable"]], ids=["SYS_PTRACE", "process.dumpable"])
def test_nginx_and_php_fpm(dumpable: list[str]) -> None:
    """Workers that dropped root, FastCGI, children and look-ups of pages, reload, clean stop.

    Without SYS_PTRACE the Defender looks into them as their user, if they let it: nginx does, PHP-FPM when told so.
    """
    command = ["python3", str(PROGRAMS / "web.py"), *dumpable]
    outcome = same_with_and_without(command, CHILDREN, PHP_EXEC, tracing=not dumpable)

    assert outcome.code == 0
    assert outcome.output.count("work.php dropped 1000 5050 1\n") == 2
    assert outcome.output.count("name.php 192.0.2.7 missing.test 1\n") == 2
    assert outcome.output.endswith("ended 0 0\n")


@pytest.mark.parametrize("container", [{"tracing": True}, {"tracing": False}], ids=["SYS_PTRACE", "plain"])
def test_postgresql(container: dict[str, Any]) -> None:
    """A cluster of an unprivileged user under pgbench, with connections each way and parallel workers."""
    outcome = same_with_and_without([str(PROGRAMS / "postgresql.sh")], CHILDREN, user="postgres", **container)

    assert outcome.code == 8
    assert outcome.output.count("200/200") == 2
    assert "through a child\nstopped 3\n" in outcome.output


@CONTAINERS
def test_redis(container: dict[str, Any]) -> None:
    """A server that became a daemon, its benchmark, and snapshots by forks."""
    outcome = same_with_and_without([str(PROGRAMS / "redis.sh")], CHILDREN, **container)

    assert outcome.code == 9
    assert "rdb_last_bgsave_status:ok" in outcome.output
    assert outcome.output.endswith("42\n1\n")


def undumpable(policy: dict[str, Any]) -> Outcome:
    """Two programs that close themselves to the Defender and connect to a denied port, ten times each."""
    script = str(PROGRAMS / "undumpable.py")
    return run(
        ["sh", "-c", f"python3 {script} sly; python3 {script} slier"], guarded=True, policy=policy, tracing=False
    )


def counted(outcome: Outcome, fate: str) -> dict[str, int]:
    """Unjudged calls with this fate, by the name of the program."""
    counts: dict[str, int] = {}
    for event in (audit["event"] for audit in outcome.audits):
        if fate in event.get("detail", ""):
            name = event["detail"].split("`")[1]
            counts[name] = counts.get(name, 0) + event["count"]
    return counts


def test_nobody_closes_himself_to_the_defender_without_being_named() -> None:
    """PR_SET_DUMPABLE hides a call's address: under alert it goes on, and program and number of calls are told."""
    policy = without(CHILDREN, processes="alert", network="alert", dns="alert", files="alert")
    policy["detections"] = dict.fromkeys(policy["detections"], "disable")

    outcome = undumpable(policy)

    assert outcome.output.count("ECONNREFUSED") == 20
    assert counted(outcome, "on the network of it are let through") == {"sly": 10, "slier": 10}


def test_nobody_connects_where_he_may_not_by_closing_himself() -> None:
    """The same where connections are prevented: every call is refused, and counted."""
    outcome = undumpable(without(CHILDREN))

    assert outcome.output.count("EPERM") + outcome.output.count("EACCES") == 20
    assert counted(outcome, "on the network of it are refused") == {"sly": 10, "slier": 10}


def test_the_chamber_has_a_defender_in_it(make_policy: Callable[[str], dict[str, object]]) -> None:
    """Without this the tests above could compare two runs without any Defender."""
    said = ["sh", "-c", "grep ^Seccomp_filters: /proc/self/status; echo still here"]

    assert "Seccomp_filters:\t2\nstill here" in run(said, guarded=True, policy=without(CHILDREN)).output
    assert "Seccomp_filters:\t1\nstill here" in run(said, guarded=False).output
    outcome = run(["sh", "-c", "id; echo $?"], guarded=True, policy=make_policy("id"))
    assert "126\n" in outcome.output
    assert {audit["reason"] for audit in outcome.audits} == {"deniedProcess"}
