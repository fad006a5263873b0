"""The way back is input like any other: bounded, checked, and trusted in nothing."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.embed_cloud_foundry.manifests import loaded, settings

from bartizan.embed import EmbedError
from bartizan.embed.cloud_foundry import protect, unprotect

TEXT = "applications:\n- name: shop\n  command: npm start && x\n"
PROTECTED = protect(TEXT, settings=settings()).text
RECORD = re.compile(r"(?<=its undo needs this line: )\S+")


def packed(record: Any) -> str:
    """Return a record as a comment has it."""
    return base64.b64encode(zlib.compress(json.dumps(record).encode())).decode()


def with_record(encoded: str) -> str:
    """Return the protected manifest with another record."""
    return RECORD.sub(lambda _: encoded, PROTECTED)


def own_record() -> Any:
    """Return the record of the protected manifest."""
    match = RECORD.search(PROTECTED)
    assert match is not None
    return json.loads(zlib.decompress(base64.b64decode(match[0])))


@pytest.mark.parametrize(
    ("encoded", "words"),
    [
        ("!!", "is damaged"),
        ("AAAA", "is damaged"),
        (packed([]), "is damaged"),
        (packed({"digest": 1, "edits": []}), "is damaged"),
        (packed({"digest": "", "edits": [["a", 1, ""]]}), "is damaged"),
        (packed({"digest": "", "edits": [], "v": 2}), "of version 2"),
        (base64.b64encode(zlib.compress(b" " * (1 << 28))).decode(), "unpacks to more than 1048576 bytes"),
        (base64.b64encode(zlib.compress(b"[" * 100_000)).decode(), "is damaged"),
        (packed({**own_record(), "edits": [[5, 2, "x"]]}), "its edits do not fit"),
        (packed({**own_record(), "edits": [[0, 10**9, ""]]}), "its edits do not fit"),
        (packed({**own_record(), "edits": []}), "does not take the protection out"),
    ],
)
def test_a_bad_record_is_refused(encoded: str, words: str) -> None:
    """A record that is damaged, hostile or from elsewhere is named; nothing is unpacked without bound."""
    with pytest.raises(EmbedError) as caught:
        unprotect(with_record(encoded))
    assert words in caught.value.message


def test_two_records_are_refused() -> None:
    """Of two ways back neither is taken."""
    with pytest.raises(EmbedError, match="two comments"):
        unprotect(PROTECTED + PROTECTED.splitlines()[-1] + "\n")


@given(
    st.dictionaries(st.sampled_from(["shop", "other"]), st.one_of(st.none(), st.just({"A": "b", "DATA_FOLDER": "x"})))
)
def test_a_forged_record_can_change_what_is_ours_only(environment: Any) -> None:
    """What a record says about values can neither add nor take away anything but the Defender's own."""
    forged = {**own_record(), "digest": "0" * 64, "added": ["other"], "environment": environment}
    back = loaded(unprotect(with_record(packed(forged))))["applications"][0]

    assert back["command"] == "npm start && x"
    assert set(back) <= {"name", "command", "env"}
    assert set(back.get("env", {})) <= {"DATA_FOLDER"}


def test_without_its_comment_a_manifest_loses_the_protection() -> None:
    """A tool that drops comments does not close the way back: commands show what they wrap."""
    bare = PROTECTED[: PROTECTED.index("# Bartizan")]
    assert loaded(unprotect(bare)) == loaded(TEXT)


def test_what_was_added_later_stays() -> None:
    """An app that was added behind the comment, and a variable of the app's own, survive; layout does too."""
    text = TEXT.replace("npm start && x", "npm start  # c")
    later = protect(text, settings=settings()).text.replace("  env:\n", "  env:\n    OWN: 1 # mine\n")
    assert (
        unprotect(later + "- name: new\n  command: b\n")
        == text + "  env:\n    OWN: 1 # mine\n- name: new\n  command: b\n"
    )
