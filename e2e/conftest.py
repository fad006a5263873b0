"""Fixtures: images once per session, a fresh Console and its own tasks for each test."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console import BARTIZAN, Console, Json, running_console
from images import SHOP_PORT, build_images
from task import CONSOLE_NAME, Task


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All images, by the reference that definitions use."""
    return build_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """A fresh Console with an administrator."""
    with running_console(tmp_path / "console", CONSOLE_NAME) as started:
        yield started


@pytest.fixture
def run_task(console: Console, images: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Task]]:
    """Protect a definition with the Console's bundle, and run it."""
    bundle = tmp_path / "bundle.json"
    answer = console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME})
    bundle.write_text(answer.text)
    tasks: list[Task] = []

    def run(definition: Json, *, port: int = SHOP_PORT, ready: bool = True, **options: object) -> Task:
        plain, protected = tmp_path / f"task{len(tasks)}.json", tmp_path / f"protected{len(tasks)}.json"
        plain.write_text(json.dumps(definition))
        given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [*BARTIZAN, "app-embedded", "generate-fargate-task", "--bundle", str(bundle), *given]
        subprocess.run([*command, "--output-file", str(protected), str(plain)], check=True)
        task = Task(protected, images)
        tasks.append(task)
        if ready:
            task.wait_until_serving(port)
        return task

    yield run
    for task in tasks:
        task.close()
