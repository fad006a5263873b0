"""One real Console for the tests of a module."""

from collections.abc import Iterator

import pytest
from tests.channel.running import ConsoleUnderTest, running_console


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console with an administrator and a file as its Defender."""
    directory = tmp_path_factory.mktemp("console")
    binary = directory / "defender"
    binary.write_bytes(b"\x7fELF" + bytes(range(256)) * 3000)
    with running_console(directory / "data", defender_amd64=binary, names=("console.test",)) as running:
        running.sign_up()
        yield running
