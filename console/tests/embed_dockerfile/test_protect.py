"""The block that is put in, its place, and the file around it."""

import json

import pytest
from tests.embed_dockerfile.samples import BUNDLE, NGINX, protected, refusal, settings

from bartizan.embed import EmbedError, explain, unified_diff
from bartizan.embed.dockerfile import DockerfileSettings, render_report, unprotect
from bartizan.embed.dockerfile.model import pairs, read
from bartizan.embed.dockerfile.shell_words import expand

_TEXT = 'FROM scratch\nUSER app\nENTRYPOINT ["/app"]\n'


def _environment(text: str) -> dict[str, str]:
    file = read(text)
    (item,) = [one for one in file.stages[-1].every("ENV") if "DEFENDER_TYPE" in one.arguments]
    escape = file.source.escape
    return {name: expand(value or "", {}, escape=escape) for name, value in pairs(item, escape)}


def test_the_whole_block() -> None:
    """A file gets its wrap and, behind a blank line, the block; the line end at the end of the file stays."""
    text = protected(_TEXT, architecture="amd64").text
    head, undo, tail = text.partition("# bartizan:undo ")
    assert head == (
        'FROM scratch\nUSER app\nENTRYPOINT ["/bartizan/defender", "app-embedded", "/app"]\n\n# bartizan:begin 0.1.0\n'
        "# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.\n"
    )
    assert undo
    assert tail[tail.index("\nADD") :] == (
        "\nADD bartizan/defender-amd64.tar /\n"
        "ENV DEFENDER_TYPE=appEmbedded \\\n"
        "    DEFENDER_APP_ID=shop \\\n"
        "    WS_ADDRESS=wss://console.example.com:8084 \\\n"
        "    DATA_FOLDER=/bartizan/ \\\n"
        f"    INSTALL_BUNDLE={BUNDLE} \\\n"
        "    FILESYSTEM_MONITORING=false \\\n"
        "    DEFENDER_FAIL_MODE=open\n"
        "# bartizan:end\n"
    )


def test_the_settings_arrive_in_the_environment() -> None:
    """Each choice is there for the Defender to read, whatever characters it has."""
    app_id = 'it\'s "a" $HOME ${X} \\ ` # ü'
    for head in ("", "# escape=`\n"):
        text = protected(
            head + _TEXT, app_id=app_id, data_folder="/opt//d/.", fail_mode="closed", filesystem_monitoring=True
        ).text
        assert _environment(text) == {
            "DEFENDER_TYPE": "appEmbedded",
            "DEFENDER_APP_ID": app_id,
            "WS_ADDRESS": "wss://console.example.com:8084",
            "DATA_FOLDER": "/opt/d/",
            "INSTALL_BUNDLE": BUNDLE,
            "FILESYSTEM_MONITORING": "true",
            "DEFENDER_FAIL_MODE": "closed",
        }
        assert '"/opt/d/defender", "app-embedded", "/app"' in text


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n\n# last\n", "  \n"])
def test_what_follows_the_stage_stays(end: str) -> None:
    """The file after the block ends as the one given did, and the way back is exact."""
    text = _TEXT.rstrip("\n") + end
    result = protected(text).text
    assert result.endswith(f"# bartizan:end{end.lstrip(' ')}")
    assert text == unprotect(result)


def test_the_line_ends_are_those_of_the_file() -> None:
    """A file with CRLF has no bare line feed afterwards; one with a BOM keeps it."""
    text = "\ufeff" + _TEXT.replace("\n", "\r\n")
    result = protected(text).text
    assert result.startswith("\ufeffFROM")
    assert "\n" not in result.replace("\r\n", "")
    assert text == unprotect(result)


def test_the_escape_character_of_the_file_continues_the_lines() -> None:
    """With a backquote as escape character ENV is continued with that."""
    assert "ENV DEFENDER_TYPE=appEmbedded `\n" in protected(f"# escape=`\n{_TEXT}").text


def test_a_file_that_ends_in_a_continuation_gets_the_block_before_its_last_instruction() -> None:
    """The block is not swallowed by an instruction that goes on to the end of the file."""
    text = "FROM scratch\nENTRYPOINT x\nRUN y \\\n\n"
    result = protected(text).text
    assert result.endswith("=open\n# bartizan:end\nRUN y \\\n\n")
    assert text == unprotect(result)


def test_here_documents_at_the_end_of_the_stage_stay_whole() -> None:
    """The block stands behind the end of a here-document."""
    text = 'FROM scratch\nENTRYPOINT ["x"]\nCOPY <<E /y\nENTRYPOINT no\nE\n'
    assert "E\n\n# bartizan:begin" in protected(text).text


def test_marks_inside_here_documents_are_no_marks() -> None:
    """A here-document with a block in it does not make a file protected."""
    text = f'FROM scratch\nENTRYPOINT ["x"]\nRUN <<E\n{protected(_TEXT).text}E\n'
    assert text == unprotect(protected(text).text)


