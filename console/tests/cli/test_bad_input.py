"""Bad input, bad files and full disks, as a user meets them: one clear error with its place, and nothing written.

Or a right result: what comes out gives back, byte for byte, what went in.
"""

import base64
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.forked import Commands, Done, commands

from bartizan.embed import cloud_foundry, dockerfile, unprotect

BUNDLE = {"v": 1, "id": "b1", "secret": "s3cret", "pins": ["0" * 64], "addresses": ["wss://console.test:8084"]}
DEFENDER = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00"
SECONDS = 8.0
"""CPU time that a command may take; the slowest takes a third of it on a busy machine"""
MEMORY = 600 << 20
EXAMPLES = Path(__file__).parents[3] / "examples"
VECTORS = Path(__file__).parents[3] / "contract" / "vectors"

_CONTAINERS = [{"name": "web", "image": "shop", "entryPoint": ["/http"]}]
_TASK = {"family": "shop", "containerDefinitions": _CONTAINERS}
_TEMPLATE = {
    "Resources": {
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                "Family": "shop",
                "ContainerDefinitions": [{"Name": "web", "Image": "shop", "EntryPoint": ["/http"]}],
            },
        }
    }
}
_YAML = """\
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: shop
      ContainerDefinitions:
        - Name: web
          Image: shop
          EntryPoint: ["/http"]
"""
_MANIFEST = 'applications:\n- name: shop # ours\n  path: app\n  command: "/http"\n'
_DOCKERFILE = 'FROM debian:12\nENV A=shop\nENTRYPOINT ["/http"]\n'


@dataclass(frozen=True, slots=True)
class Format:
    """A format: a small file of it, a real one, the command that protects it, and what takes the protection out."""

    sample: bytes
    real: Path
    command: tuple[str, ...]
    unprotect: Callable[[bytes], str]


