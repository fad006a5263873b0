"""`bartizan waf discovery` against a real Console."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, running_console
from tests.cli.test_waf import bartizan
from tests.waas.discovery import endpoint, tell
from tests.waas.policies import PATH, application, rule

ONE = ("--app-id", "shop:1", "--application", "storefront")
TABLE = """\
APP ID  APPLICATION  METHOD  PATH               HITS   LAST SEEN                  FLAGS
shop:1  storefront   GET     /orders/{id}       1      2025-11-21T12:00:01+00:00  -
shop:1  storefront   POST    /pay\\x1b[31m/{id}  1,200  2025-11-21T12:00:01+00:00  sensitive, unauthenticated, shadow
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console to which a Defender told of two operations, one of which the policy describes."""
    folder = tmp_path_factory.mktemp("discovery")
    endpoints = [{"exposedPort": 80, "internalPort": 8080}]
    paths = [{"path": "/orders/{id}", "methods": [{"method": "GET"}]}]
    with running_console(folder / "data") as running:
        running.sign_up()
        with running.client() as client:
            given = application(apiSpec={"endpoints": endpoints, "paths": paths})
            assert client.put(PATH, json={"rules": [rule("shop", given)]}).status_code == 200
        end = DefenderEnd(running, running.bundle(), folder)
        end.connect()
        risky = endpoint("/pay\x1b[31m/{id}", "POST", hits=1200, sensitive=True, unauthenticated=True)
        tell(end, endpoint(), risky)
        yield running
        end.close()


def test_operations_are_listed(console: ConsoleUnderTest) -> None:
    """The table escapes what would steer a terminal; filters reach the Console, and `--json` is what the API gives."""
    assert bartizan(console, "discovery", "list") == (0, TABLE, "")
    lines = bartizan(console, "discovery", "list", "--shadow", "--json")[1].splitlines()
    assert [(item["method"], item["shadow"]) for item in map(json.loads, lines)] == [("POST", True)]
    assert bartizan(console, "discovery", "list", "--described")[1].splitlines()[1].split()[2] == "GET"
    code, out, err = bartizan(console, "discovery", "list", "--limit", "1")
    assert (code, len(out.splitlines()), err) == (0, 2, "these are 1 of 2 operations; --limit shows more\n")
    nothing = bartizan(console, "discovery", "list", "--app-id", "other")
    assert nothing == (0, "", "nothing was discovered: no request to an API was answered yet\n")
    assert "there is no `loud`" in bartizan(console, "discovery", "list", "--risk", "loud")[2]


def test_an_export_becomes_an_api_spec(console: ConsoleUnderTest, tmp_path: Path) -> None:
    """What `export` writes, `api-spec` reads; what nobody told of is an error."""
    file = tmp_path / "openapi.json"
    assert bartizan(console, "discovery", "export", *ONE, "--output-file", str(file)) == (0, "", "")
    code, out, err = bartizan(console, "api-spec", str(file))
    assert (code, err) == (0, "")
    assert [item["path"] for item in json.loads(out)["paths"]] == ["/orders/{id}", "/pay%1B%5B31m/{id}"]
    code, out, err = bartizan(console, "discovery", "export", "--app-id", "other", "--application", "storefront")
    assert (code, out, "nothing was discovered of the application `storefront` of `other`" in err) == (1, "", True)


def test_discoveries_are_forgotten(console: ConsoleUnderTest) -> None:
    """Then nothing is listed, and there is nothing more to forget."""
    done = bartizan(console, "discovery", "forget", *ONE)
    assert done == (0, "what was discovered of `storefront` of `shop:1` is forgotten\n", "")
    assert bartizan(console, "discovery", "list")[1] == ""
    assert bartizan(console, "discovery", "forget", *ONE)[0] == 1
