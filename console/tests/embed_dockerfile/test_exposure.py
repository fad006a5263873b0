"""EXPOSE where a firewall stands before the program, the way back, refusals and warnings."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.embed_dockerfile.samples import protected, refusal, settings

from bartizan.embed import EmbedError
from bartizan.embed.dockerfile import explain_protection, unprotect, verify

_END = 'ENTRYPOINT ["/app"]\n'
PORTS = ("8000:8080",)


@pytest.mark.parametrize(
    ("given_lines", "now"),
    [
        ("EXPOSE 8080\n", "EXPOSE 8000\n"),
        ("expose 9090 8080/tcp   70\n", "expose 9090 8000/tcp   70\n"),
        ("EXPOSE 9090 \\\n  8080/TCP\n", "EXPOSE 9090 \\\n  8000/tcp\n"),
        ("ARG P=80\nENV PORT=${P}80\nEXPOSE $PORT\n", "ENV PORT=${P}80\nEXPOSE 8000\n"),
        ("EXPOSE 8080\nRUN true\nEXPOSE 8080\n", "EXPOSE 8000\nRUN true\nEXPOSE 8000\n"),
    ],
)
def test_the_firewalls_port_takes_the_place_of_the_programs(given_lines: str, now: str) -> None:
    """The port that clients come to stands where the program's stood; all other bytes of the line stay."""
    text = f"FROM scratch\n{given_lines}{_END}"
    made = protected(text, waas_ports=PORTS)

    assert now in made.text
    assert "DEFENDER_WAAS_PORTS=8000:8080" in made.text
    assert made.text.upper().count("EXPOSE") == text.upper().count("EXPOSE")
    assert unprotect(made.text) == text
    assert protected(made.text, waas_ports=PORTS).edits == ()
    assert protected(made.text).text == protected(text).text
    assert verify(made.text, version="0.1.0", settings=settings(waas_ports=PORTS)) == []


def test_a_port_that_the_file_does_not_name_is_exposed_by_the_block() -> None:
    """Without an EXPOSE of the program's port the block has one; it goes with the block."""
    text = f"FROM scratch\nEXPOSE 9090\n{_END}"
    made = protected(text, waas_ports=("8000:8080", "9000:9090"))

    assert "\nEXPOSE 9000\n" in made.text
    assert "\nEXPOSE 8000\n# bartizan:end" in made.text
    assert unprotect(made.text) == text


def test_ports_come_back_beside_later_changes() -> None:
    """After the file was changed the EXPOSE still gets its own port back, with its line breaks."""
    text = f"FROM scratch\nEXPOSE 9090 \\\n  8080\n{_END}"
    changed = protected(text, waas_ports=PORTS).text.replace("FROM scratch", "FROM scratch\nWORKDIR /srv")

    assert unprotect(changed) == text.replace("FROM scratch", "FROM scratch\nWORKDIR /srv")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("EXPOSE 8000", "port 8000 of `8000:8080` is exposed already, by `EXPOSE 8000`"),
        ("EXPOSE 7000-9000", "is exposed already"),
        ("EXPOSE 8080/udp", "`EXPOSE 8080/udp` is not for TCP"),
        ("EXPOSE 8070-8090", "is a range that holds port 8080"),
    ],
)
@pytest.mark.parametrize("before", ["", "AS base\nFROM base"])
def test_refusals(line: str, words: str, before: str) -> None:
    """Ports that are taken, ranges and other protocols are refused with the line, in stages it is built from, too."""
    text = (
        f"FROM scratch {before}\n{line}\n{_END}" if not before else f"FROM scratch AS base\n{line}\nFROM base\n{_END}"
    )

    assert words in refusal(text, waas_ports=PORTS)


@pytest.mark.parametrize(
    ("text", "port", "words"),
    [
        ("FROM scratch\n", "8000:8080", "do not publish port 8080"),
        ("FROM scratch\nUSER app\n", "80:8080", "port 80 is below 1024: `app` may listen there only with"),
        ("FROM debian:12\n", "80:8080", "port 80 is below 1024: the image's user"),
        ("FROM scratch\nEXPOSE ${P}\n", "8000:8080", "line 2: `${P}` is not known"),
        ("FROM scratch AS a\nEXPOSE 8080\nFROM a\n", "8000:8080", "line 2 exposes port 8080, which stays in the image"),
    ],
)
def test_warnings(text: str, port: str, words: str) -> None:
    """What leads around the firewall, or keeps it from listening, is told; without one nothing of it is."""
    assert any(words in warning for warning in protected(text + _END, waas_ports=(port,)).report.warnings)
    assert not any(words in warning for warning in protected(text + _END).report.warnings)


@pytest.mark.parametrize("user", ["", "USER root\n", "USER 0:0\n"])
def test_root_may_listen_anywhere(user: str) -> None:
    """Nobody is warned of a low port where the program runs as root."""
    made = protected(f"FROM scratch\n{user}{_END}", waas_ports=("80:8080",))

    assert not any("below 1024" in warning for warning in made.report.warnings)


def test_the_report_and_the_explanation_know_of_it() -> None:
    """What the firewall takes is told, and why the EXPOSE changed."""
    made = protected(f"FROM scratch\nEXPOSE 8080\n{_END}", waas_ports=PORTS)
    why = {one.pointer: one.why for one in explain_protection(made.text)}

    assert made.report.moved_ports == ("the Defender takes port 8000 and passes on to 8080, where the program listens",)
    assert why["line 2, EXPOSE"] == "the firewall's port, in the place of the program's"
    assert any("DEFENDER_WAAS_PORTS" in pointer for pointer in why)


_words = st.sampled_from(["8080", "80", "8080/udp", "9090/tcp", "$P", "${P}/tcp", "70-90", "\\\n", "#", '"8080"', "x"])


@given(st.lists(st.lists(_words, min_size=1, max_size=4), max_size=3), st.booleans())
def test_any_ports_come_back(lines: list[list[str]], variable: bool) -> None:  # noqa: FBT001
    """Protecting is refused, or idempotent and undone byte for byte."""
    text = "FROM scratch\n" + ("ENV P=8080\n" if variable else "")
    text += "".join(f"EXPOSE {' '.join(line)}\n" for line in lines) + _END
    with suppress(EmbedError):
        made = protected(text, waas_ports=("80:8080", "99:9090"))
        assert unprotect(made.text) == text
        assert protected(made.text, waas_ports=("80:8080", "99:9090")).edits == ()