def test_the_edits_tell_what_they_are() -> None:
    """The explanation has a line per edit with its line in the file; the diff shows added lines only but one."""
    protection = protected(_TEXT)
    assert explain(protection.edits).splitlines() == [
        "line 3: starts the program under the Defender",
        "line 4: the Defender and what it needs, at the end of stage number 0",
    ]
    diff = unified_diff(_TEXT, protection.edits, name="Dockerfile")
    removed = [line for line in diff.splitlines()[2:] if line.startswith("-")]
    assert removed == ['-ENTRYPOINT ["/app"]']


def test_the_report_says_what_was_done() -> None:
    """Stage, base, program with its origin, user, folder, platforms and warnings are printed."""
    report = render_report(protected("FROM nginx AS web\n", image=NGINX).report)
    assert report == (
        "shop: Dockerfile protected by Bartizan 0.1.0\n\n"
        "  stage     web, from nginx\n"
        '  starts    ["/docker-entrypoint.sh", "nginx", "-g", "daemon off;"]  from registry (sha256:aaaaaaaaaaaa…)\n'
        "  user      root\n"
        "  folder    /bartizan/\n"
        "  platform  linux/amd64, linux/arm64\n"
        "  warning   the install bundle can be read by all who may read this file or the image: keep both private\n"
        "  warning   the program runs as root: set a `USER`\n"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"app_id": ""}, "the setting `app_id` is empty"),
        ({"app_id": "a\nRUN x"}, "the setting `app_id` `a\\nRUN x` has characters"),
        ({"install_bundle": "a b"}, "the setting `install_bundle` has characters"),
        ({"ws_address": "wss://a\x00"}, "the setting `ws_address`"),
        ({"data_folder": "bartizan"}, "the data folder `bartizan` is not an absolute path"),
        ({"data_folder": "/a/../b"}, "the data folder `/a/../b` is not an absolute path"),
        ({"data_folder": "/a b"}, "the data folder `/a b`"),
        ({"data_folder": "/a$B"}, "the data folder"),
        ({"data_folder": "//."}, "the data folder cannot be `/`"),
        ({"data_folder": "/proc/x"}, "the data folder cannot be `/proc/x`"),
        ({"fail_mode": "ajar"}, "the fail mode `ajar` is neither `open` nor `closed`"),
        ({"architecture": "s390x"}, "there is no Defender for `s390x`"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(change: dict[str, str], message: str) -> None:
    """A setting that would break out of its place in the file, or make no sense, raises and tells no secret."""
    with pytest.raises(EmbedError) as caught:
        settings(**change)
    assert str(caught.value).startswith(message)
    assert "install_bundle" not in change or "a b" not in str(caught.value)


def test_the_bundle_does_not_show() -> None:
    """The secret is not in what settings print of themselves."""
    assert BUNDLE not in repr(settings())


def test_the_address_may_come_from_the_bundle() -> None:
    """Without an address the first one of the bundle is taken."""
    bundle = "eyJ2IjoxLCJpZCI6ImIiLCJzZWNyZXQiOiJzIiwiYWRkcmVzc2VzIjpbIndzczovL2M6ODA4NCJdfQ=="
    assert DockerfileSettings(app_id="a", install_bundle=bundle, version="1").ws_address == "wss://c:8084"


def test_arguments_stay_what_they_are() -> None:
    """Blanks that editors take for line ends, controls and letters of all scripts come through a shell form."""
    text = "FROM scratch\nENTRYPOINT a\u2028b \x7f\t ü 😀 \\n\n"
    protection = protected(text)
    assert read(protection.text).stages[0].instructions[0].arguments.isascii() is False
    assert protected(unprotect(protection.text)).report.arguments[-1] == "a\u2028b \x7f\t ü 😀 \\n"
    written = next(line for line in protection.text.splitlines() if line.startswith("ENTRYPOINT"))
    assert json.loads(written.removeprefix("ENTRYPOINT "))[2:] == ["/bin/sh", "-c", "a\u2028b \x7f\t ü 😀 \\n"]


def test_bytes_that_are_no_text_are_kept_or_refused() -> None:
    """Bytes of another encoding stay in comments, and are refused where exec form would change them."""
    text = b'FROM scratch # \xe9\nENTRYPOINT ["a"]\n# \xe9\n'.decode("utf-8", "surrogateescape").replace(
        " # \udce9\n", "\n", 1
    )
    assert unprotect(protected(text).text) == text
    shell = b"FROM scratch\nENTRYPOINT a \xe9\n".decode("utf-8", "surrogateescape")
    assert refusal(shell).startswith("line 2, column 1: what is started is not all UTF-8")
    assert refusal("FROM scratch\nENTRYPOINT \ud800\n").startswith("line 2, column 12: there is half a character")


def test_keywords_are_written_as_the_file_writes_them() -> None:
    """A file in small letters gets its block in small letters, as builders' linters ask for."""
    added = [line for line in protected("from a\ncmd x\n", image=NGINX).text.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in added if line and line[0] != "#"] == [
        "from",
        "cmd",
        "arg",
        "add",
        "env",
        "entrypoint",
    ]
