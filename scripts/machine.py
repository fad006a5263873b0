"""Runs the supervisor's attack tests on an emulated machine with a kernel of its own: `machine.py arm64|amd64 FOLDER`.

* ``arm64``: Debian 12's kernel for arm64, on QEMU's `virt` machine.
* ``amd64``: the oldest kernel that Debian still maintains, 5.10 of Debian 11 (LTS): what newer kernels offer is absent
  for real there, not only switched off.

``FOLDER`` is where cargo put the test programs (``deps/``) and the examples beside them. Kernel and the few programs
that the tests call (busybox, setpriv, unshare) are fetched from Debian with apt-get's own means (signed lists, checked
packages) into ``.cache/machine``; nothing is installed. The machine has no disk and no network: everything is in the
initial file system, which this script writes, and what it says comes over the serial line.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache/machine"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MINUTES = float(os.environ.get("BARTIZAN_MACHINE_MINUTES", "20"))
# Test programs that need nothing but processes, a network namespace and the examples; those of their tests that
# are left out need what the bare machine has not: a package database, a disk, perl, Python, or the loader of x86-64.
TESTS: dict[str, tuple[str, ...]] = {
    "attacks": (),
    "detections": (
        "a_program_from_a_file_system_in_memory_does_not_run",
        "a_program_unlike_its_package_does_not_run",
        "a_script_from_memory_does_not_run",
        "code_on_a_command_line_does_not_run",
        "the_dynamic_loader_does_not_hide_a_denied_program",
        "the_dynamic_loader_does_not_run_a_program",
    ),
}
PROGRAMS_SUITE = "bookworm"
# dash, because the shell of busybox prefers its own small setpriv to the real one.
PROGRAMS = ("busybox-static", "dash", "util-linux", "libcap-ng0", "libc6")
WANTED = (
    "bin/busybox",
    "usr/bin/busybox",
    "bin/setpriv",
    "usr/bin/setpriv",
    "usr/bin/unshare",
    "bin/dash",
    "usr/bin/dash",
)
# Of busybox.
TOOLS = (
    *("[", "cat", "chmod", "cp", "cut", "dd", "env", "echo", "false", "grep", "head", "id", "ip", "kill", "ln", "ls"),
    *(
        "md5sum",
        "mkdir",
        "mkfifo",
        "mount",
        "mv",
        "nc",
        "printf",
        "ps",
        "rm",
        "sed",
        "seq",
        "sha256sum",
        "sleep",
        "sort",
    ),
    *("stat", "tail", "test", "timeout", "touch", "tr", "true", "umount", "wc"),
)
LIBRARIES = re.compile(r"/(ld-linux[^/]*|libc\.so\.6|libcap-ng\.so\.0[^/]*)$")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a kernel comes from and what runs it."""

    architecture: str
    suite: str
    kernel: str
    console: str
    emulator: tuple[str, ...]


MACHINES = {
    "arm64": Machine(
        *("arm64", "bookworm", "linux-image-cloud-arm64", "ttyAMA0"),
        ("qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on", "-accel", "tcg,thread=multi"),
    ),
    "amd64": Machine(
        *("amd64", "bullseye", "linux-image-cloud-amd64", "ttyS0"),
        ("qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-accel", "tcg,thread=multi"),
    ),
}

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
/bin/busybox ip link set lo up
export PATH=/usr/bin:/bin RUST_BACKTRACE=0 HOME=/root ATTACK_SHARE=5
echo "machine: Linux $(/bin/busybox uname -rm)"
for test in /tests/deps/*; do
    $test --test-threads=1 $(cat /tests/skipped/${test##*/}) 2>&1
    echo "machine: ${test##*/} ended with $?"
