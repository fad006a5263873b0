"""Every instruction that protection adds is explained, and nothing else."""

import pytest
from tests.embed_dockerfile.samples import NGINX, protected

from bartizan.embed import EmbedError
from bartizan.embed.dockerfile import explain_protection


def _explained(text: str) -> list[tuple[str, str]]:
    return [
        (made.pointer.partition(", ")[2], made.why) for made in explain_protection(protected(text, image=NGINX).text)
    ]


def test_what_is_added_is_explained_where_it_stands() -> None:
    """The wrap of an ENTRYPOINT and each variable have a line and a reason; the user's own instructions have none."""
    explained = _explained('FROM debian AS one\nENTRYPOINT ["/one"]\nFROM debian\nENV A=1\nENTRYPOINT ["/app"]\n')
    assert [name for name, _ in explained] == [
        "ENTRYPOINT",
        "ARG",
        "ADD",
        "DEFENDER_TYPE",
        "DEFENDER_APP_ID",
        "WS_ADDRESS",
        "DATA_FOLDER",
        "INSTALL_BUNDLE",
        "FILESYSTEM_MONITORING",
        "DEFENDER_FAIL_MODE",
    ]
    text = protected('FROM debian\nENTRYPOINT ["/app"]\n', image=NGINX).text
    assert [text.split("\n")[int(made.pointer[5:].partition(",")[0]) - 1] for made in explain_protection(text)][:3] == [
        'ENTRYPOINT ["/bartizan/defender", "app-embedded", "/app"]',
        "ARG TARGETARCH",
        "ADD bartizan/defender-${TARGETARCH:-amd64}.tar /",
    ]


def test_what_was_written_into_the_block_later_is_not_taken_for_ours() -> None:
    """A foreign instruction in the block is named as such."""
    text = protected("FROM nginx\n", image=NGINX).text.replace("# bartizan:end", "USER app\n# bartizan:end")
    (foreign,) = [made for made in explain_protection(text) if made.pointer.endswith(", USER")]
    assert foreign.why.startswith("not of the protection")
    assert ("CMD", "kept: a new ENTRYPOINT would take the image's away") in _explained("FROM nginx\n")


def test_a_file_without_protection_is_refused() -> None:
    """There is nothing to explain in a file that nobody protected."""
    with pytest.raises(EmbedError, match="carries no protection"):
        explain_protection("FROM debian\n")
