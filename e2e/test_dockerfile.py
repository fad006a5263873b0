"""Images with the Defender in them: built by buildah, run by runc, judged by a real Console's policy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bases import DOCKERFILES, add_bases
from builder import Builder, Built
from console import Console, running_console
from task import CONSOLE_NAME, Task
from test_spine import rule

RunImage = Callable[..., Task]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One Console for all images; it denies one program."""
    with running_console(tmp_path_factory.mktemp("console") / "data", CONSOLE_NAME) as started:
        started.put_policy(rule("prevent", processes={"blacklist": ["hostid"]}))
        yield started


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A builder that has all base images."""
    folder = tmp_path_factory.mktemp("builder")
    made = Builder(folder)
    add_bases(made, folder)
    return made


@pytest.fixture
def run_image(tmp_path: Path) -> Iterator[RunImage]:
    """Run a built image as a task of one container."""
    tasks: list[Task] = []

    def run(image: Built, *, read_only: bool = False, **environment: str) -> Task:
        definition = tmp_path / f"task{len(tasks)}.json"
        container = {
            "name": "app",
            "image": "built:1",
            "readonlyRootFilesystem": read_only,
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
        }
        definition.write_text(json.dumps({"family": "built", "containerDefinitions": [container]}))
        tasks.append(Task(definition, {"built:1": image.source}))
        return tasks[-1]

    yield run
    for task in tasks:
        task.close()


def output(task: Task) -> list[str]:
    """What the probe printed, when its task has ended."""
    task.wait()
    return [line for line in task.log().splitlines() if line.startswith("app | probe")]


def test_the_manual_way(console: Console, builder: Builder, run_image: RunImage, tmp_path: Path) -> None:
    """What the page says to do by hand gives an image whose program runs as before, under the policy."""
    context = tmp_path / "context"
    shutil.copytree(DOCKERFILES / "manual", context)
    tarball = console.request("GET", "images/twistlock_defender_app_embedded.tar.gz").content
    (context / "defender_app_embedded.tar.gz").write_bytes(tarball)
    bundle = console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME}).json()
    values = {"INSTALL_BUNDLE": bundle["bundle"], "WS_ADDRESS": bundle["wsAddress"]}

    image = builder.build(context, *(f"--build-arg={name}={value}" for name, value in values.items()))
    lines = output(run_image(image, read_only=True, PROBE="attack"))

    assert lines[:3] == [
        "app | probe runs as 1000:1000 in /srv with 2 arguments",
        "app | probe got <one>",
        "app | probe got <two>",
    ]
    assert lines[-1] == "app | probe could not run the program: 126"
    audit = console.wait_for_audit(lambda audit: audit["appID"] == "shop:manual", what="the prevented program")
    assert (audit["effect"], audit["processPath"]) == ("prevent", "/bin/hostid")
    assert not [line for line in lines if "INSTALL" in line]
