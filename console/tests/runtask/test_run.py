"""Tasks in real containers."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.runtask.conftest import SECCOMP_PROFILE, Bench, container

from bartizan.registry import File, ImageConfig, write_image
from bartizan.runtask import TaskError

DOCKERS_CAPABILITIES = "00000000a80425fb"


def test_the_task_ends_with_the_code_of_its_essential_container(bench: Bench) -> None:
    """The first essential container that ends gives the task its exit code, and others are stopped then."""
    code = bench.run(container("a", "exit 7"), container("b", "trap 'exit 0' TERM; sleep 600 & wait", stopTimeout=1))

    assert code == 7
    assert ("b", "exited") in bench.happened()


def test_a_container_that_is_not_essential_may_end(bench: Bench) -> None:
    """The end of a container that is not essential does not end the task."""
    last = container("last", "exit 3", dependsOn=[{"containerName": "first", "condition": "COMPLETE"}])

    assert bench.run(container("first", "exit 9", essential=False), last) == 3


def test_a_program_killed_by_a_signal_ends_with_128_and_its_number(bench: Bench) -> None:
    """A shell that is killed from outside gives 137."""

    async def work() -> int:
        async with bench.task(container("a", "sleep 600")) as task:
            await task.start()
            os.kill(task.pid("a"), signal.SIGKILL)
            return await task.wait()

    assert bench.drive(work) == 137


def test_a_program_that_handles_sigterm_ends_itself(bench: Bench) -> None:
    """Stop sends SIGTERM first, and the program's own code counts."""

    async def work() -> int:
        async with bench.task(container("a", "trap 'exit 5' TERM; echo ready; sleep 600 & wait")) as task:
            await task.start()
            await bench.line("a", "ready")
            return await task.stop()

    assert bench.drive(work) == 5


def test_a_program_that_ignores_sigterm_is_killed_after_stop_timeout(bench: Bench) -> None:
    """After `stopTimeout` seconds SIGKILL ends what did not listen."""

    async def work() -> int:
        async with bench.task(container("a", "trap '' TERM; echo ready; sleep 600", stopTimeout=1)) as task:
            await task.start()
            await bench.line("a", "ready")
            return await task.stop()

    assert bench.drive(work) == 137


def test_containers_have_dockers_capabilities(bench: Bench) -> None:
    """The bounding set is Docker's default, and what the definition adds and drops changes it."""
    changed = {"linuxParameters": {"capabilities": {"add": ["SYS_PTRACE"], "drop": ["NET_RAW"]}}}
    script = "grep CapBnd /proc/self/status"
    after = [{"containerName": "changed", "condition": "COMPLETE"}]

    bench.run(container("changed", script, essential=False, **changed), container("plain", script, dependsOn=after))

    assert bench.written("plain") == [f"CapBnd:\t{DOCKERS_CAPABILITIES}"]
    expected = (int(DOCKERS_CAPABILITIES, 16) | 1 << 19) & ~(1 << 13)
    assert bench.written("changed") == [f"CapBnd:\t{expected:016x}"]


def test_the_seccomp_profile_is_active(bench: Bench, tmp_path: Path) -> None:
    """A new user namespace, which the kernel would grant to anyone, is refused when the profile does not allow it."""
    profile = json.loads(SECCOMP_PROFILE.read_bytes()) | {"defaultErrnoRet": errno.EPERM}
    for rule in profile["syscalls"]:
        if not rule.get("includes"):
            rule["names"] = [name for name in rule["names"] if name != "unshare"]
    strict = tmp_path / "profile.json"
    strict.write_text(json.dumps(profile))

    code = bench.run(container("a", "unshare -U true; grep Seccomp: /proc/self/status"), seccomp_profile=strict)

    assert code == 0
    assert bench.written("a") == ["unshare: unshare(0x10000000): Operation not permitted", "Seccomp:\t2"]


def test_a_non_root_user_has_its_groups_and_no_capabilities(bench: Bench) -> None:
    """A user by name gets uid, gid and supplementary groups of the image's files, and no effective capability."""
    bench.run(container("a", "id -u; id -g; id -G; echo $HOME; grep CapEff /proc/self/status", user="app"))

    assert bench.written("a") == ["1234", "1234", "1234 77", "/home/app", "CapEff:\t0000000000000000"]


def test_a_read_only_root_cannot_be_written_but_tmpfs_can(bench: Bench) -> None:
    """With `readonlyRootFilesystem` the root refuses writes; a tmpfs takes them."""
    linux = {"tmpfs": [{"containerPath": "/scratch", "size": 1}]}
    code = bench.run(
        container("a", "touch /file || touch /scratch/file", readonlyRootFilesystem=True, linuxParameters=linux)
    )

    assert code == 0
    assert bench.written("a") == ["touch: /file: Read-only file system"]


