"""One real Console for the tests of a module, and Defenders for it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, running_console


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console with an administrator."""
    with running_console(tmp_path_factory.mktemp("console") / "data") as running:
        running.sign_up()
        yield running


@pytest.fixture
def defender(console: ConsoleUnderTest, tmp_path: Path) -> Iterator[Callable[..., DefenderEnd]]:
    """Return a maker of Defenders; their links are closed at the end."""
    made: list[DefenderEnd] = []

    def make(**given: Any) -> DefenderEnd:
        end = DefenderEnd(console, console.bundle(), tmp_path, **given)
        made.append(end)
        return end

    yield make
    for end in made:
        end.close()
