"""Images with the Defender in them: built by buildah, run by runc, judged by a real Console's policy."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bases import add_bases
from builder import Builder, Built, layer_file
from console import Console, Json
from embedding import Case, Workshop
from images import DEFENDER
from task import CONSOLE_NAME, Task
from test_spine import rule

RunImages = Callable[..., Task]
STARTS = "base.test/starts:1"
CASES = (
    Case("scratch"),
    Case("inherited", base=STARTS),
    Case("command-only", base="base.test/plain:1"),
    Case("shell-form"),
    Case("own-entrypoint"),
    Case("stages", target="final", build_args={"VERSION": "1"}),
    Case("onto-another-stage", base=STARTS),
)
FOR_ARM64 = b"\x7fELF" + bytes(14) + b"\xb7\x00, a Defender for arm64"
OURS = ("Entrypoint", "Cmd", "Env", "Image", "Hostname")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One Console for all images; it has Defenders for two architectures, and denies one program and one port."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "arm64").write_bytes(FOR_ARM64)
    environment = {**os.environ, "BARTIZAN_DEFENDER_ARM64": str(folder / "arm64")}
    started = Console(folder / "data", names=(CONSOLE_NAME,), environment=environment)
    started.start()
    try:
        denied = {"blacklistOutboundPorts": [{"start": 9, "end": 9}]}
        started.put_policy(rule("prevent", processes={"blacklist": ["hostid"]}, network=denied))
        yield started
    finally:
        started.end()


@pytest.fixture(scope="module")
def workshop(console: Console, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A builder that has all base images."""
    folder = tmp_path_factory.mktemp("builder")
    builder = Builder(folder)
    return Workshop(console, builder, add_bases(builder, folder), folder)


@pytest.fixture
def run_images(tmp_path: Path) -> Iterator[RunImages]:
    """Run built images as the containers of one task, one after the other."""
    tasks: list[Task] = []

    def run(*, read_only: bool = False, environment: dict[str, str], **images: Built) -> Task:
        definition = tmp_path / f"task{len(tasks)}.json"
        names = list(images)
        containers = [
            {
                "name": name,
                "image": name,
                "essential": name == names[-1],
                "dependsOn": [{"containerName": earlier, "condition": "COMPLETE"} for earlier in names[:index]],
                "readonlyRootFilesystem": read_only,
                "environment": [{"name": key, "value": value} for key, value in environment.items()],
            }
            for index, name in enumerate(names)
        ]
        definition.write_text(json.dumps({"family": "built", "containerDefinitions": containers}))
        tasks.append(Task(definition, {name: image.source for name, image in images.items()}))
        return tasks[-1]

    yield run
    for task in tasks:
        task.close()


def printed(task: Task, container: str) -> list[str]:
    """What the probe of a container printed, and how the container ended."""
    ours = (f"{container} | probe ", f"task | {container} exited: ")
    return [line.partition(" | ")[2] for line in task.log().splitlines() if line.startswith(ours)]


def is_of(audit: Json, app_id: str, kind: str) -> bool:
    """Whether an audit comes from an app and says that something was done that is denied."""
    return (audit["appID"], audit["attackType"]) == (app_id, kind)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_protected_image_runs_as_before_but_for_what_is_denied(
    case: Case, console: Console, workshop: Workshop, run_images: RunImages
) -> None:
    """Same user, folder, arguments, environment, exit code; only what is denied is not done, and is audited."""
    original, protected = workshop.original(case), workshop.protected(case)

    task = run_images(protected=protected, original=original, read_only=True, environment={"PROBE": "attack"})

    assert task.wait() == 3
    before, after = printed(task, "original"), printed(task, "protected")
    assert before[-2:] == ["probe ran the program", "original exited: exit code 3"]
    assert after == [*before[:-2], "probe could not run the program: 126", "protected exited: exit code 3"], task.log()
    kept = {name: value for name, value in original.config.items() if name not in OURS}
    assert {name: value for name, value in protected.config.items() if name not in OURS} == kept
    for kind in ("explicitlyDeniedProcess", "explicitlyDeniedOutboundPort"):
        audit = console.wait_for_audit(lambda audit, kind=kind: is_of(audit, case.app_id, kind), what=kind)
        assert (audit["effect"], audit["processPath"]) == ("prevent", "/bin/busybox")
    assert {defender["type"] for defender in console.defenders(search=case.app_id)} == {"appEmbedded"}


