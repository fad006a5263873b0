"""What an emulated machine holds: a kernel, an initial file system that finds the disk, and Debian's programs on it.

All of Debian comes with apt-get's own means (signed lists, checked packages) and is unpacked, not installed. The disk
is an ext4 file system, so that programs lie on a real one and `/dev/shm` is told apart as memory.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PROGRAMS_SUITE = "bookworm"
# What the tests start; apt-get finds what these need.
PROGRAMS = (
    *("busybox-static", "dash", "coreutils", "util-linux", "mount", "grep", "sed", "iproute2", "procps"),
    *("perl-base", "python3", "libc6"),
)
# Drivers of the disk, in the order in which they are needed, and of the pairs of interfaces that tests of the network
# make; what they need is found in them.
MODULES = ("virtio_pci", "virtio_blk", "veth")
LINKED = ("bin", "sbin", "lib", "lib64")
FOLDERS = ("proc", "sys", "dev", "run", "tmp", "root", "var/lib/dpkg/info", "tests/deps", "tests/examples")
SETTINGS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n",
    "etc/group": "root:x:0:\nuser:x:1000:\n",
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost machine\n",
    "etc/resolv.conf": "nameserver 127.0.0.1\n",
}

# In the initial file system: finds the disk and goes there.
FIND_DISK = """#!/busybox sh
/busybox mkdir -p /proc /sys /dev /disk
/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /busybox insmod $module; done
until /busybox mount -t ext4 /dev/vda /disk 2>/dev/null; do /busybox usleep 100000; done
exec /busybox switch_root /disk /start
"""
# On the disk.
START = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root RUST_BACKTRACE=0 ATTACK_SHARE=5 BARTIZAN_PATIENCE=PATIENCE_FACTOR
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts -o ptmxmode=666
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs run /run
ln -sf /proc/self/fd /dev/fd
ip link set lo up
echo "machine: Linux $(uname -r) $(uname -m)"
for test in TEST_PROGRAMS; do
    # In a session of its own: the first process is in a group that has no number.
    setsid -w /tests/deps/$test --test-threads=1 TEST_FILTER 2>&1
    echo "machine: $test ended with $?"
done
echo "machine: over"
/bin/busybox poweroff -f
"""


def fetch(architecture: str, suite: str, kernel: str, folder: Path) -> None:
    """Fetch and unpack kernel and programs into ``folder``, once for each list of programs.

    Raises:
        subprocess.CalledProcessError: apt-get or dpkg-deb failed, and has said why.
    """
    done, wanted = folder / "fetched", " ".join((suite, kernel, *PROGRAMS))
    if done.exists() and done.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    old, new = (apt_options(name, architecture, folder / name) for name in (suite, PROGRAMS_SUITE))
    packages = folder / "kernel-package"
    packages.mkdir(parents=True)
    subprocess.run(["apt-get", "-qq", *old, "download", newest_kernel(kernel, old)], check=True, cwd=packages)
    install = ["apt-get", "-qq", "-y", *new, "--download-only", "--no-install-recommends", "install", *PROGRAMS]
    subprocess.run(install, check=True)
    unpack(sorted(packages.glob("*.deb")), folder / "kernel-files")
    shutil.copy(max((folder / "kernel-files").glob("boot/vmlinuz-*")), folder / "kernel")
    unpack(sorted((folder / PROGRAMS_SUITE / "archives").glob("*.deb")), folder / "programs")
    done.write_text(wanted)


def apt_options(suite: str, architecture: str, folder: Path) -> list[str]:
    """Options with which apt-get works in ``folder`` only, for any suite and architecture; its lists are fetched."""
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={KEYRING} arch={architecture}]"
    (folder / "sources.list").write_text(
        f"deb {signed} http://deb.debian.org/debian {suite} main\n"
        f"deb {signed} http://deb.debian.org/debian-security {suite}-security main\n"
    )
    (folder / "status").touch()
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    subprocess.run(["apt-get", "-qq", *options, "update"], check=True)
    return options


def newest_kernel(kernel: str, options: list[str]) -> str:
    """The package that the kernel's meta package stands for."""
    command = ["apt-cache", *options, "depends", kernel]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Depends: (linux-image-\S+?)(?::\w+)?$", told, re.MULTILINE)
    if not found:
        raise SystemExit(f"machine: `{kernel}` stands for no kernel: {told}")
    return found[1]


def unpack(packages: list[Path], folder: Path) -> None:
    """Unpack where `/bin` and the like are links into `/usr`, as Debian installs itself."""
    folder.mkdir()
    for name in LINKED:
        (folder / "usr" / name).mkdir(parents=True)
        (folder / name).symlink_to(f"usr/{name}")
    for package in packages:
        content = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
        command = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(folder)]
        subprocess.run(command, check=True, stdin=content.stdout)
        if content.wait():
            raise SystemExit(f"machine: `{package.name}` cannot be unpacked")


