"""A manifest protected, and its apps started as Cloud Foundry's launcher does, with a real Console."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from console import BARTIZAN, Console, running_console
from images import DEFENDER
from test_spine import rule
from waiting import eventually

HOST = "127.0.0.1"
VCAP = 2000
"""The user of a container of Cloud Foundry: no root, no capability."""
# What the launcher of buildpack apps does (docs.cloudfoundry.org, "How apps are staged" and "Pre-runtime hooks").
LAUNCHER = """
cd "$1" || exit
for hook in .profile.d/*; do
  [ -f "$hook" ] && . "$hook"
done
[ -f .profile ] && . ./.profile
shift
exec bash -c "$@"
"""
MANIFEST = """\
applications:
- name: shop            # the shop
  path: app
  env:
    GREETING: hello
"""


@dataclass
class Cell:
    """A place where apps run: a folder with a manifest and an app, and the Console that knows them."""

    folder: Path
    console: Console

    def embed(self, manifest: str, *options: str) -> dict[str, object]:
        """Protect `manifest`; return its first app."""
        (self.folder / "manifest.yml").write_text(manifest)
        answer = self.console.request("GET", "defenders/install-bundle", params={"consoleaddr": HOST})
        (self.folder / "bundle.json").write_text(answer.text)
        command = [*BARTIZAN, "app-embedded", "embed-manifest", "--bundle", "bundle.json", *options]
        command += ["--defender", f"amd64={DEFENDER}", "--output-file", "protected.yml", "manifest.yml"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        app: dict[str, object] = yaml.safe_load((self.folder / "protected.yml").read_text())["applications"][0]
        return app

    def start(self, app: dict[str, object], line: str | None = None) -> subprocess.Popen[str]:
        """Start what an app says, or `line` in its place, as the launcher does."""
        home = self.folder / "app"
        env = app.get("env", {})
        assert isinstance(env, dict)
        given = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in env.items()}
        return subprocess.Popen(
            ["/bin/bash", "-c", LAUNCHER, "launcher", str(home), line or str(app["command"])],
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PORT": "8080", "LANG": "C.UTF-8", **given},
            user=VCAP, group=VCAP, extra_groups=[], umask=0o077, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def shared_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One Console for all cells."""
    with running_console(tmp_path_factory.mktemp("console") / "data", HOST) as console:
        yield console


@pytest.fixture
def cell(shared_console: Console) -> Iterator[Cell]:
    """An empty app, and a Console with an empty policy."""
    shared_console.put_policy()
    folder = Path(tempfile.mkdtemp(prefix="cell."))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    (folder / "app").mkdir()
    yield Cell(folder, shared_console)
    shutil.rmtree(folder)


def finish(process: subprocess.Popen[str]) -> tuple[str, str, int]:
    """Wait for an app's end; return what it wrote and its exit status."""
    out, err = process.communicate(timeout=60)
    return out, err, process.returncode


LINES = [
    "printf '%s|' plain \"$GREETING\" ${PORT:-1} '$HOME'",
    "/usr/bin/printf %s|cat; exit 3",
    '(false || echo "it\'s  here") | tr a-z A-Z && exit 4',
    "env | grep -c -E '^(INSTALL_BUNDLE|WS_ADDRESS|DEFENDER_ID|DATA_FOLDER|BARTIZAN_COMMAND)='",
    "/usr/bin/env GREETING='two  words' sh -c 'echo \"$GREETING\" $0; kill -9 $$'",
    "cat <<X\n$GREETING \"'\nX\nfalse",
    "ls -d *.txt [ab].t?t {a,b}.txt ~/a.txt | wc -l",
    "no-such-program --at-all",
    "GREETING=once; echo $GREETING # \\ ' \" `",
    'echo \\$PORT \'\\\' "\\""',
]


@pytest.mark.parametrize("line", LINES)
def test_a_wrapped_line_does_what_it_did(cell: Cell, line: str) -> None:
    """Output and exit status are those that the same line has without a Defender."""
    for name in ("a.txt", "b.txt"):
        (cell.folder / "app" / name).touch()
    app = cell.embed(MANIFEST, "--command", f"shop={line}")
    bare: dict[str, object] = {"env": {"GREETING": "hello"}}

    out, _, code = finish(cell.start(bare, line))
    wrapped_out, wrapped_err, wrapped_code = finish(cell.start(app))

    expected = "0\n" if line.startswith("env |") else out
    assert (wrapped_out, wrapped_code) == (expected, code % 256 if code >= 0 else 128 - code), wrapped_err


def test_an_app_enrols_and_what_is_denied_does_not_start(cell: Cell) -> None:
    """The Console knows the app by its name; a denied program is stopped and reported, the app goes on."""
    cell.console.put_policy(rule("prevent", processes={"blacklist": ["id"]}))
    (cell.folder / "app" / "serve.sh").write_text("echo ready; read go <go; id; echo after; read go <go; exit 7\n")
    go = cell.folder / "app" / "go"
    os.mkfifo(go, 0o666)
    go.chmod(0o666)
    process = cell.start(cell.embed(MANIFEST, "--command", "shop=sh ./serve.sh && true"))

    known = eventually(cell.console.defenders, what="the Defender")
    assert {defender["appID"] for defender in known} == {"shop"}
    go.write_text("go\n")
    audit = cell.console.wait_for_audit(lambda found: found["effect"] == "prevent", what="the denied program")
    go.write_text("end\n")
    out, err, code = finish(process)

    assert (audit["appID"], audit["attackType"]) == ("shop", "explicitlyDeniedProcess")
    assert (out, code) == ("ready\nafter\n", 7), err


def test_a_simple_command_starts_where_all_shells_are_denied(cell: Cell) -> None:
    """No shell stays between the Defender and a simple command; one that needs a shell does not start."""
    cell.console.put_policy(rule("prevent", processes={"blacklist": ["sh", "bash", "dash"]}))

    plain = finish(cell.start(cell.embed(MANIFEST, "--command", "shop=/usr/bin/printenv GREETING")))
    needy = finish(cell.start(cell.embed(MANIFEST, "--command", "shop=true && printenv GREETING")))

    assert (plain[0], plain[2]) == ("hello\n", 0), plain[1]
    assert (needy[0], needy[2]) == ("", 126), needy[1]


@pytest.mark.parametrize("line", ["sh ./serve.sh", "sh ./serve.sh; exit 6"])
def test_the_platforms_signal_does_what_it_did(cell: Cell, line: str) -> None:
    """SIGTERM, by which Cloud Foundry asks an app to end, has the same end with and without a Defender."""
    (cell.folder / "app" / "serve.sh").write_text("trap 'exit 5' TERM; exec 3<>go; echo ready; read go <&3\n")
    go = cell.folder / "app" / "go"
    os.mkfifo(go)
    go.chmod(0o666)
    ends = []
    for app, command in ((cell.embed(MANIFEST, "--command", f"shop={line}"), None), ({}, line)):
        process = cell.start(app, command)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        ends.append(128 - code if code < 0 else code)
        with contextlib.suppress(OSError):  # what an outer shell leaves behind waits for this
            writer = os.open(go, os.O_WRONLY | os.O_NONBLOCK)
            os.write(writer, b"end\n")
            os.close(writer)
        process.communicate()

    assert ends[0] == ends[1]
    assert ends[0] == (5 if line.endswith("sh") else 128 + signal.SIGTERM)


def test_without_its_defender_an_app_does_not_start(cell: Cell) -> None:
    """What was pushed without the Defender beside it ends at once rather than run unprotected."""
    app = cell.embed(MANIFEST, "--command", "shop=echo running && true")
    (cell.folder / "app" / "defender").unlink()

    out, err, code = finish(cell.start(app))

    assert (out, code) == ("", 127)
    assert "/defender: No such file" in err
