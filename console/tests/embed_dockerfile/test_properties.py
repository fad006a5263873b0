"""Promises that hold for all Dockerfiles, tried on generated ones and on noise."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from tests.embed_dockerfile.samples import dockerfiles, images, settings

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.dockerfile import needed_image, protect, unprotect, verify
from bartizan.embed.dockerfile.block import BEGIN
from bartizan.embed.dockerfile.lexer import Instruction, scan
from bartizan.embed.dockerfile.model import read
from bartizan.embed.dockerfile.protect import DockerfileProtection
from bartizan.embed.dockerfile.scope import lineage
from bartizan.embed.dockerfile.start import start
from bartizan.embed.edit import apply

_SETTINGS = settings(build_args={"B": "debian"})


def _protect(text: str, image: ImageConfig | None) -> DockerfileProtection | None:
    try:
        return protect(text, image=image, settings=_SETTINGS)
    except EmbedError as error:
        refusal = error
    assert refusal.where is not None
    return None


def _said(item: Instruction) -> tuple[str, tuple[str, ...], str]:
    return item.keyword, item.flags, item.arguments


@given(dockerfiles(), images())
def test_outside_the_edits_nothing_changes(text: str, image: ImageConfig | None) -> None:
    """Bytes outside edits are unchanged, and parsing the output gives the edited model."""
    protection = _protect(text, image)
    if protection is None:
        return
    assert protection.text == apply(text, protection.edits)
    before, after = scan(text), scan(protection.text)
    begin = next(item.start for item in after.comments if item.text.startswith(BEGIN))
    end = next(item.start for item in after.comments if item.text.startswith("# bartizan:end"))
    outside = [_said(item) for item in after.instructions if not begin < item.start < end]
    changed = [
        pair for pair in zip([_said(item) for item in before.instructions], outside, strict=True) if pair[0] != pair[1]
    ]
    assert [was[0] for was, _ in changed] in ([], ["ENTRYPOINT"])


@given(dockerfiles(), images())
def test_the_image_starts_the_same_under_the_defender(text: str, image: ImageConfig | None) -> None:
    """What the protected file starts is the Defender, its mode, and then what the file given starts."""
    protection = _protect(text, image)
    if protection is None:
        return
    file = read(protection.text)
    state = start(file, lineage(file, _SETTINGS), image)
    argv = (*(state.entrypoint.argv or ()), *(state.cmd.argv or ()))
    assert argv == ("/bartizan/defender", "app-embedded", *protection.report.arguments)


@given(dockerfiles(), images())
def test_there_and_back(text: str, image: ImageConfig | None) -> None:
    """Protecting twice is protecting once, without a lookup; unprotecting gives the input back; the gate passes."""
    protection = _protect(text, image)
    if protection is None:
        return
    again = protect(protection.text, image=None, settings=_SETTINGS)
    assert (again.edits, again.text, again.report.unchanged) == ((), protection.text, True)
    assert text == unprotect(protection.text)
    assert verify(protection.text, version="0.1.0", settings=_SETTINGS) == []


@given(dockerfiles(), images())
def test_an_upgrade_is_as_good_as_new(text: str, image: ImageConfig | None) -> None:
    """Protecting with other settings what is protected gives what protecting the input with them gives."""
    protection = _protect(text, image)
    if protection is None:
        return
    newer = settings(build_args={"B": "debian"}, version="0.2.0", data_folder="/opt/d", app_id='a "b" $c')
    assert protect(protection.text, image=None, settings=newer).text == protect(text, image=image, settings=newer).text


@given(dockerfiles(), images(), st.data())
def test_a_changed_file_keeps_its_changes(text: str, image: ImageConfig | None, data: st.DataObject) -> None:
    """A line put in outside the block is still there after unprotecting, and nothing of the protection is."""
    protection = _protect(text, image)
    if protection is None or "\r" in text:
        return
    first = scan(protection.text).instructions[0]
    changed = protection.text[: first.start] + "ARG PUT_IN=1\n" + protection.text[first.start :]
    assert unprotect(changed) == text[: first.start] + "ARG PUT_IN=1\n" + text[first.start :]
    newline = data.draw(st.sampled_from(["\r\n", "\n"]))
    anew = protection.text.replace("\n", newline)
    assert unprotect(anew).replace("\r\n", "\n") == text


_fragments = st.sampled_from(
    (
        *("FROM a", "FROM", "ENTRYPOINT", "CMD", "RUN x", "SHELL [", "USER ", "ONBUILD ", "ARG A", "--platform="),
        *(
            "[",
            "]",
            '"',
            "'",
            "\\",
            "`",
            "\n",
            "\r\n",
            "\t",
            " ",
            "=",
            "#",
            "{}",
            "[1]",
            "\0",
            "\ufeff",
            "\u2028",
            "\udc80",
        ),
        *("<<EOF", "EOF", "# escape=`", "# escape=x", "${A:-", "}", "$"),
        *("# bartizan:begin", "# bartizan:undo AA==", "# bartizan:end"),
    )
)


@given(st.lists(_fragments | st.text(max_size=4), max_size=30).map("".join))
def test_noise_gives_one_clear_error(text: str) -> None:
    """Whatever the text, it is protected or `EmbedError` says where it is wrong; no other exception comes out."""
    for act in (
        lambda: needed_image(text, settings=_SETTINGS),
        lambda: protect(text, image=ImageConfig(("/a",)), settings=_SETTINGS),
        lambda: verify(text, version="0.1.0", settings=_SETTINGS),
        lambda: unprotect(text),
    ):
        with suppress(EmbedError):
            act()
