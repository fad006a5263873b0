"""Debuggers, terminals, daemons, signals, and every way of starting a program: alike with and without the Defender."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from chamber import PROGRAMS, run
from comparing import CACHE, same_with_and_without, without

CHILDREN = "notMainProcess"  # they start programs
WRITES_PROGRAMS = ("binaryWritten", "newBinary", "modifiedBinary")  # it writes the scripts that it starts


def compiled(name: str, *options: str) -> str:
    """Path of a C program, built."""
    CACHE.mkdir(parents=True, exist_ok=True)
    built = CACHE / name
    source = str(PROGRAMS / f"{name}.c")
    subprocess.run(["gcc", "-O1", "-g", "-Wall", "-Werror", "-o", str(built), source, *options], check=True)
    return str(built)


@pytest.fixture(scope="session")
def ways() -> str:
    """The program with the ways of starting programs."""
    return compiled("ways", "-pthread")


@pytest.fixture
def alerting() -> dict[str, Any]:
    """The usual policy, which only reports."""
    policy = without(CHILDREN, processes="alert", dns="alert", network="alert", files="alert")
    policy["detections"] = {}
    return policy


def test_every_way_of_starting_a_program(ways: str) -> None:
    """fork, vfork, clone3, posix_spawn, fexecve, a thread's execve with and without its leader, a hundred at once."""
    outcome = same_with_and_without([ways, "starts"], CHILDREN, "memoryProcess", "inlineCode")

    # Docker's profile says of clone3 that there is none; every C library goes on with clone.
    assert "clone3 -10\nclone3 cleared -10\n" in outcome.output
    assert outcome.output.endswith("thread 7\nleader gone 7\nparallel 100\n")


def test_signals_that_restart_calls(ways: str) -> None:
    """A signal every half millisecond, with SA_RESTART: no connect and no program start fails or is interrupted."""
    outcome = same_with_and_without([ways, "restarting"], CHILDREN)

    assert outcome.output == "connects failed 0\nstarted 100\nsignals 1\ninterrupted 0\n"


def test_signals_that_interrupt_calls(ways: str) -> None:
    """Without SA_RESTART a connect may be interrupted, and one that is tried again succeeds."""
    outcome = same_with_and_without([ways, "interrupting"], CHILDREN)

    assert outcome.output == "connects failed 0\nstarted 100\nsignals 1\n"


def test_signals_at_a_program_start(ways: str) -> None:
    """A process that is signalled around its execve starts its program, or dies of the signal as it would."""
    assert same_with_and_without([ways, "bombarded"], CHILDREN).output == "bombarded 100\n"


@pytest.mark.parametrize("effect", ["disable", "alert"])
def test_a_debugger_and_a_tracer_attach(effect: str) -> None:
    """Look at a running program with gdb -p and strace -p, and let it go."""
    policy = without(CHILDREN, files=effect)
    policy["detections"] = {}
    command = ["python3", str(PROGRAMS / "debugging.py"), compiled("debugged")]
    outcome = same_with_and_without(command, policy=policy)

    assert outcome.output == "gdb 0 ['$1 = 4711'] True\nstrace True\nwent on 21\n"


def test_a_debugger_sees_no_memory_where_writes_are_prevented() -> None:
    """Opening another process's memory to write could not be done on the caller's behalf with its own rights."""
    command = ["python3", str(PROGRAMS / "debugging.py"), compiled("debugged")]
    outcome = run(command, guarded=True, policy=without(CHILDREN))

    assert outcome.output == "gdb 0 [] True\nstrace True\nwent on 21\n"


def test_a_program_started_by_a_tracer(alerting: dict[str, Any], ways: str) -> None:
    """A thread has one tracer: what strace starts is refused its programs under prevent, and unwatched under alert."""
    command = ["strace", "-f", "-o", "/dev/null", ways, "true"]
    refused, reported = (run(command, guarded=True, policy=policy) for policy in (without(CHILDREN), alerting))

    assert "Permission denied" in refused.output
    assert {audit["reason"] for audit in refused.audits} == {"defender"}
    assert (reported.code, reported.output) == (0, "")


def test_a_terminal_with_job_control() -> None:
    """Interactive bash: Ctrl-Z, bg, fg, Ctrl-C, the quit key and signals to jobs."""
    outcome = same_with_and_without(["bash", "--norc", "-i"], CHILDREN, terminal=True)

    assert outcome.code == 33
    assert outcome.output.count(" ok\n") == 16


def test_daemons() -> None:
    """Two forks and a session: adopted by PID 1 and reaped by it."""
    outcome = same_with_and_without(["python3", str(PROGRAMS / "daemon.py")], CHILDREN)

    assert outcome.output == "adopted by 1, session of its own True []\n"


def test_a_supervisor_of_services() -> None:
    """s6-svscan starts, restarts and ends a service."""
    outcome = same_with_and_without([str(PROGRAMS / "supervised.sh")], CHILDREN, *WRITES_PROGRAMS)

    assert outcome.output == "down false\nstarted\n"


def test_a_program_of_32_bits() -> None:
    """Its system calls do not exist under the Defender: nothing is written, and nobody else is hurt."""
    foreign = compiled("foreign", "-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector")
    command = ["sh", "-c", f"{foreign}; echo $?; echo still here"]

    assert run(command, guarded=False).output == "thirty-two bits\n5\nstill here\n"
    words = set(run(command, guarded=True, policy=without(CHILDREN)).output.splitlines())
    assert words - {"Illegal instruction"} == {"132", "still here"}


@pytest.mark.parametrize("init", [["tini", "--"], ["dumb-init", "--"]])
def test_an_init_below_the_defender(init: list[str]) -> None:
    """A tini or dumb-init, which is not process 1 then, runs its program, and ends with its status."""
    command = [*init, "sh", "-c", "id -u; exit 21"]
    outcome = run(command, guarded=True, policy=without(CHILDREN))

    assert outcome.audits == ()
    assert outcome.code == 21
    assert "0\n" in outcome.output


def test_a_filter_of_its_own(ways: str) -> None:
    """A program's own filter works below the Defender's; a listener of its own is refused: the kernel gives one."""
    plain = run([ways, "filters"], guarded=False)
    guarded = run([ways, "filters"], guarded=True, policy=without(CHILDREN))

    assert plain.output == "filter 0\nlistener 0\n"
    assert guarded.output == "filter 0\nlistener EBUSY\n"
    assert guarded.audits == ()
