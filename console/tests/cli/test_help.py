"""What the command line says of itself: `--help`, and the reference that is made from the same source."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_reference import EXAMPLES, cli_reference, commands

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "docs" / "reference" / "cli.md"
COMMANDS = dict(commands())
# What makes a start slow; `--help` needs none of it.
HEAVY = ("alembic", "botocore", "cryptography", "fastapi", "httpx", "sqlalchemy", "uvicorn", "yaml")
LOADED = """
import sys
from bartizan.cli import main
sys.argv = ["bartizan", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write(" ".join(name for name in sys.modules if "." not in name))
"""


def options(command: Any) -> set[str]:
    """Return all spellings of a command's options."""
    return {spelling for item in command.params for spelling in (*item.opts, *item.secondary_opts)}


def test_the_reference_in_the_repository_is_up_to_date() -> None:
    """`docs/reference/cli.md` is what the commands say today; `make gen` writes it."""
    assert REFERENCE.read_text() == cli_reference()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_has_each_command_with_all_its_options(name: str) -> None:
    """No option is missing from its command's section, or from the section of shared ones."""
    page = cli_reference()
    shared, section = page.split("\n## ", 2)[1], page.split(f"\n## `bartizan {name}`\n", 1)[1].split("\n## ", 1)[0]

    for item in COMMANDS[name].params:
        spelling = item.name.upper() if item.param_type_name == "argument" else item.opts[0]
        assert f"`{spelling}" in section + shared
        assert item.help


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_can_be_typed(name: str) -> None:
    """Examples name the command they stand for, and only options that it has."""
    for line in EXAMPLES[name].splitlines():
        program, *words = shlex.split(line)
        assert program == "bartizan"
        assert words[: len(name.split())] == name.split()
        typed = {word.split("=", 1)[0] for word in words if word.startswith("-") and word != "-"}
        assert typed <= options(COMMANDS[name])


def test_command_lines_in_the_documentation_can_be_typed() -> None:
    """Every `bartizan …` of a code block in the documentation and in the examples is a command, with options it has."""
    checked = 0
    for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/pipelines/**/*")):
        for line in _command_lines(path) if path.is_file() else ():
            words = re.split(r"\s+", line.removeprefix("bartizan").strip())
            name = next(
                (n for n in sorted(COMMANDS, key=len, reverse=True) if words[: len(n.split())] == n.split()), None
            )
            assert name, f"{path.relative_to(ROOT)}: {line}"
            typed = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line))
            assert typed <= options(COMMANDS[name]) | {"--help"}, f"{path.relative_to(ROOT)}: {line}"
            checked += 1

    assert checked > 20


def _command_lines(path: Path) -> list[str]:
    """Return the commands of a file that start with `bartizan`, continued lines joined, each cut at its end."""
    text = path.read_text()
    if path.suffix == ".md":
        text = "\n".join(re.findall(r"^ *```(?:console|sh|)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL))
    joined = re.sub(r"\\\n\s*", "", text)
    found = re.findall(r"(?:^|[|&{]|- )[ $]*(bartizan (?:[a-z]+-?)+ [^\n]*)", joined, re.MULTILINE)
    return [re.split(r" [|&]|\s\d?[<>#]|$", line)[0] for line in found]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_in_a_sentence_what_it_does(name: str) -> None:
    """Help starts with a capital and comes to an end, also that of each option."""
    for text in (COMMANDS[name].help, *(item.help for item in COMMANDS[name].params)):
        assert text
        assert text[0].isupper() or not text[0].isalpha()
        assert text.endswith((".", "…"))


def test_help_is_given_without_loading_what_it_does_not_need() -> None:
    """`--help` of the command with most options loads neither the Console's libraries nor those of a client."""
    words = ["app-embedded", "generate-fargate-task", "--help"]

    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert "--output-file" in done.stdout
    assert not set(HEAVY) & set(done.stderr.split())


@pytest.mark.parametrize("words", [["no-such-command"], ["app-embedded", "no-such-command"], ["verify"]])
def test_an_unknown_command_ends_with_two_and_says_so(words: list[str]) -> None:
    """A typing mistake is a usage error with the word in it, never a traceback."""
    done = subprocess.run([sys.executable, "-m", "bartizan.cli", *words], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert words[-1] in done.stderr
    assert "Traceback" not in done.stderr
