"""Sets of rules: what is taken of a release, and what a hostile archive cannot do."""

import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.channel.running import ConsoleUnderTest

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
        first = client.post(PATH, content=archive_of(RELEASE)).json()
        moved = {name.replace("crs/", "other/"): content for name, content in reversed(RELEASE.items())}
        assert client.post(PATH, content=archive_of(moved)).json() == first
        changed = client.post(PATH, content=archive_of({**RELEASE, "crs/rules/words.data": b"union\n"})).json()
        listed = client.get(PATH).json()
        assert (first["version"], first["files"]) == ("4.25.0", 5)
        assert {item["hash"] for item in listed} == {first["hash"], changed["hash"]}
        assert client.delete(f"{PATH}/{changed['hash']}").status_code == 200
        assert client.delete(f"{PATH}/{changed['hash']}").status_code == 404
    content = json.loads(read_ruleset(archive_of(RELEASE)).content)
    assert content["files"]["words.data"] == "select\n"
    assert set(content["files"]) == {
        "LICENSE", "crs-setup.conf", "REQUEST-901-INITIALIZATION.conf", "REQUEST-942.conf", "words.data"
    }  # fmt: skip


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
