"""The Defender as process 1 of real containers, attacked from a shell beside the application."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console import BARTIZAN, Console, Json
from images import BUSYBOX_SHELL_PORT, SCRATCH_DEFINITION
from task import CONSOLE_NAME, Task
from test_robustness import changed
from test_spine import rule
from waiting import eventually

# Each line names itself when it works. Process 1 is the Defender, or without it the application's first process.
ATTACKS = """
b=/busybox
$b cat /proc/1/environ >/dev/null 2>&1 && echo environment
$b cat /proc/1/maps 2>/dev/null | $b grep -q . && echo maps
$b dd if=/dev/null of=/proc/1/mem 2>/dev/null && echo memory
$b readlink /proc/1/fd/0 >/dev/null 2>&1 && echo descriptors
$b readlink /proc/1/exe >/dev/null 2>&1 && echo program
$b ls /proc/1/root/ >/dev/null 2>&1 && echo root
$b renice -n 5 -p 1 >/dev/null 2>&1 && echo priority
$b taskset -p 1 1 >/dev/null 2>&1 && echo processors
$b ionice -c 3 -p 1 >/dev/null 2>&1 && echo input-output
$b kill -9 1 2>/dev/null
$b kill -19 1 2>/dev/null
exit
"""
WORKING_WITHOUT = {
    *("environment", "maps", "memory", "descriptors", "program", "root"),
    *("priority", "processors", "input-output"),
}


@pytest.fixture
def run_changed(console: Console, images: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Task]]:
    """Run a definition, protected or not, with or without the capability that embedding adds."""
    bundle = tmp_path / "bundle.json"
    bundle.write_text(console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME}).text)
    tasks: list[Task] = []

    def run(definition: Json, *, protected: bool = True, capability: bool = True) -> Task:
        path = tmp_path / f"changed{len(tasks)}.json"
        path.write_text(json.dumps(definition))
        if protected:
            command = [*BARTIZAN, "app-embedded", "generate-fargate-task", "--bundle", str(bundle)]
            subprocess.run([*command, "--output-file", str(path), str(path)], check=True)
        if protected and not capability:
            written = json.loads(path.read_text())
            for container in written["containerDefinitions"]:
                container.get("linuxParameters", {}).get("capabilities", {}).pop("add", None)
            path.write_text(json.dumps(written))
        task = Task(path, images)
        tasks.append(task)
        task.wait_until_serving(BUSYBOX_SHELL_PORT)
        return task

    yield run
    for task in tasks:
        task.close()


@pytest.mark.parametrize("user", ["0", "1000"])
@pytest.mark.parametrize("capability", [True, False])
def test_no_attack_on_process_one_works(
    console: Console, run_changed: Callable[..., Task], user: str, *, capability: bool
) -> None:
    """Under Docker's default profile, as root and not, with and without SYS_PTRACE, nothing reaches the Defender."""
    console.put_policy(rule("alert", processes={"blacklist": ["never"]}))
    task = run_changed(changed(SCRATCH_DEFINITION, user=user), capability=capability)

    assert task.converse(BUSYBOX_SHELL_PORT, ATTACKS).split() == []

    assert "alive" in task.converse(BUSYBOX_SHELL_PORT, "echo alive\nexit\n"), "the container goes on"

    def told() -> Json | None:
        listed = [one for defender in console.defenders(connected=True) for one in defender["workloads"]]
        return next((one for one in listed if one["container"] == "only" and one["tier"]), None)

    workload = eventually(told, what="the tier", otherwise=task.log)
    assert workload["tier"] == (1 if capability else 2), workload
    assert capability or "SYS_PTRACE" in " ".join(workload["tierReasons"])


@pytest.mark.parametrize("user", ["0", "1000"])
def test_the_same_attacks_work_on_an_ordinary_process(run_changed: Callable[..., Task], user: str) -> None:
    """Without the Defender, the first process of the same container is open to all of them."""
    # Process 1 has no handler for SIGTERM, so the kernel drops it.
    task = run_changed(changed(SCRATCH_DEFINITION, user=user, stopTimeout=2), protected=False)

    assert set(task.converse(BUSYBOX_SHELL_PORT, ATTACKS).split()) >= WORKING_WITHOUT


def test_a_process_from_outside_is_judged(console: Console, run_changed: Callable[..., Task]) -> None:
    """What enters a running container as ECS Exec does is traced, and may not start what the policy denies."""
    console.put_policy(rule("prevent", processes={"blacklist": ["date"]}))
    task = run_changed(SCRATCH_DEFINITION)
    first = str(task.process_id("only"))
    enter = ["nsenter", "--target", first, "--pid", "--mount", "/busybox", "sh"]
    outsider = subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert outsider.stdin is not None
    children = Path(f"/proc/{outsider.pid}/task/{outsider.pid}/children")

    def traced() -> bool:
        inner = children.read_text().split()
        return bool(inner) and "TracerPid:\t0" not in Path(f"/proc/{inner[0]}/status").read_text()

    eventually(traced, what="the process from outside being traced", otherwise=task.log)
    out, _ = outsider.communicate("/busybox date; echo $?; /busybox true; echo $?\n", timeout=20)

    assert out.split() == ["137", "0"]
    console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="the program of the process from outside")
