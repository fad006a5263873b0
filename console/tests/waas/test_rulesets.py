"""Sets of rules: what is taken of a release, and what a hostile archive cannot do."""

import base64
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.channel.running import DEADLINE, ConsoleUnderTest, DefenderEnd, running_console
from tests.waas.policies import PATH as POLICY
from tests.waas.policies import application, rule

from bartizan.policy import PolicyError
from bartizan.policy.rulesets import archive_of, read_ruleset

PATH = "/waas/rulesets"
RELEASE = {
    "crs/crs-setup.conf.example": b'# the settings\nSecAction "id:900990,phase:1,pass,nolog"\n',
    "crs/rules/REQUEST-901-INITIALIZATION.conf": b'SecComponentSignature "OWASP_CRS/4.25.0"\n# Include x\n',
    "crs/rules/REQUEST-942.conf": b'SecRule ARGS "@pmFromFile words.data" \\\n    "id:942100,phase:2,deny"\n',
    "crs/rules/words.data": b"select\n",
    "crs/LICENSE": b"Apache License",
    "crs/plugins/empty.conf": b"SecRule",
    "crs/tests/regression/x.conf": b"SecRule",
    "crs/README.md": b"",
}


def test_a_release_is_kept_once_by_its_digest(console: ConsoleUnderTest) -> None:
    """Order, folder and packing make no difference; a changed file does. What is no part of the rules is left out."""
    with console.client() as client:
        first = client.post(PATH, params={"use": "false"}, content=archive_of(RELEASE)).json()
        moved = {name.replace("crs/", "other/"): content for name, content in reversed(RELEASE.items())}
        assert client.post(PATH, params={"use": "false"}, content=archive_of(moved)).json() == first
        other = archive_of({**RELEASE, "crs/rules/words.data": b"union\n"})
        changed = client.post(PATH, params={"use": "false"}, content=other).json()
        listed = client.get(PATH).json()
        assert (first["version"], first["files"], first["inUse"]) == ("4.25.0", 5, False)
        assert {item["hash"] for item in listed} == {first["hash"], changed["hash"]}
        assert client.delete(f"{PATH}/{changed['hash']}").status_code == 200
        assert client.delete(f"{PATH}/{changed['hash']}").status_code == 404
    content = json.loads(read_ruleset(archive_of(RELEASE)).content)
    assert content["files"]["words.data"] == "select\n"
    assert set(content["files"]) == {
        "LICENSE", "crs-setup.conf", "REQUEST-901-INITIALIZATION.conf", "REQUEST-942.conf", "words.data"
    }  # fmt: skip


def test_the_set_in_use_reaches_every_defender(console: ConsoleUnderTest, defender: Callable[..., DefenderEnd]) -> None:
    """It comes in bounded pieces before the policy and at every change; whoever has it, or no policy, gets nothing."""
    large = {**RELEASE, "crs/rules/words.data": b"word\n" * 150_000}
    with console.client() as client:
        policy = {"rules": [rule("shop", application(), collections=[{"name": "a", "appIDs": ["shop:1"]}])]}
        assert client.put(POLICY, json=policy).status_code == 200
        early = defender()
        early.connect()
        brought = client.post(PATH, content=archive_of(large)).json()
        assert brought["inUse"] is True
        assert whole(early.receive_ruleset()) == brought["hash"]
        late, same, other = defender(), defender(), defender(app_id="other")
        late.connect()
        assert whole(late.receive_ruleset()) == brought["hash"]
        same.connect(ruleset=brought["hash"])
        other.connect()
        assert (late.rulesets, same.rulesets, other.rulesets) == ([], [], [])
        assert client.delete(f"{PATH}/{brought['hash']}").status_code == 409
        assert client.put(f"{PATH}/in-use", json={"hash": "0" * 64}).status_code == 404
        assert client.put(f"{PATH}/in-use", json={"hash": None}).status_code == 200
        for end in (early, late, same):
            (piece,) = end.receive_ruleset()
            assert piece == {"type": "ruleset", "hash": None, "part": 0, "parts": 0, "data": ""}
        assert client.delete(f"{PATH}/{brought['hash']}").status_code == 200
        report = {"hash": None, "version": "v4.25.0 h1:x", "error": "a.conf:1: bad", "leftOut": [942130]}
        early.send({"type": "status", "workloads": [], "waas": {"hash": "0" * 64, "ruleset": report}})
        until(lambda: shown(client, early.instance) == report)