done
echo "machine: over"
/bin/busybox poweroff -f
"""


def main(words: list[str]) -> int:
    """Run it; return 0 when every test program ended with 0."""
    if len(words) != 2 or words[0] not in MACHINES:
        print(f"usage: machine.py {'|'.join(MACHINES)} FOLDER", file=sys.stderr)
        return 64
    machine, built = MACHINES[words[0]], Path(words[1])
    folder = CACHE / machine.architecture
    kernel = fetch(machine, folder)
    image = folder / "initial.cpio"
    write_archive(image, files(folder / "unpacked", built))
    return report(machine, kernel, image)


def fetch(machine: Machine, folder: Path) -> Path:
    """Fetch and unpack kernel and programs, once; return the kernel's path.

    Raises:
        subprocess.CalledProcessError: apt-get or dpkg-deb failed, and has said why.
    """
    unpacked, done = folder / "unpacked", folder / "fetched"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        packages = folder / "packages"
        packages.mkdir(parents=True)
        old, new = (
            apt_options(suite, machine.architecture, folder / suite) for suite in (machine.suite, PROGRAMS_SUITE)
        )
        subprocess.run(["apt-get", "-qq", *old, "download", newest_kernel(machine, old)], check=True, cwd=packages)
        subprocess.run(["apt-get", "-qq", *new, "download", *PROGRAMS], check=True, cwd=packages)
        for package in packages.iterdir():
            subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True)
        done.touch()
    return max(unpacked.glob("boot/vmlinuz-*"))


def apt_options(suite: str, architecture: str, folder: Path) -> list[str]:
    """Options with which apt-get works in ``folder`` only, for any suite and architecture; its lists are fetched."""
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={KEYRING} arch={architecture}]"
    (folder / "sources.list").write_text(
        f"deb {signed} http://deb.debian.org/debian {suite} main\n"
        f"deb {signed} http://deb.debian.org/debian-security {suite}-security main\n"
    )
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder,
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    subprocess.run(["apt-get", "-qq", *options, "update"], check=True)
    return options


def newest_kernel(machine: Machine, options: list[str]) -> str:
    """The package that the kernel's meta package stands for."""
    command = ["apt-cache", *options, "depends", machine.kernel]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Depends: (linux-image-\S+?)(?::\w+)?$", told, re.MULTILINE)
    if not found:
        raise SystemExit(f"machine: `{machine.kernel}` stands for no kernel: {told}")
    return found[1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder, link or device of the initial file system; ``content`` is a link's target too."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def files(unpacked: Path, built: Path) -> Iterator[Entry]:
    """All that the machine needs."""
    yield Entry("dev", stat.S_IFDIR | 0o755)
    yield Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    yield Entry("init", stat.S_IFREG | 0o755, INIT.encode())
    folders = (
        "bin",
        "usr",
        "usr/bin",
        "lib",
        "lib64",
        "tests",
        "tests/deps",
        "tests/examples",
        "tests/skipped",
        "tmp",
        "root",
    )
    yield from (Entry(folder, stat.S_IFDIR | 0o755) for folder in folders)
    libraries = [path for path in unpacked.rglob("*") if LIBRARIES.search(str(path))]
    for path in libraries:
        for place in ("lib", "lib64"):
            yield Entry(f"{place}/{path.name}", stat.S_IFREG | 0o755, behind(path, unpacked).read_bytes())
    for name in dict.fromkeys(Path(wanted).name for wanted in WANTED):
        source = next(
            unpacked / wanted for wanted in WANTED if wanted.endswith(f"/{name}") and (unpacked / wanted).is_file()
        )
        yield Entry(f"bin/{name}", stat.S_IFREG | 0o755, source.read_bytes())
    for name in TOOLS:
        yield Entry(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox")
        yield Entry(f"usr/bin/{name}", stat.S_IFLNK | 0o777, b"/bin/busybox")
    yield Entry("bin/sh", stat.S_IFLNK | 0o777, b"dash")
    for name, skipped in TESTS.items():
        candidates = [path for path in built.glob(f"deps/{name}-*") if not path.suffix and os.access(path, os.X_OK)]
        if candidates:
            newest = max(candidates, key=lambda path: path.stat().st_mtime)
            words = " ".join(f"--skip {test}" for test in skipped)
            yield Entry(f"tests/skipped/{name}", stat.S_IFREG | 0o644, words.encode())
            yield Entry(f"tests/deps/{name}", stat.S_IFREG | 0o755, stripped(newest))
    for example in built.glob("examples/*"):
        if re.fullmatch(r"[a-z_0-9]+", example.name) and example.is_file():
            yield Entry(f"tests/examples/{example.name}", stat.S_IFREG | 0o755, stripped(example))


def behind(path: Path, unpacked: Path) -> Path:
    """The file that a link leads to, where `/` is the folder of unpacked packages."""
    while path.is_symlink():
        target = str(path.readlink())
        path = unpacked / target.lstrip("/") if target.startswith("/") else path.parent / target
    return path


def stripped(program: Path) -> bytes:
    """A program's bytes without its symbols for debuggers, which are most of it."""
    short = CACHE / "stripped"
    subprocess.run(
        ["objcopy" if is_native(program) else "aarch64-linux-gnu-objcopy", "-S", str(program), str(short)], check=True
    )
    return short.read_bytes()


def is_native(program: Path) -> bool:
    """Whether the program is of x86-64 (`e_machine`, elf(5))."""
    with program.open("rb") as file:
        return file.read(20)[18:20] == b"\x3e\x00"


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


def report(machine: Machine, kernel: Path, image: Path) -> int:
    """Start the machine, pass on what it says, and return 0 when all its tests passed."""
    command = [
        *machine.emulator,
        *("-m", "1024", "-smp", "2", "-nographic", "-no-reboot", "-nic", "none", "-monitor", "none"),
        *("-kernel", str(kernel), "-initrd", str(image)),
        *("-append", f"console={machine.console} quiet loglevel=3 panic=-1 rdinit=/init"),
    ]
    codes: dict[str, int] = {}
    over = False
    start = time.monotonic()
    with subprocess.Popen(
        ["timeout", str(int(60 * MINUTES)), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line.rstrip(), flush=True)
            if ended := re.search(r"machine: (\S+) ended with (\d+)", line):
                codes[ended[1]] = int(ended[2])
            over |= "machine: over" in line
    failed = [name for name, code in codes.items() if code]
    if not over or not codes or failed:
        print(f"machine: failed: {failed or f'not over after {MINUTES} minutes'}", file=sys.stderr)
        return 1
    print(f"machine: {machine.architecture}: {len(codes)} test programs passed in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
