"""Where the firewall's rules come from: the pinned module, packed the same way each time."""

import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKER = ROOT / "scripts/pack_rules.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What fetching needs of the repository, in a folder without anything fetched."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "defender/waf/rules", tmp_path / "defender/waf/rules")
    return tmp_path


def fetch(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Fetch the rules with an environment of its own."""
    known = {name: value for name, value in os.environ.items() if name in {"PATH", "HTTPS_PROXY", "https_proxy"}}
    proxy = {"GOPROXY": os.environ["GOPROXY"]} if "GOPROXY" in os.environ else {}
    command = ["sh", checkout / "scripts/rules.sh"]
    return subprocess.run(command, env={**known, **proxy, **environment}, capture_output=True, text=True, check=False)


def test_no_home_is_needed_and_nothing_else_is_left(checkout: Path) -> None:
    """Without a writable home the rules arrive whole; Go's folders, whose files are read-only, are gone afterwards."""
    done = fetch(checkout, HOME="/proc/nowhere", GOPATH="/proc/nowhere", GOMODCACHE="/proc/nowhere")

    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (checkout / ".cache/rules").iterdir()) == ["crs4", "crs4.pack"]
    assert len(list((checkout / ".cache/rules/crs4/rules").glob("*.conf"))) == 27
    assert sorted(path.name for path in checkout.iterdir()) == [".cache", "defender", "scripts"]


def test_a_module_with_another_sum_is_refused(checkout: Path) -> None:
    """Rules whose sum is not the pinned one never arrive, not even in part."""
    pins = checkout / "defender/waf/rules/go.sum"
    pins.write_text(pins.read_text().replace("h1:t", "h1:u", 1))
    done = fetch(checkout)

    assert done.returncode == 1
    assert "rules: Go could not download" in done.stderr
    assert list((checkout / ".cache/rules").iterdir()) == []


def test_a_network_that_is_not_there_is_told(checkout: Path) -> None:
    """Without the module proxy there is one clear error and nothing half-made."""
    done = fetch(checkout, GOPROXY="off")

    assert done.returncode == 1
    assert "lookup disabled by GOPROXY=off" in done.stderr
    assert list((checkout / ".cache/rules").iterdir()) == []


def test_the_same_files_give_the_same_pack(tmp_path: Path) -> None:
    """A pack has files in the order of loading; made again it is the same, and is not written: nothing is rebuilt."""
    (tmp_path / "set/rules").mkdir(parents=True)
    names = ("setup.conf", "rules/b.conf", "rules/a.conf", "rules/w.data", "LICENSE", "version")
    for name in names:
        (tmp_path / "set" / name).write_text(name)
    pack = tmp_path / "set.pack"
    command = [sys.executable, PACKER, tmp_path / "set", pack]
    subprocess.run(command, check=True, capture_output=True)
    before = pack.stat()
    subprocess.run(command, check=True, capture_output=True)

    assert (pack.stat().st_ino, pack.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    magic, _, stream = pack.read_bytes().partition(b"\n")
    assert magic == b"bartizan-rules 1"
    assert list(entries(zlib.decompress(stream))) == [
        ("crs-setup.conf", b"setup.conf"),
        ("a.conf", b"rules/a.conf"),
        ("b.conf", b"rules/b.conf"),
        ("w.data", b"rules/w.data"),
        ("LICENSE", b"LICENSE"),
        ("VERSION", b"version"),
    ]


def entries(plain: bytes) -> "list[tuple[str, bytes]]":
    """Take a pack apart."""
    found = []
    while plain:
        (length,) = struct.unpack_from(">H", plain)
        name, plain = plain[2 : 2 + length].decode(), plain[2 + length :]
        (length,) = struct.unpack_from(">I", plain)
        found.append((name, plain[4 : 4 + length]))
        plain = plain[4 + length :]
    return found
