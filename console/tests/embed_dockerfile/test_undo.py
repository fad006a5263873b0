"""The way back: exact, bounded, and trusted in nothing."""

import base64
import json
import zlib
from typing import Any

import pytest
from tests.embed_dockerfile.samples import NGINX, protected, settings

from bartizan.embed import EmbedError
from bartizan.embed.dockerfile import protect, unprotect
from bartizan.embed.dockerfile.block import UNDO
from bartizan.embed.dockerfile.undo import SIZE_LIMIT, decode

_TEXT = "FROM scratch\nENTRYPOINT exec /app \\\n   $X\nUSER app\n"


def _record(text: str) -> dict[str, Any]:
    packed = "".join(line.removeprefix(UNDO).strip() for line in text.splitlines() if line.startswith(UNDO))
    record = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert isinstance(record, dict)
    return record


def _pack(record: object) -> str:
    return base64.b64encode(zlib.compress(json.dumps(record).encode())).decode()


def _with_record(text: str, packed: str) -> str:
    before, _, rest = text.partition(UNDO)
    after = rest[rest.rindex(UNDO) if UNDO in rest else 0 :]
    return f"{before}{UNDO} {packed}{after[after.index(chr(10)) :]}"


def _refusal(text: str) -> str:
    with pytest.raises(EmbedError) as caught:
        unprotect(text)
    return str(caught.value)


def test_a_file_changed_since_keeps_its_changes() -> None:
    """Lines put in, before, in and after the stage, stay; the block goes and the ENTRYPOINT is as it was."""
    text = protected(_TEXT).text
    changed = text.replace("USER app\n", "USER app\nEXPOSE 80\n").replace("FROM scratch", "# x\nFROM scratch") + "# y\n"
    assert unprotect(changed) == (
        _TEXT.replace("USER app\n", "USER app\nEXPOSE 80\n").replace("FROM scratch", "# x\nFROM scratch") + "# y\n"
    )


def test_an_entrypoint_changed_since_is_kept() -> None:
    """A wrapped ENTRYPOINT that people edited stays theirs, but without the Defender in front."""
    text = protected('FROM scratch\nENTRYPOINT ["/a"]\n').text
    assert unprotect(text.replace('"/a"]', '"/b", "c"]')) == 'FROM scratch\nENTRYPOINT ["/b", "c"]\n'
    assert unprotect(text.replace('"/bartizan/defender", "app-embedded", ', "")) == 'FROM scratch\nENTRYPOINT ["/a"]\n'


def test_protecting_a_changed_file_protects_the_change() -> None:
    """After a change to a protected file, protecting it gives what protecting the changed original gives."""
    text = protected(_TEXT).text.replace("USER app", "USER other")
    assert protected(text).text == protected(_TEXT.replace("USER app", "USER other")).text


def test_the_record_of_the_image_spares_a_lookup_but_does_not_outvote_one() -> None:
    """An upgrade goes by what was recorded, unless the image is looked up again or is another one."""
    text = protected("FROM nginx\n", image=NGINX).text
    assert protected(text, version="0.2.0").report.arguments == (*NGINX.entrypoint, *NGINX.cmd)
    with pytest.raises(EmbedError, match="is not known"):
        protected(text.replace("FROM nginx", "FROM httpd"))


def test_a_block_packed_by_another_zlib_is_up_to_date() -> None:
    """The bytes of the record may differ where it says the same; the file is then left as it is."""
    text = protected(_TEXT).text
    other = base64.b64encode(zlib.compress(json.dumps(_record(text), separators=(",", ":")).encode(), 1)).decode()
    again = protected(_with_record(text, other))
    assert (again.edits, again.report.unchanged) == ((), True)


@pytest.mark.parametrize(
    "packed",
    [
        "",
        "!",
        "AAAA",
        base64.b64encode(zlib.compress(b"x" * (SIZE_LIMIT + 1))).decode(),
        base64.b64encode(zlib.compress(b"[" * 200_000)).decode(),
        base64.b64encode(zlib.compress(b"{}")[:-2]).decode(),
        _pack([]),
        _pack({"digest": 1, "edits": []}),
        _pack({"digest": "x", "edits": [[0]]}),
    ],
)
def test_a_damaged_record_is_refused(packed: str) -> None:
    """Whatever a record is, it is read within bounds or refused with its place."""
    assert _refusal(_with_record(protected(_TEXT).text, packed)).startswith("line 7, column 1: ")
    with pytest.raises(EmbedError, match="damaged"):
        decode(packed)


def test_a_bomb_is_not_unpacked() -> None:
    """A record that unpacks to far more than the limit is refused before it is unpacked."""
    bomb = base64.b64encode(zlib.compress(b"\0" * (64 << 20), 9)).decode()
    with pytest.raises(EmbedError, match="damaged"):
        decode(bomb)


def test_a_record_of_a_newer_version_is_refused() -> None:
    """What a newer Bartizan wrote is left to that one."""
    text = protected(_TEXT).text
    assert "newer Bartizan" in _refusal(_with_record(text, _pack({**_record(text), "v": 2})))


def test_edits_that_do_not_fit_are_refused() -> None:
    """A record whose digest is right and whose edits leave the text is damaged."""
    text = protected(_TEXT).text
    record = {**_record(text), "edits": [[10**9, 10**9, ""]]}
    assert "their edits do not fit the text" in _refusal(_with_record(text, _pack(record)))


@pytest.mark.parametrize("mark", ["# bartizan:begin 0.1.0\n", "# bartizan:end\n"])
def test_half_a_block_is_refused(mark: str) -> None:
    """A block that lost one of its ends is not guessed at."""
    text = protected(_TEXT).text.replace(mark, "")
    assert "the block of Bartizan is not whole" in _refusal(text)
    with pytest.raises(EmbedError, match="is not whole"):
        protect(text, image=None, settings=settings())


def test_two_blocks_are_refused() -> None:
    """Two blocks, as a bad merge leaves them, are not guessed at."""
    text = protected(_TEXT).text
    assert "there are two blocks of Bartizan: take one out" in _refusal(text + text[text.index("# bartizan:begin") :])


def test_records_torn_apart_are_refused() -> None:
    """Lines of the record with others between them are refused."""
    text = protected(_TEXT).text
    first = text.index(UNDO)
    second = text.index(UNDO, first + 1)
    assert "do not follow each other" in _refusal(f"{text[:second]}RUN x\n{text[second:]}")


def test_a_file_without_protection_says_so() -> None:
    """There is nothing to take out of a file that carries nothing."""
    assert _refusal(_TEXT) == "this Dockerfile carries no protection: it has no block of Bartizan"