def write(folder: Path, built: Path, tests: tuple[str, ...], only: str, patience: str) -> None:
    """Write the initial file system and the disk.

    Args:
        folder: What `fetch` filled; ``initial.cpio`` and ``disk`` are written beside it.
        built: Where cargo put programs.
        tests: Names of test programs, all of which must be there.
        only: Words for each test program: a part of the names of the tests to run, or nothing.
        patience: The factor by which tests wait longer.
    """
    write_archive(folder / "initial.cpio", initial_files(folder))
    root = folder / "programs"
    shutil.rmtree(root / "tests", ignore_errors=True)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, text in SETTINGS.items():
        (root / name).write_text(text)
    if not (root / "usr/bin/sh").is_symlink():
        (root / "usr/bin/sh").symlink_to("dash")
    replaced = {"TEST_PROGRAMS": " ".join(tests), "TEST_FILTER": only, "PATIENCE_FACTOR": patience}
    (root / "start").write_text(re.sub("|".join(replaced), lambda found: replaced[found[0]], START))
    (root / "start").chmod(0o755)
    programs = {f"deps/{name}": newest(built, name) for name in tests} | {"defender": built / "defender"}
    for example in built.glob("examples/*"):
        if re.fullmatch(r"[a-z_0-9]+", example.name) and example.is_file():
            programs[f"examples/{example.name}"] = example
    for place, program in programs.items():
        (root / "tests" / place).write_bytes(stripped(program, folder))
        (root / "tests" / place).chmod(0o755)
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d", str(root), str(folder / "disk"), "1G"]
    (folder / "disk").unlink(missing_ok=True)
    # Whoever runs this owns the files; on the disk root does.
    subprocess.run([*([] if os.geteuid() == 0 else ["fakeroot"]), *make], check=True)


def newest(built: Path, name: str) -> Path:
    """The newest of the test programs of this name, which cargo tells apart by a hash."""
    found = [path for path in built.glob(f"deps/{name}-*") if not path.suffix and os.access(path, os.X_OK)]
    if not found:
        raise SystemExit(f"machine: no test program `{name}` in `{built}/deps`")
    return max(found, key=lambda path: path.stat().st_mtime)


def stripped(program: Path, folder: Path) -> bytes:
    """A program's bytes without its symbols for debuggers, which are most of it."""
    short = folder / "stripped"
    objcopy = "objcopy" if is_native(program) else "aarch64-linux-gnu-objcopy"
    subprocess.run([objcopy, "-S", str(program), str(short)], check=True)
    return short.read_bytes()


def is_native(program: Path) -> bool:
    """Whether the program is of x86-64 (`e_machine`, elf(5))."""
    with program.open("rb") as file:
        return file.read(20)[18:20] == b"\x3e\x00"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or device of the initial file system."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def initial_files(folder: Path) -> Iterator[Entry]:
    """What finds the disk."""
    yield Entry("dev", stat.S_IFDIR | 0o755)
    yield Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    yield Entry("init", stat.S_IFREG | 0o755, FIND_DISK.encode())
    yield Entry("busybox", stat.S_IFREG | 0o755, (folder / "programs/bin/busybox").read_bytes())
    yield Entry("modules", stat.S_IFDIR | 0o755)
    for number, content in enumerate(modules(folder / "kernel-files")):
        yield Entry(f"modules/{number:02}.ko", stat.S_IFREG | 0o644, content)


def modules(kernel: Path) -> list[bytes]:
    """The drivers and what they need, in the order in which they can be loaded (`depends` of modinfo(8))."""
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in found:
            return
        path = next((path for path in kernel.rglob("*.ko") if path.stem.replace("-", "_") == name), None)
        if path is None:
            raise SystemExit(f"machine: the kernel has no driver `{name}`")
        content = path.read_bytes()
        needed = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in needed[1].decode().split(",") if needed else ():
            if other:
                add(other.replace("-", "_"))
        found[name] = content

    for name in MODULES:
        add(name)
    return list(found.values())


def write_archive(path: Path, entries: Iterator[Entry]) -> None:
    """Write the entries in the format that the kernel unpacks (initramfs buffer format, the kernel's documentation)."""
    with path.open("wb") as archive:
        for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
            name = entry.path.encode() + b"\0"
            fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
            head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
            archive.write(padded(head) + padded(entry.content))


def padded(data: bytes) -> bytes:
    """Fill up to a multiple of four bytes."""
    return data + b"\0" * (-len(data) % 4)
