"""Settings of the environment."""

from pathlib import Path

import pytest

from bartizan.settings import SettingsError, read_settings


def test_defaults() -> None:
    """With an empty environment the vendor's ports and a directory of the user's own."""
    found = read_settings({"HOME": "/home/ann"})
    assert found.data_directory == Path("/home/ann/.local/share/bartizan")
    assert (found.api_port, found.channel_port) == (8083, 8084)
    assert found.defender_image == f"bartizan/defender:{found.version}"


def test_arguments_win_over_the_environment() -> None:
    """What is given counts before what the environment says; None is not given."""
    environment = {
        "BARTIZAN_DATA": "/data",
        "BARTIZAN_API_ADDRESS": "127.0.0.1:1",
        "BARTIZAN_CHANNEL_ADDRESS": "[::1]:2",
        "BARTIZAN_NAMES": "a.test, b.test,",
        "BARTIZAN_DEFENDER_AMD64": "/defender",
        "BARTIZAN_AUDIT_DAYS": "7",
    }
    found = read_settings(environment, api_port=5, data_directory=None)
    assert (found.api_host, found.api_port) == ("127.0.0.1", 5)
    assert (found.channel_host, found.channel_port) == ("::1", 2)
    assert found.names == ("a.test", "b.test")
    assert (found.data_directory, found.defender_amd64) == (Path("/data"), Path("/defender"))
    assert found.retention.days == 7


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"BARTIZAN_API_ADDRESS": "8083"}, "8083"),
        ({"BARTIZAN_API_ADDRESS": ":x"}, ":x"),
        ({"BARTIZAN_API_ADDRESS": ":70000"}, "70000"),
        ({"BARTIZAN_API_ADDRESS": ":8084"}, "8084"),
        ({"BARTIZAN_AUDIT_DAYS": "many"}, "BARTIZAN_AUDIT_DAYS"),
        ({"BARTIZAN_AUDIT_DAYS": "0"}, "audit retention days"),
    ],
)
def test_a_bad_setting_is_named(environment: dict[str, str], named: str) -> None:
    """Nothing is opened with settings that cannot be right."""
    with pytest.raises(SettingsError, match=named):
        read_settings(environment)


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt argument is not ignored."""
    with pytest.raises(SettingsError, match="apiport"):
        read_settings({}, apiport=1)