def test_one_container_does_not_see_anothers_root(bench: Bench) -> None:
    """Containers of the same image write into roots of their own."""
    after = [{"containerName": "first", "condition": "SUCCESS"}]

    assert (
        bench.run(
            container("first", "touch /mine", essential=False), container("second", "test ! -e /mine", dependsOn=after)
        )
        == 0
    )


def test_volumes_from_shares_the_image_volume_read_only(bench: Bench) -> None:
    """The volume of another's image has its content and what was written since, and refuses writes when read-only."""
    shares = {"volumesFrom": [{"sourceContainer": "owner", "readOnly": True}]}
    after = [{"containerName": "owner", "condition": "COMPLETE"}]
    bench.run(
        container("owner", "echo new > /data/new", essential=False),
        container("reader", "cat /data/given /data/new; touch /data/x", dependsOn=after, **shares),
    )

    assert bench.written("reader") == ["from the image", "new", "touch: /data/x: Read-only file system"]


def test_task_volumes_are_shared_by_mount_points(bench: Bench) -> None:
    """A volume of the task is the same directory in all containers that mount it."""
    after = [{"containerName": "writer", "condition": "SUCCESS"}]
    writes = {"mountPoints": [{"sourceVolume": "v", "containerPath": "/there"}]}
    reads = {"mountPoints": [{"sourceVolume": "v", "containerPath": "/here/deep", "readOnly": True}]}
    bench.run(
        container("writer", "echo shared > /there/file", essential=False, **writes),
        container("reader", "cat /here/deep/file; touch /here/deep/x", dependsOn=after, **reads),
        volumes=[{"name": "v"}],
    )

    assert bench.written("reader") == ["shared", "touch: /here/deep/x: Read-only file system"]


def test_environment_secrets_and_working_directory_arrive(bench: Bench) -> None:
    """Variables come from the image, the definition and the secrets; the program starts in `workingDirectory`."""
    bench.run(
        container(
            "a",
            "echo $FROM_IMAGE $COLOUR $TOKEN; pwd",
            environment=[{"name": "COLOUR", "value": "blue"}],
            secrets=[{"name": "TOKEN", "valueFrom": "arn:aws:ssm:x"}],
            workingDirectory="/etc",
        ),
        secrets={"arn:aws:ssm:x": "s3cret"},
    )

    assert bench.written("a") == ["yes blue s3cret", "/etc"]


def test_the_command_of_the_image_runs_when_the_task_sets_none(bench: Bench) -> None:
    """Without `entryPoint` and `command` the image's CMD is the program."""
    bench.run({"name": "a", "image": "busybox"})

    assert bench.written("a") == ["image cmd"]


def test_depends_on_success_fails_with_the_other_container(bench: Bench) -> None:
    """A container that waits for SUCCESS is not started when the other fails, and the task says why."""
    after = [{"containerName": "first", "condition": "SUCCESS"}]

    with pytest.raises(TaskError, match="`second` cannot be started: `first` ended with exit code 4"):
        bench.run(container("first", "exit 4", essential=False), container("second", "echo no", dependsOn=after))

    assert bench.written("second") == []


def test_depends_on_start_orders_containers(bench: Bench) -> None:
    """A container that waits for START starts after the other, whatever their order in the file."""
    after = [{"containerName": "second", "condition": "START"}]
    bench.run(container("first", "exit 0", dependsOn=after), container("second", "sleep 600", stopTimeout=0))

    assert [name for name, kind in bench.happened() if kind == "started"] == ["second", "first"]


def test_depends_on_healthy_waits_for_the_health_check(bench: Bench) -> None:
    """A container starts when the other's check succeeds, which here is when a file appears."""
    check = {"command": ["CMD-SHELL", "test -e /ready"], "interval": 5}
    after = [{"containerName": "server", "condition": "HEALTHY"}]

    async def work() -> int:
        server = container("server", "echo up; sleep 600", healthCheck=check, essential=False, stopTimeout=0)
        async with bench.task(server, container("client", "exit 0", dependsOn=after)) as task:
            starting = asyncio.create_task(task.start())
            await bench.line("server", "up")
            assert ("client", "started") not in bench.happened()
            assert (await task.exec("server", ["touch", "/ready"])).exit_code == 0
            await starting
            return await task.wait()

    assert bench.drive(work) == 0
    assert bench.happened().index(("server", "healthy")) < bench.happened().index(("client", "started"))


def test_a_container_that_never_is_healthy_fails_those_that_wait(bench: Bench) -> None:
    """After `retries` failures the container is unhealthy, and the task cannot be started."""
    check = {"command": ["CMD", "/bin/test", "-e", "/never"], "interval": 5, "retries": 2}
    after = [{"containerName": "server", "condition": "HEALTHY"}]

    with pytest.raises(TaskError, match="`server` never was healthy"):
        bench.run(container("server", "sleep 600", healthCheck=check), container("client", "exit 0", dependsOn=after))

    assert ("server", "unhealthy") in bench.happened()


