"""The resolvers of real runtimes: allowed names have addresses, and denied ones do not exist, at once, everywhere."""

from __future__ import annotations

import subprocess

import pytest

from chamber import NAMES, PROGRAMS, Outcome, run
from comparing import CACHE, without

GOOD, DENIED, MISSING = "other.test", "a.evil.test", "missing.test"
PATH = "/usr/local/go/bin:/usr/lib/go/bin:/usr/bin:/bin"
ADDRESS = dict(entry.split("=") for entry in NAMES)[GOOD]


def ask(*command: str) -> Outcome:
    """Run a program under the usual policy and check that every denied look-up, and nothing else, was reported."""
    # That a shell starts programs, and that a program comes as an argument, is this test's own doing.
    policy = without("notMainProcess", "inlineCode")
    outcome = run([*command, GOOD, DENIED, MISSING], guarded=True, policy=policy)
    assert {(audit["reason"], audit["event"].get("name")) for audit in outcome.audits} == {("deniedName", DENIED)}
    return outcome


def built(name: str, *command: str) -> str:
    """Build a program into the cache; return its path."""
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, str(CACHE / name)], check=True, env={"PATH": PATH, "HOME": str(CACHE)})
    return str(CACHE / name)


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc"])
def test_c_libraries(compiler: str) -> None:
    """glibc, which connects and asks for both families in one call, and musl, which never connects."""
    program = built(f"resolving-{compiler}", compiler, "-static", str(PROGRAMS / "resolving.c"), "-o")

    outcome = ask(program)

    assert outcome.output.splitlines()[-3:] == [
        f"{GOOD} {ADDRESS}",
        f"{DENIED} no such name",
        f"{MISSING} no such name",
    ]


def test_node() -> None:
    """c-ares, which compares the source of every answer, and `lookup`, which asks the C library."""
    outcome = ask("node", str(PROGRAMS / "resolving.js"))

    lines = outcome.output.splitlines()
    assert "slowly" not in outcome.output
    assert f'{GOOD} resolve4 ["{ADDRESS}"] at once' in lines
    assert f"{GOOD} lookup {ADDRESS}" in lines
    assert f"{DENIED} lookup ENOTFOUND" in lines
    for kind in ("resolve4", "resolve6", "resolveTxt", "resolveSrv", "resolveMx"):
        assert f"{DENIED} {kind} ENOTFOUND at once" in lines
    assert lines[-1] == "together 300"


def test_go() -> None:
    """Go's own resolver, over datagrams and streams."""
    environment = {"PATH": PATH, "HOME": str(CACHE), "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    program = CACHE / "resolving-go"
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(program), str(PROGRAMS / "resolving.go")], check=True, env=environment)

    outcome = ask(str(program))

    for network in ("udp", "tcp"):
        assert f"{network} {GOOD} [{ADDRESS}] false\n" in outcome.output
        assert f"{network} {DENIED} [] true\n" in outcome.output
        assert f"{network} {MISSING} [] true\n" in outcome.output


def test_java() -> None:
    """Java, on several threads at once."""
    subprocess.run(["javac", "-d", str(CACHE / "java"), str(PROGRAMS / "Resolving.java")], check=True)

    outcome = ask("java", "-Xmx128m", "-cp", str(CACHE / "java"), "Resolving")

    assert outcome.output == f"{GOOD} {ADDRESS}\n{DENIED} unknown\n{MISSING} unknown\n"


def test_python() -> None:
    """The C library's resolver through Python, for both families."""
    script = (
        "import socket, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(name, sorted({entry[4][0] for entry in socket.getaddrinfo(name, 80)}))\n"
        "    except socket.gaierror as error: print(name, error.errno == socket.EAI_NONAME)\n"
    )

    outcome = ask("python3", "-c", script)

    assert outcome.output == f"{GOOD} ['{ADDRESS}']\n{DENIED} True\n{MISSING} True\n"


def test_getent() -> None:
    """The system's own resolver with its switch of sources."""
    outcome = ask("sh", "-c", 'for name; do getent hosts "$name"; echo "$name $?"; done', "sh")

    assert f"{ADDRESS} " in outcome.output
    assert [line for line in outcome.output.splitlines() if ".test" in line and not line.startswith(ADDRESS)] == [
        f"{GOOD} 0",
        f"{DENIED} 2",
        f"{MISSING} 2",
    ]
