"""`bartizan waf test` with a real Defender: the sample of the guide, and the examples of the rules' language."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from console import BARTIZAN

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ARM64 = ROOT / "defender/target/aarch64-unknown-linux-gnu/release/defender"
GUIDE = (DOCS / "how-to/protect-a-web-app.md").read_text(encoding="utf-8")
LANGUAGE = (DOCS / "reference/waas-rules-language.md").read_text(encoding="utf-8")
EXPRESSIONS = re.search(r"^## Examples\n\n```\n(.*?)^```$", LANGUAGE, re.MULTILINE | re.DOTALL)
assert EXPRESSIONS
REQUEST = (
    "POST /api/control/x HTTP/1.1\nHost: shop.test\nX-Forwarded-Host: a\nCookie: admin=VHJ1ZQ==\n"
    "Content-Type: application/x-www-form-urlencoded\n\nq=1\n"
)
# Of the examples, those that hold for that request from 192.168.7.7, by their numbers.
HOLDING = {0, 1, 2, 4}


def block(kind: str) -> str:
    """Return the guide's first block of a kind."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def trial(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command in a folder."""
    command = [*BARTIZAN, "waf", "test", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


def test_the_guide_shows_what_a_defender_says(tmp_path: Path) -> None:
    """The sample's output is the page's, to the letter; under `prevent` the same request ends with 3."""
    (tmp_path / "login.http").write_text(block("http"))
    (tmp_path / "waas.json").write_text(block("json"))
    shown = re.search(
        r"^\$ bartizan waf test --policy waas.json login.http\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL
    )
    assert shown
    assert trial(tmp_path, "--policy", "waas.json", "login.http") == (0, shown[1], "")
    (tmp_path / "waas.json").write_text(block("json").replace('"alert"', '"prevent"'))
    code, out, err = trial(tmp_path, "--policy", "waas.json", "login.http")
    assert (code, out.splitlines()[0], err) == (3, "refused with 403, when its body was read", "")


def test_arm64_says_the_same(tmp_path: Path) -> None:
    """The Defender for arm64, emulated, reads all rules and finds with them what the other finds."""
    (tmp_path / "login.http").write_text(block("http"))
    (tmp_path / "waas.json").write_text(block("json").replace('"alert"', '"prevent"'))
    emulated = tmp_path / "defender"
    emulated.write_text(f'#!/bin/sh\nexec qemu-aarch64-static {ARM64} "$@"\n')
    emulated.chmod(0o755)

    native = trial(tmp_path, "--policy", "waas.json", "login.http")

    assert native[0] == 3
    assert trial(tmp_path, "--defender", str(emulated), "--policy", "waas.json", "login.http") == native


@pytest.mark.parametrize(("number", "expression"), list(enumerate(EXPRESSIONS[1].splitlines())))
def test_examples_of_the_language_are_understood(tmp_path: Path, number: int, expression: str) -> None:
    """Each is taken by Console and Defender, and holds for the request for which it should."""
    rule = {"_id": 1, "name": "mine", "effect": "prevent", "expression": expression, "message": "mine"}
    rule["type"] = "waas-response" if "resp." in expression else "waas-request"
    endpoint = {"exposedPort": 80, "internalPort": 8080}
    application = {"appID": "a", "apiSpec": {"endpoints": [endpoint]}, "customRules": [rule]}
    policy = {"rules": [{"name": "r", "applicationsSpec": [application], "trustedProxies": []}]}
    (tmp_path / "waas.json").write_text(json.dumps(policy))
    (tmp_path / "request.http").write_text(REQUEST)
    code, out, err = trial(tmp_path, "--policy", "waas.json", "--from", "192.168.7.7", "request.http")
    assert (code, err) == (3 if number in HOLDING else 0, ""), out


def test_a_smuggled_request_is_stopped(tmp_path: Path) -> None:
    """Two lengths are refused whatever the policy; with a CRLF in the head nothing of the file is mended."""
    (tmp_path / "waas.json").write_text(block("json"))
    for raw in (
        b"POST / HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    ):
        (tmp_path / "request.http").write_bytes(raw)
        code, out, _ = trial(tmp_path, "--policy", "waas.json", "request.http")
        assert (code, out.startswith("refused with 400")) == (3, True), out
