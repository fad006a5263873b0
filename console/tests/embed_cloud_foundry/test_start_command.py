"""Start commands under the Defender: the line keeps its words and its meaning."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.embed.cloud_foundry.start_command import Shell, is_simple, unwrap, unwrap_by_hand, wrap

_SHELLS = st.sampled_from(["bash", "/bin/sh"])
# Pieces of shell, put together at random: words, quotes, expansions, operators, and halves of all of them.
_WORDS = ["echo", "printf '%s.'", "false", "true", "exit 3", "nice -n 1", "a b", "cat", "if", "then", "fi", "BARTIZAN"]
_SIGNS = ["  ", "'", '"', "\\", "&&", "||", ";", "|", "\n", "#", "(", ")", "{", "}", "*", "?", "~", "=", "!", "é"]
_EXPANSIONS = ["$A", "${A}", "${B:-c d}", "$(echo x)", "`echo y`", "$((1+1))", "((a))", "A=2", ">/dev/null"]
_BLOCKS = ["<<X\nb $A\nX\n", "for i in 1 2; do echo $i; done"]
_PIECES = st.sampled_from([*_WORDS, *_SIGNS, *_EXPANSIONS, *_BLOCKS])
_LINES = st.lists(_PIECES, min_size=1, max_size=6).map(" ".join).filter(str.strip)


@given(line=st.one_of(_LINES, st.text(min_size=1)), shell=_SHELLS)
def test_the_line_stands_in_the_command_and_comes_out_again(line: str, shell: Shell) -> None:
    """Any line is in its command character for character, and `unwrap` finds it."""
    command = wrap(line, program="/b/defender", shell=shell)
    found = unwrap(command)

    assert line in command
    assert found is not None
    assert (found.line, found.program) == (line, "/b/defender")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder where `./defender app-embedded PROGRAM …` runs the program."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "defender").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (folder / "defender").chmod(0o755)
    for name in ("a", "b c"):
        (folder / name).touch()
    return folder


def _run(place: Path, shell: str, line: str) -> tuple[bytes, int]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "A": "x  y", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [shell, "-c", line], cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.stdout.replace(b"defender\n", b"").replace(b"defender ", b""), done.returncode


@settings(max_examples=150, deadline=None)
@given(line=_LINES, shell=_SHELLS)
def test_real_shells_do_the_same_with_and_without(place: Path, line: str, shell: Shell) -> None:
    """What bash, or sh, writes and ends with is the same for the line and for its command, whatever the line is."""
    assert _run(place, shell, wrap(line, shell=shell)) == _run(place, shell, line)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("npm start", "exec ./defender app-embedded npm start"),
        ("$HOME/bin/run -x 'a b' \"$A\"", "exec ./defender app-embedded $HOME/bin/run -x 'a b' \"$A\""),
        ("a && b", "exec ./defender app-embedded bash -c 'a && b'"),
        ("A=1 run", "exec ./defender app-embedded bash -c 'A=1 run'"),
        ("cd x", "exec ./defender app-embedded bash -c 'cd x'"),
        (
            "run 'x' ; y",
            """IFS= read -r -d '' BARTIZAN_COMMAND <<'BARTIZAN'
run 'x' ; y
BARTIZAN
exec ./defender app-embedded bash -c "$BARTIZAN_COMMAND\"""",
        ),
    ],
)
def test_the_plainest_form_is_taken(line: str, command: str) -> None:
    """A simple command stands bare, other lines in single quotes, those that hold one in a here-document."""
    assert wrap(line) == command


def test_a_variable_may_hold_anything(place: Path) -> None:
    """Whatever `cf push` fills in for a variable, quotes and operators too, ends where it was meant."""
    line, value = "echo ((words))", '\'; echo "$A" && echo done #'

    filled = wrap(line).replace("((words))", value)

    assert _run(place, "bash", filled) == _run(place, "bash", line.replace("((words))", value))


@pytest.mark.parametrize(
    "line", ["echo $$", "run $PPID", "run `x`", "run $(x)", "run >log", "run &", "! run", "time run", "'a b'", "run \\"]
)
def test_what_needs_its_shell_is_not_simple(line: str) -> None:
    """Builtins, operators and questions to the shell about itself keep their shell."""
    assert not is_simple(line)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("defender app-embedded npm start", "npm start"),
        ("./defender app-embedded  a 'b c'", "a 'b c'"),
        ("exec /home/vcap/app/defender app-embedded x", "x"),
        ("my-defender app-embedded x", None),
        ("defender fargate x", None),
    ],
)
def test_the_vendors_form_is_known(command: str, line: str | None) -> None:
    """What people put under a Defender as the vendor's page says is recognised, other commands are not."""
    found = unwrap_by_hand(command)
    assert (found.line if found else None) == line