def test_the_choice_outlives_the_console(tmp_path: Path) -> None:
    """A Console that starts anew goes on handing out the set that was in use, and no other."""
    directory = tmp_path / "data"
    with running_console(directory) as console:
        console.sign_up()
        with console.client() as client:
            assert client.put(POLICY, json={"rules": [rule("shop", application())]}).status_code == 200
            brought = client.post(PATH, content=archive_of(RELEASE)).json()
    with running_console(directory) as console:
        console.log_in()
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()
        assert whole(end.receive_ruleset()) == brought["hash"]
        end.close()


def whole(pieces: list[dict[str, Any]]) -> str:
    """Return the digest of what pieces come to; they are in order, all of one set, and not too large."""
    assert [piece["part"] for piece in pieces] == list(range(len(pieces)))
    assert {(piece["parts"], piece["hash"]) for piece in pieces} == {(len(pieces), pieces[0]["hash"])}
    data = [base64.b64decode(piece["data"]) for piece in pieces]
    assert max(map(len, data)) <= 256 << 10
    return hashlib.sha256(b"".join(data)).hexdigest()


def shown(client: httpx.Client, instance: str) -> dict[str, Any] | None:
    """Return what the API shows of a Defender's rules."""
    (found,) = [item for item in client.get("/defenders").json() if item["id"] == instance]
    return found["waas"]["ruleset"] if found["waas"] else None


def until(done: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + DEADLINE
    while not done():
        assert time.monotonic() < end


def bomb() -> bytes:
    """Return a small archive of a file that is far too large."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("rules/a.data", b"0" * (40 << 20))
    return target.getvalue()


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"no archive", "no zip archive"),
        (archive_of(RELEASE)[:-30], "no zip archive"),
        (bomb(), "larger than"),
        (archive_of({f"{number}.conf": b"" for number in range(5001)}), "at most 5000"),
        (archive_of({"a.conf": b"SecRule ARGS x"}), "no release of the OWASP Core Rule Set"),
        (archive_of({**RELEASE, "crs/rules/a.conf": b"Include /etc/passwd\n"}), "leads out"),
        (archive_of({**RELEASE, "crs/rules/a.conf": b'SecRule A "@rx x" "id:1,exec:/bin/sh"'}), "run no programs"),
        (archive_of({**RELEASE, "crs/rules/a.conf": b'SecRule A "@pmf gone.data" "id:1"'}), "`gone.data` is missing"),
        (archive_of({**RELEASE, "crs/rules/a.conf": b'SecRule A "@rx x" "id:942100"'}), "is in `"),
        (archive_of({**RELEASE, "other/words.data": b"x"}), "two files"),
        (archive_of({**RELEASE, "crs/rules/b.data": b"\xff"}), "not UTF-8"),
    ],
)
def test_what_is_no_release_is_refused(console: ConsoleUnderTest, archive: bytes, words: str) -> None:
    """Every problem is told with its file, and nothing is kept."""
    with console.client() as client:
        before = client.get(PATH).json()
        answer = client.post(PATH, content=archive)
        assert (answer.status_code, words in answer.json()["err"]) == (400, True), answer.text
        assert client.get(PATH).json() == before
        assert client.post(PATH, content=b"0" * ((8 << 20) + 1)).status_code == 413


@given(data=st.binary(max_size=300), cut=st.integers(0, 400))
def test_any_bytes_are_a_release_or_one_error(data: bytes, cut: int) -> None:
    """Whatever bytes come, also in the midst of an archive, the result is a set of rules or a PolicyError."""
    good = archive_of(RELEASE)
    for archive in (data, good[:cut] + data + good[cut:]):
        try:
            assert read_ruleset(archive).hash
        except PolicyError as error:
            assert error.problems  # noqa: PT017 - the error is one of two right outcomes
