"""A firewall before a web process of Cloud Foundry: its $PORT, the way back, refusals and warnings."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.embed_cloud_foundry.manifests import loaded, settings

from bartizan.embed import EmbedError
from bartizan.embed.cloud_foundry import ManifestProtection, protect, unprotect, verify
from bartizan.embed.cloud_foundry.start_command import unwrap, wrap
from bartizan.embed.waas_ports import WaasPort

MANIFEST = """\
applications:
- name: shop
  command: ./shop --port $PORT  # the web process
  processes:
  - type: worker
    command: ./worker
  sidecars:
  - name: cache
    process_types: [web]
    command: ./cache
"""
EXPORT = "export DEFENDER_WAAS_PORTS=8080:8081 PORT=8081 VCAP_APP_PORT=8081; "


def protected(text: str, ports: dict[str, str] | None = None, **changes: Any) -> ManifestProtection:
    """Return a manifest protected, with a firewall on the ports of its only app unless others are given."""
    return protect(text, settings=settings(waas_ports={"": "8080:8081"} if ports is None else ports, **changes))


def test_the_web_process_finds_another_port() -> None:
    """The web process alone is told of the ports: processes beside it share its network, and must not take its port."""
    (app,) = loaded(protected(MANIFEST).text)["applications"]

    assert app["command"] == f"{EXPORT}exec ./defender app-embedded ./shop --port $PORT"
    assert app["processes"][0]["command"] == "exec ./defender app-embedded ./worker"
    assert app["sidecars"][0]["command"] == "exec ./defender app-embedded ./cache"
    assert "DEFENDER_WAAS_PORTS" not in app["env"]


def test_it_has_a_way_back() -> None:
    """Unprotecting gives the bytes back, protecting again changes nothing, and leaving the port out takes it away."""
    made = protected(MANIFEST)

    assert unprotect(made.text) == MANIFEST
    assert protected(made.text).edits == ()
    assert protected(made.text, {}).text == protected(MANIFEST, {}).text
    changed = unprotect(made.text.replace("./cache", "./store"))
    assert loaded(changed) == loaded(MANIFEST.replace("./cache", "./store"))
    assert verify(made.text, version="0.1.0", settings=settings(waas_ports={"": "8080:8081"})) == []
    assert made.report.moved_ports == ("the Defender of `shop` takes port 8080, its web process finds 8081 in $PORT",)


@pytest.mark.parametrize("line", ["./shop --port $PORT", "./shop --port $PORT; true"])
@pytest.mark.parametrize("shell", ["bash", "/bin/sh"])
def test_the_shell_hands_the_new_port_to_the_program(tmp_path: Path, line: str, shell: Any) -> None:
    """The words of the line and the program's environment have the new port, the Defender is told both."""
    for name, script in (("defender", 'shift\n"$@"'), ("shop", 'echo "$DEFENDER_WAAS_PORTS $PORT $VCAP_APP_PORT $@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    command = wrap(line, shell=shell, port=WaasPort(8080, 8081))
    environment = {"PORT": "8080", "PATH": os.defpath}
    done = subprocess.run([shell, "-c", command], env=environment, cwd=tmp_path, capture_output=True, check=True)

    assert done.stdout == b"8080:8081 8081 8081 --port 8081\n"


@pytest.mark.parametrize(
    ("ports", "changes", "words"),
    [
        ({"": "8080:8080"}, {}, "only one can listen"),
        ({"": "8080:8081,9090:9091"}, {}, "is more than one port"),
        ({"other": "8080:8081"}, {}, "no app is called `other`"),
        ({"shop": "8080:8081"}, {"exclude": ("shop",)}, ""),
        ({"shop": "8080:8081"}, {"include": ("shop/worker",)}, "no web process of `shop` is protected"),
    ],
)
def test_refusals(ports: dict[str, str], changes: dict[str, Any], words: str) -> None:
    """Ports that cannot stand, and apps before which no firewall could, are refused with the reason."""
    with pytest.raises(EmbedError) as caught:
        protected(MANIFEST, ports, **changes)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("command", "port", "words"),
    [
        ("./shop", "8080:8081", "no network policy may open port 8081 of `shop`"),
        ("./shop", "80:8081", "routes of `shop` go to port 8080"),
        ("./shop -p 8080", "8080:8081", "names port 8080 itself: let it listen on $PORT"),
    ],
)
def test_warnings(command: str, port: str, words: str) -> None:
    """What keeps clients from the firewall, or leads around it, is told; without a firewall nothing of it is."""
    text = f"applications:\n- name: shop\n  command: {command}\n"

    assert any(words in warning for warning in protected(text, {"": port}).report.warnings)
    assert not any(words in warning for warning in protected(text, {}).report.warnings)


@given(
    st.text(alphabet="ab ;$'\"&|\n(){}-./=", min_size=1),
    st.sampled_from(["bash", "/bin/sh"]),
    st.integers(1, 65_534).map(lambda port: WaasPort(port, port + 1)),
)
def test_any_line_comes_back_out_of_its_command(line: str, shell: Any, port: WaasPort) -> None:
    """What was wrapped is found again, with shell and ports; a command that was bent is no wrap of ours."""
    command = wrap(line, shell=shell, port=port)
    found = unwrap(command)

    assert found is not None
    assert (found.line, found.port) == (line, port)
    assert unwrap(command.replace(f"PORT={port.app}", f"PORT={port.exposed}", 1)) is None