def test_the_namespace_is_there_before_the_start_and_apart_from_the_host(bench: Bench) -> None:
    """A server in the task's namespace is reached by the task on loopback; the host's interfaces are not seen."""

    async def work() -> int:
        async with bench.task(container("a", "wget -q -O - http://127.0.0.1:8000/; ip -o link | grep -c .")) as task:
            server = await asyncio.create_subprocess_exec(
                "nsenter", f"--net={task.namespace}", "busybox", "nc", "-l", "-p", "8000",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            assert server.stdin is not None
            server.stdin.write(b"HTTP/1.0 200 OK\r\n\r\nfrom the namespace\n")
            server.stdin.close()
            await task.start()
            code = await task.wait()
            if server.returncode is None:
                server.kill()
            await server.wait()
            return code

    assert bench.drive(work) == 0
    assert bench.written("a") == ["from the namespace", "1"]


def test_the_task_and_the_host_reach_each_other_by_cable(bench: Bench) -> None:
    """With network `task` the addresses are known before the start, and the host's server answers the task."""

    async def work() -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nfrom the host\n")
            await writer.drain()
            writer.close()

        script = "wget -q -O - http://$PLACE/; cat /etc/resolv.conf"
        secrets = {"PLACE": ""}
        definition = container("a", script, secrets=[{"name": "PLACE", "valueFrom": "arn"}])
        async with bench.task(definition, network="task", name_server="192.0.2.1", secrets=secrets) as task:
            server = await asyncio.start_server(answer, task.host_address, 0)
            host, port = server.sockets[0].getsockname()
            secrets["PLACE"] = f"{host}:{port}"
            async with server:
                await task.start()
                return await task.wait()

    assert bench.drive(work) == 0
    assert bench.written("a") == ["from the host", "nameserver 192.0.2.1"]


def test_a_program_that_does_not_exist_is_one_clear_error(bench: Bench) -> None:
    """The error names the container and runc's reason."""
    with pytest.raises(TaskError, match=r"container `a` cannot be started: .*no-such-program"):
        bench.run({"name": "a", "image": "busybox", "entryPoint": ["/no-such-program"]})


def test_a_scratch_image_runs(bench: Bench, tmp_path: Path) -> None:
    """An image of a single binary has no shell, no /etc and no account files, and runs."""
    out = tmp_path / "scratch.tar"
    files = [File("/busybox", 0o755, Path("/bin/busybox"))]
    write_image(out, files=files, config=ImageConfig(user="5:6"), reference="scratch:1", architecture="amd64")

    code = bench.run({"name": "a", "image": f"archive:{out}", "entryPoint": ["/busybox", "id", "-u"]})

    assert (code, bench.written("a")) == (0, ["5"])


def test_nothing_is_left_of_a_task(bench: Bench) -> None:
    """After a task no mount, namespace, interface, cgroup, process or file is there, although it was cut short."""

    async def work() -> tuple[str, int]:
        async with bench.task(container("a", "sleep 600"), network="task") as task:
            await task.start()
            return Path(task.namespace).name.removeprefix("bartizan-"), task.pid("a")

    identity, pid = bench.drive(work)

    assert leftovers(identity, bench.cache) == []
    assert not Path(f"/proc/{pid}").exists()


def test_what_a_dead_runner_left_is_removed_by_the_next(bench: Bench) -> None:
    """When a runner is killed its containers live on; the next run removes them and all else of that run."""
    program = f"""
        import asyncio, sys
        from pathlib import Path
        from bartizan.runtask import TaskRun

        async def work():
            definition = {{"containerDefinitions": [{container("a", "sleep 600")!r}]}}
            images = {{"busybox": {bench.task(container("a", ""))._images["busybox"]!r}}}
            async with TaskRun(definition, images=images, seccomp_profile=Path({str(SECCOMP_PROFILE)!r}),
                               cache_dir=Path({str(bench.cache)!r})) as task:
                await task.start()
                print(Path(task.namespace).name.removeprefix("bartizan-"), task.pid("a"), flush=True)
                await task.wait()

        asyncio.run(work())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    ) as runner:
        assert runner.stdout is not None
        identity, pid = runner.stdout.readline().split()
        runner.kill()
    assert leftovers(identity, bench.cache) != []

    bench.run(container("next", "exit 0"))

    assert leftovers(identity, bench.cache) == []
    assert not Path(f"/proc/{pid}").exists()


def leftovers(identity: str, cache: Path) -> list[str]:
    """Return what is still there of a run."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if identity in line]
    cgroups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if identity in folder]
    links = [str(path) for path in Path("/sys/class/net").glob(f"btz{identity}")]
    names = [str(path) for path in Path("/run/netns").glob(f"*{identity}*")]
    return [*mounts, *cgroups, *links, *names, *map(str, (cache / "tasks").glob(f"*{identity}*"))]