def _in_archive(archive: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return dockerfile.unprotect(opened.read("Dockerfile").decode())


_FARGATE = ("generate-fargate-task",)
_DEFINITION: Callable[[bytes], str] = lambda content: unprotect(content.decode())  # noqa: E731 - one for three formats
FORMATS = {
    "task": Format(json.dumps(_TASK, indent=1).encode(), EXAMPLES / "shop/task.json", _FARGATE, _DEFINITION),
    "json": Format(
        json.dumps(_TEMPLATE, indent=1).encode(), EXAMPLES / "cloudformation/service.json", _FARGATE, _DEFINITION
    ),
    "yaml": Format(_YAML.encode(), EXAMPLES / "cloudformation/service.yaml", _FARGATE, _DEFINITION),
    "manifest": Format(
        _MANIFEST.encode(),
        VECTORS / "cloud-foundry/processes-and-sidecars/manifest.yml",
        ("embed-manifest", "--defender", "amd64=new-defender", "--app-dir", "app"),
        lambda content: cloud_foundry.unprotect(content.decode()),
    ),
    "dockerfile": Format(
        _DOCKERFILE.encode(),
        VECTORS / "dockerfile/here-documents/Dockerfile",
        ("embed", "--app-id", "shop", "--defender", "amd64=new-defender"),
        _in_archive,
    ),
}
ALL = tuple(FORMATS)
YAML = ("yaml", "manifest")
JSON = ("task", "json")


@pytest.fixture(scope="module")
def bartizan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Run commands, bounded in CPU time and memory."""
    with commands(tmp_path_factory.mktemp("streams")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a bundle, a Defender, an app and an output file of an earlier day."""
    text = base64.b64encode(json.dumps(BUNDLE).encode()).decode()
    (tmp_path / "bundle.json").write_text(json.dumps({"bundle": text}))
    (tmp_path / "new-defender").write_bytes(DEFENDER)
    (tmp_path / "app").mkdir()
    (tmp_path / "out").write_text("precious")
    return tmp_path


def words(kind: str, *, file: str = "in", output: str = "out") -> tuple[str, ...]:
    """Return the command that protects a file of a format."""
    bundle = ("--bundle", "bundle.json", "--output-file", output)
    return ("app-embedded", *FORMATS[kind].command, *bundle, file)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Return all that lies in a folder: names, and contents of files."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    return {name: path.read_bytes() if path.is_file() else "no file" for name, path in found.items()}


def assert_refused(done: Done, said: str) -> None:
    """Check that a refusal is one line that says it, that it came soon and took little memory."""
    assert "Traceback" not in done.errors
    assert done.code == 1, done
    assert done.errors.startswith("bartizan: ")
    assert re.search(said, done.errors), done.errors
    assert (done.errors.count("\n"), done.errors[-1]) == (1, "\n")
    assert len(done.errors) < 500
    assert done.output == b""
    assert done.seconds < SECONDS
    assert done.memory < MEMORY


def assert_protected(done: Done, kind: str, original: bytes, folder: Path, before: dict[str, bytes | str]) -> None:
    """Check that the result is where it was asked for, nothing else changed, and the way back gives the input."""
    assert done.code == 0, done
    assert done.seconds < SECONDS
    assert done.memory < MEMORY
    after = contents(folder)
    written = after.pop("out")
    assert isinstance(written, bytes)
    assert FORMATS[kind].unprotect(written).encode() == original
    if kind == "manifest":
        assert after.pop("app/defender") == DEFENDER
    assert after == {name: content for name, content in before.items() if name != "out"}


@dataclass(frozen=True, slots=True)
class Case:
    """What is wrong with a text, and what is said of it; nothing, when there is nothing wrong but its looks."""

    name: str
    change: Callable[[bytes], bytes]
    said: str
    kinds: tuple[str, ...] = ALL
    placed: bool = True


def _bomb(sample: bytes, value: bytes = b"/http") -> bytes:
    """Ten to the power of twelve values, and one of the text's is all of them."""
    levels = [b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"]
    levels += [b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)]
    return b"".join(levels) + sample.replace(b'"/http"', value)


def _merges(sample: bytes) -> bytes:
    levels = [b"a%d: &a%d {<<: [%s]}\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)]
    return b"a0: &a0 {x: 1}\n" + b"".join(levels) + sample


def _arguments(sample: bytes) -> bytes:
    levels = b"".join(b"ARG A%d=%s\n" % (n, b"$A%d" % (n - 1) * 10) for n in range(1, 12))
    return b"ARG A0=xxxxxxxxxx\n" + levels + sample.replace(b"debian:12", b"$A11")


_NOTHING = "the text is empty|there is no `FROM`"
_DEEP = "nests deeper than 100 levels|longer than the 65,535 bytes that builders read"
_NO_TASK = "this is not a task definition|this is no manifest|longer than the 65,535 bytes"
CASES = [
    Case("nothing", lambda _: b"", _NOTHING),
    Case("blanks", lambda _: b"   \n\r\n   \n", _NOTHING),
    Case("a byte order mark", lambda text: b"\xef\xbb\xbf" + text, ""),
    Case("a byte order mark only", lambda _: b"\xef\xbb\xbf", _NOTHING),
    Case("CRLF", lambda text: text.replace(b"\n", b"\r\n"), ""),
    Case("CR", lambda text: text.replace(b"\n", b"\r"), "", kinds=JSON),
    Case("CR", lambda text: text.replace(b"\n", b"\r"), "carriage returns alone.*convert them", kinds=YAML),
    Case("CR", lambda text: text.replace(b"\n", b"\r"), "`FROM` takes an image", kinds=("dockerfile",)),
    Case("no UTF-8", lambda text: text.replace(b"shop", b"sh\xffop"), "holds the byte 0xFF: save it as UTF-8"),
    Case("UTF-16", lambda text: text.decode().encode("utf-16"), "it is UTF-16: save it as UTF-8", placed=False),
    Case("a program", lambda _: DEFENDER + bytes(range(256)) * 100, "`in` is not UTF-8 text"),
    Case("NUL inside", lambda text: text.replace(b"shop", b"sh\0op"), r"U\+0000|NUL character"),
    Case("NUL behind", lambda text: text + b"\0", r"U\+0000|NUL character"),
    Case("zeros", lambda _: bytes(4096), r"U\+0000|NUL character"),
    Case("100,000 [", lambda _: b"[" * 100_000, _DEEP),
    Case("100,000 {", lambda _: b'{"a":' * 100_000, _DEEP),
    Case("100,000 [ and ]", lambda _: b"[" * 100_000 + b"]" * 100_000, _DEEP),
    Case("100,000 [ inside", lambda text: text.replace(b'"/http"', b"[" * 100_000 + b"]" * 100_000), _DEEP),
    Case("a wide list", lambda _: b"[" + b"[]," * 200_000 + b"0]", _NO_TASK),
    Case("a wide object", lambda _: b"{" + b",".join(b'"%d":{}' % n for n in range(60_000)) + b"}", _NO_TASK),
    Case("1 MB of a letter", lambda _: b"x" * 1_000_000, _NO_TASK),
    Case("1 MB of blanks", lambda _: b" " * 1_000_000, f"{_NOTHING}|65,535"),
    Case("1 MB of comment", lambda _: b"#" * 1_000_000, f"{_NOTHING}|65,535"),
    Case("1 MB of quotes", lambda _: b'"' * 999_999, "malformed YAML|65,535"),
    Case("1 MB of ${", lambda _: b"${" * 500_000, _NO_TASK),
    Case("5 MB", lambda text: text + b"\n" * 5_000_000, "larger than the .* bytes that are read", placed=False),
    Case("a line with 1 MB of blanks", lambda text: text.replace(b"\n", b" " * 1_000_000 + b"\n", 1), "", JSON + YAML),
    Case("a key twice", lambda text: text.replace(b'"web"', b'"web","Name":1,"name":2'), "given twice", kinds=JSON),
    Case("a key twice", lambda text: text + text.split(b"\n")[0] + b"\n", "is given twice", kinds=YAML),
    Case("tabs", lambda text: text.replace(b" ", b"\t"), "", kinds=JSON),
    Case("tabs", lambda text: text.replace(b"\n  ", b"\n\t"), "indented by a tab: YAML takes spaces", kinds=YAML),
    Case(
        "a value of 1 MB",
        lambda text: text.replace(b'"/http"', b'"/' + b"x" * 1_000_000 + b'"'),
        "shorten",
        kinds=JSON,
        placed=False,
    ),
    Case("1 MB elsewhere", lambda text: b'{"Metadata":"' + b"x" * 1_000_000 + b'",' + text[1:], "", kinds=("json",)),
    Case(
        "1 MB of escapes", lambda text: b'{"Metadata":"' + rb"\u0041" * 160_000 + b'",' + text[1:], "", kinds=("json",)
    ),
    Case("1 MB elsewhere", lambda text: text + b"Metadata: " + b"x" * 1_000_000 + b"\n", "", kinds=YAML),
    Case("1 MB of digits", lambda text: text.replace(b'"/http"', b"9" * 1_000_000), "too many digits", kinds=JSON),
    Case("a bomb", _bomb, r"unfolds to more than 1,000,000 values", kinds=YAML),
    Case("a bomb that is used", lambda text: _bomb(text, b"*a11"), r"unfolds to more than 1,000,000", kinds=YAML),
    Case("a bomb of merges", _merges, r"unfolds to more than 1,000,000 values", kinds=YAML),
    Case("an alias in itself", lambda text: b"a: &a [*a]\n" + text, r"alias `\*a` has no anchor before it", kinds=YAML),
    Case("100,000 dashes", lambda _: b"- " * 100_000, _DEEP, kinds=YAML),
    Case("deep blocks", lambda _: b"".join(b" " * n + b"a:\n" for n in range(1000)), _DEEP, kinds=YAML),
    Case(
        "many anchors", lambda text: b"".join(b"k%d: &k%d v\n" % (n, n) for n in range(40_000)) + text, "", kinds=YAML
    ),
    Case("many aliases", lambda text: b"k: &k v\nl: [" + b"*k," * 100_000 + b"]\n" + text, "", kinds=YAML),
    Case("many comments", lambda text: b"# x\n" * 200_000 + text, "", kinds=YAML),
    Case("two documents", lambda text: text + b"---\n" + text, "more than one YAML document", kinds=YAML),
    Case(
        "a line of 1 MB",
        lambda text: text.replace(b"/http", b"/" + b"x" * 1_000_000),
        "longer than the 65,535 bytes that builders read: put what it has in a file",
        kinds=("dockerfile",),
    ),
    Case("1 MB in lines", lambda text: text + b"RUN x" + b" \\\n" * 100_000 + b"y\n", "", kinds=("dockerfile",)),
    Case("many stages", lambda text: b"FROM a AS b\n" * 10_000 + text, "", kinds=("dockerfile",)),
    Case("a bomb of arguments", _arguments, "grows beyond 65,535 characters", kinds=("dockerfile",)),
    Case("an open here-document", lambda text: text + b"RUN <<E\nx\n", "put `E` on a line of its own", ("dockerfile",)),
]


@pytest.mark.parametrize(
    ("kind", "case"),
    [pytest.param(kind, case, id=f"{kind}-{case.name}") for case in CASES for kind in case.kinds],
)
def test_bad_text(bartizan: Commands, folder: Path, kind: str, case: Case) -> None:
    """A text is protected so that the way back gives it, or refused in one line with its place and nothing written."""
    text = case.change(FORMATS[kind].sample)
    assert text != FORMATS[kind].sample
    (folder / "in").write_bytes(text)
    before = contents(folder)

    done = bartizan.run(folder, *words(kind))

    if not case.said:
        assert_protected(done, kind, text, folder, before)
        return
    assert_refused(done, case.said)
    assert not case.placed or re.match(r"bartizan: `in` is .*?: line [\d]+, column [\d]+", done.errors), done.errors
    assert contents(folder) == before


@pytest.mark.parametrize("kind", FORMATS)
def test_cut_off_files(bartizan: Commands, folder: Path, kind: str) -> None:
    """A real file that was cut off anywhere is refused with a place, or protected as the smaller file it is."""
    whole = FORMATS[kind].real.read_bytes()
    refused = 0
    for length in range(0, len(whole), len(whole) // 16):
        (folder / "in").write_bytes(whole[:length])
        before = contents(folder)
        done = bartizan.run(folder, *words(kind))
        if done.code == 0:
            assert_protected(done, kind, whole[:length], folder, before)
            (folder / "out").write_text("precious")
            (folder / "app" / "defender").unlink(missing_ok=True)
            continue
        refused += 1
        assert_refused(done, r"line \d+, column \d+")
        assert contents(folder) == before
    assert refused


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("file", "output", "said"),
    [
        ("nowhere", "out", "`nowhere` cannot be read: No such file or directory"),
        ("app", "out", "`app` cannot be read: Is a directory"),
        ("unreadable", "out", "`unreadable` cannot be read: Permission denied"),
        ("/dev/zero", "out", "`/dev/zero` is larger than the .* bytes that are read: give a smaller file"),
        ("good", "nowhere/out", "`nowhere/out` cannot be written: No such file or directory"),
        ("good", "bundle.json/out", "`bundle.json/out` cannot be written: Not a directory"),
        ("good", "app", "`app` cannot be written: Is a directory"),
        ("good", "locked", "`locked` cannot be written: Permission denied"),
        ("good", "closed/out", "`closed/out` cannot be written: Permission denied"),
    ],
)
def test_bad_files(bartizan: Commands, folder: Path, kind: str, file: str, output: str, said: str) -> None:
    """Files that are not there, or cannot be read or written, are named with what is wrong, and nothing changes."""
    for name in ("good", "unreadable", "locked"):
        (folder / name).write_bytes(FORMATS[kind].sample)
    (folder / "closed").mkdir()
    before = contents(folder)
    for name, mode in (("unreadable", 0), ("locked", 0o400), ("closed", 0o500)):
        (folder / name).chmod(mode)

    done = bartizan.run(folder, *words(kind, file=file, output=output))

    for name in ("unreadable", "closed"):
        (folder / name).chmod(0o700)
    assert_refused(done, said)
    assert contents(folder) == before


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk(bartizan: Commands, folder: Path, kind: str) -> None:
    """When the disk is full the output stays what it was, and no part of a file is left."""
    (folder / "in").write_bytes(FORMATS[kind].sample)
    before = contents(folder)

    done = bartizan.run(folder, *words(kind), file_size=300)

    assert_refused(done, "`out` cannot be written: File too large")
    assert contents(folder) == before


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("output", "said"),
    [("/dev/full", "No space left on device"), (None, "Bad file descriptor")],
    ids=["full", "closed"],
)
def test_standard_output_that_takes_nothing(
    bartizan: Commands, folder: Path, kind: str, output: str | None, said: str
) -> None:
    """A standard output that leads to a full disk, or is closed, is an error, also for a report; nothing is left."""
    (folder / "in").write_bytes(FORMATS[kind].sample)
    before = contents(folder)

    for asked in (words(kind, output="-"), (*words(kind), "--dry-run", "--format", "json")):
        done = bartizan.run(folder, *asked, output=output)
        assert_refused(done, f"standard output cannot be written: {said}")
        assert contents(folder) == before


@pytest.mark.parametrize("kind", FORMATS)
def test_standard_input_that_is_closed(bartizan: Commands, folder: Path, kind: str) -> None:
    """`- <&-` is an error like other files that cannot be read."""
    done = bartizan.run(folder, *words(kind, file="-"), input_closed=True)

    assert_refused(done, "`-` cannot be read: Bad file descriptor")
    assert (folder / "out").read_text() == "precious"


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_no_file_is_written_to(bartizan: Commands, folder: Path, kind: str) -> None:
    """A pipe or a device as the output file is written to, and stays what it is; a link stays a link."""
    (folder / "in").write_bytes(FORMATS[kind].sample)
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("out")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        piped = bartizan.run(folder, *words(kind, output="pipe"))
        written = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
    linked = bartizan.run(folder, *words(kind, output="link"))

    assert (piped.code, linked.code) == (0, 0)
    assert (folder / "pipe").is_fifo()
    assert (folder / "link").is_symlink()
    assert FORMATS[kind].unprotect(written).encode() == FORMATS[kind].sample
    assert FORMATS[kind].unprotect((folder / "out").read_bytes()).encode() == FORMATS[kind].sample