@pytest.mark.parametrize("case", [CASES[0], CASES[1]], ids=["scratch", "inherited"])
def test_the_stop_signal_reaches_the_program(case: Case, workshop: Workshop, run_images: RunImages) -> None:
    """The image's own stop signal goes through the Defender to the program, whose handler decides the exit code."""
    image = workshop.protected(case)
    stop_signal = str(image.config.get("StopSignal") or "TERM")
    task = run_images(app=image, environment={"PROBE": "wait", "PROBE_SIGNAL": stop_signal})
    task.wait_for_log("probe waits")

    assert task.stop() == 7
    assert "probe caught the signal" in task.log()


def test_the_api_gives_the_archive_of_the_command(workshop: Workshop) -> None:
    """The vendor's call answers with the very ZIP that the command writes, and it holds all that is needed."""
    case = CASES[5]

    archive = workshop.by_request(case)

    assert archive == workshop.by_command(case)
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert names == ["Dockerfile", "README.md", "bartizan/defender-amd64.tar", "bartizan/defender-arm64.tar"]


def test_an_image_for_arm64_gets_the_defender_for_arm64(workshop: Workshop) -> None:
    """One ZIP serves both architectures: the builder's own variable picks the Defender."""
    context = workshop.unpacked(CASES[0])

    for architecture, content in (("amd64", DEFENDER.read_bytes()), ("arm64", FOR_ARM64)):
        image = workshop.builder.build(context, f"--platform=linux/{architecture}")
        found = layer_file(image, "bartizan/defender")
        assert found.mode & 0o777 == 0o755
        assert found.content == content


def test_the_manual_way(console: Console, workshop: Workshop, run_images: RunImages) -> None:
    """What the page says to do by hand gives an image whose program runs as before, under the policy."""
    context = workshop.context("manual")
    tarball = console.request("GET", "images/twistlock_defender_app_embedded.tar.gz").content
    (context / "defender_app_embedded.tar.gz").write_bytes(tarball)
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME}).json()
    values = {"INSTALL_BUNDLE": bundle["bundle"], "WS_ADDRESS": bundle["wsAddress"]}

    image = workshop.builder.build(context, *(f"--build-arg={name}={value}" for name, value in values.items()))
    task = run_images(app=image, read_only=True, environment={"PROBE": "attack"})

    assert task.wait() == 3
    lines = printed(task, "app")
    assert lines[:3] == ["probe runs as 1000:1000 in /srv with 2 arguments", "probe got <one>", "probe got <two>"]
    assert "probe could not run the program: 126" in lines
    audit = console.wait_for_audit(
        lambda audit: is_of(audit, "shop:manual", "explicitlyDeniedProcess"), what="the prevented program"
    )
    assert (audit["effect"], audit["processPath"]) == ("prevent", "/bin/busybox")


def test_the_program_cannot_read_the_install_bundle(workshop: Workshop, run_images: RunImages) -> None:
    """Root inside the container finds the bundle in no process: the Defender's own memory and environment are shut."""
    image = workshop.protected(CASES[2])
    task = run_images(app=image, environment={"PROBE": "search"})
    task.wait()

    assert "probe searched as 0" in task.log()
    assert "app | /proc" not in task.log(), task.log()


@pytest.mark.parametrize(("fail_mode", "code"), [("closed", 78), ("open", 3)])
def test_without_a_console_the_fail_mode_decides(
    fail_mode: str, code: int, workshop: Workshop, run_images: RunImages
) -> None:
    """What is given at the start counts more than what is in the image: here a Console that is not there."""
    bundle = workshop.console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME}).json()
    nowhere = f"wss://{CONSOLE_NAME}:1"
    document = {**json.loads(base64.b64decode(bundle["bundle"])), "addresses": [nowhere]}
    environment = {
        "INSTALL_BUNDLE": base64.b64encode(json.dumps(document).encode()).decode(),
        "WS_ADDRESS": nowhere,
        "DEFENDER_FAIL_MODE": fail_mode,
        "DEFENDER_POLICY_TIMEOUT": "1",
    }

    task = run_images(app=workshop.protected(CASES[0]), environment=environment)

    assert task.wait() == code
    assert ("probe runs" in task.log()) == (fail_mode == "open")


def test_the_defender_tells_each_thing_in_one_piece() -> None:
    """A line of the Defender is one write: what the program writes at the same time does not come into its middle."""
    reading, writing = os.pipe2(os.O_DIRECT)  # packets: one read gives what one write wrote (pipe(2))
    with os.fdopen(reading, "rb", buffering=0) as packets:
        with os.fdopen(writing, "wb") as errors:
            subprocess.run([str(DEFENDER), "app-embedded", "/bin/true"], env={}, stderr=errors, check=False)
        assert packets.read(4096) == b"bartizan: `DEFENDER_APP_ID` is not set\n"
