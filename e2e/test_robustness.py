"""What happens when parts fail: Console gone, Defender killed, unusual images and users."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from console import Console, Json
from images import BUSYBOX_SHELL_PORT, SCRATCH_DEFINITION, SEED_DEFINITION
from task import Task
from test_spine import rule
from waiting import eventually

RunTask = Callable[..., Task]
SHELLS_ALERT = rule("alert", processes={"blacklist": ["id"]})


def changed(definition: Json, **container: Any) -> Json:
    """The definition with other settings in its first container."""
    copied = copy.deepcopy(definition)
    copied["containerDefinitions"][0] |= container
    return copied


def test_no_audit_is_lost_or_doubled_when_the_console_is_killed(console: Console, run_task: RunTask) -> None:
    """Events before, during and after the Console's absence are all there afterwards, each once."""
    console.put_policy(SHELLS_ALERT)
    task = run_task(SEED_DEFINITION)
    marks = [f"mark{number}" for number in range(30)]
    for mark in marks[:10]:
        task.track(f"BTZ-1 -exec id {mark} ;")
    console.kill()
    for mark in marks[10:20]:
        task.track(f"BTZ-1 -exec id {mark} ;")
    console.start()
    for mark in marks[20:]:
        task.track(f"BTZ-1 -exec id {mark} ;")

    def all_there() -> list[Json] | None:
        audits = console.audits()
        return audits if len(audits) >= len(marks) else None

    audits = eventually(all_there, what="thirty audits", otherwise=lambda: str(len(console.audits())))
    commands = sorted(audit["command"] for audit in audits)
    assert commands == sorted(f"id {mark}" for mark in marks)


def test_the_last_good_policy_is_enforced_without_the_console(console: Console, run_task: RunTask) -> None:
    """With the Console gone, prevention goes on."""
    console.put_policy(rule("prevent", processes={"blacklist": ["id"]}))
    task = run_task(SEED_DEFINITION)
    console.kill()

    assert "uid=" not in task.track("BTZ-1 -exec id ;")
    console.start()
    console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="the prevention during the absence")


def test_killing_the_defender_ends_the_container(console: Console, run_task: RunTask) -> None:
    """An application never outlives its Defender: PID 1's end is the container's."""
    console.put_policy(SHELLS_ALERT)
    task = run_task(SEED_DEFINITION)

    task.kill_container("web")

    assert task.wait() != 0


def test_a_disconnected_defender_is_listed_as_such(console: Console, run_task: RunTask) -> None:
    """The list shows a running Defender as connected, and not after its task has stopped."""
    console.put_policy(SHELLS_ALERT)
    task = run_task(SEED_DEFINITION)
    assert [defender["type"] for defender in console.defenders(connected=True)] == ["fargate"]

    task.stop()

    eventually(
        lambda: not console.defenders(connected=True),
        what="the Defender gone",
        otherwise=lambda: str(console.defenders()),
    )
    assert len(console.defenders()) == 1


def test_an_image_with_nothing_but_one_file(console: Console, run_task: RunTask) -> None:
    """A scratch image, without shell, libc, /tmp or passwd, is protected like any other."""
    console.put_policy(rule("prevent", processes={"blacklist": ["id"]}))
    task = run_task(SCRATCH_DEFINITION, port=BUSYBOX_SHELL_PORT)

    assert "scratch" in task.converse(BUSYBOX_SHELL_PORT, "echo scratch; exit\n")
    assert "uid=" not in task.converse(BUSYBOX_SHELL_PORT, "/busybox id; exit\n")
    console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="the prevented program")


def test_a_user_without_rights_and_a_read_only_root(console: Console, run_task: RunTask) -> None:
    """A non-root user on a read-only root is protected too."""
    console.put_policy(rule("prevent", processes={"blacklist": ["sh"]}))
    task = run_task(changed(SEED_DEFINITION, user="1000", readonlyRootFilesystem=True))

    assert "uid=1000" in task.track("BTZ-1 -exec id ;")
    assert "uid=1000" not in task.track("BTZ-1 -exec sh -c id ;")
    console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="the prevented shell")


def test_the_exit_code_is_the_applications(console: Console, run_task: RunTask) -> None:
    """The task ends with the code that its application ended with."""
    console.put_policy(SHELLS_ALERT)
    task = run_task(changed(SEED_DEFINITION, entryPoint=["/bin/sh", "-c", "exit 42"]), ready=False)

    assert task.wait() == 42


def test_the_stop_signal_reaches_the_application(console: Console, run_task: RunTask) -> None:
    """SIGTERM goes through PID 1 to the application, whose own handler decides."""
    console.put_policy(SHELLS_ALERT)
    script = "trap 'echo caught; exit 7' TERM; echo waiting; while :; do sleep 0.1; done"
    task = run_task(changed(SEED_DEFINITION, entryPoint=["/bin/sh", "-c", script]), ready=False)
    task.wait_for_log("waiting")

    assert task.stop() == 7
    assert "caught" in task.log()


def test_the_application_sees_its_own_environment_only(console: Console, run_task: RunTask) -> None:
    """Nothing that the embedding added to the environment reaches the application."""
    console.put_policy(SHELLS_ALERT)
    task = run_task(SEED_DEFINITION)

    names = {line.split("=", 1)[0] for line in task.track("BTZ-1 -exec env ;").splitlines()}

    assert "PATH" in " ".join(names)
    assert not [name for name in names if "DEFENDER" in name or "BUNDLE" in name or "FARGATE_TASK" in name]


def test_a_fail_closed_task_does_not_start_without_a_policy(console: Console, run_task: RunTask) -> None:
    """Without a Console, `closed` never starts the application; `open` does, and the gap is reported."""
    console.kill()
    task = run_task(SEED_DEFINITION, fail_mode="closed", policy_timeout=1, ready=False)
    assert task.wait() != 0
    assert "GET" not in task.log()

    open_task = run_task(SEED_DEFINITION, fail_mode="open", policy_timeout=1)
    assert "BTZ-1" in open_task.track("BTZ-1")
    console.start()
    console.wait_for_audit(lambda audit: "policy" in audit["msg"], what="the gap")
