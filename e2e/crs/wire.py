"""Runs a rule set's regression tests against the proxy on a socket: `wire.py [--rules FOLDER] [NAME…]`.

``FOLDER`` is a release of the Core Rule Set as it is unpacked, else the one that scripts/rules.sh fetched;
``PROGRAM`` (`--proxy`) is the built example `proxy`, else it is built. With names only these tests are run, and
shown. It prints what does not hold, what is held to something else and why, and a closing line; it ends with 1 when a
test does not hold.

Every request goes over a connection of its own as the raw bytes that the test says, many at once; behind the proxy
stands `reflecting.py`. What the rules found comes from the proxy's standard output. Each stage has a source address
of its own in 127.0.0.0/8, by which the proxy's lines are told apart. Tests that are held to something else than what
they say are named, with the reason, in ``ANSWERED``, and in run.py's ``EXCEPTIONS``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import run
from built import built
from ftw import Answer, Stage, log_of, problem, stages
from reflecting import Reflecting
from release import Release, fetched

# Connections at once.
WIDTH = 16
# Seconds for one stage; the proxy gives up earlier.
PATIENCE = 20

GROUPS = (
    *("sqli", "xss", "cmdi", "codeInjection", "lfi", "attackTools", "shellshock", "malformedReq"),
    *("ssrf", "nosql", "ssti", "xxe", "deserialisation", "protocol"),
)

# Tests that say no status, or the application's, and whose requests a strict proxy answers itself: why, with which
# status, which ones. What they say of rules holds besides, except where the head is none (400): nobody judges that.
ANSWERED: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    (
        "no tunnel leads through a gateway (RFC 9110, section 9.3.6): the head is judged, then refused",
        405,
        ("920100-4", "920100-6", "920300-3"),
    ),
    (
        "the head is HTTP/1 and names another version, or none (RFC 9110, section 15.6.6): it is judged, then refused",
        505,
        ("920180-4", "920430-4", "920430-5", "920430-8"),
    ),
    ("a target with a fragment is none (RFC 9112, section 3.2)", 400, ("920100-7",)),
    ("a host that is neither a name nor an address is none (RFC 9112, section 3.2)", 400, ("920290-2",)),
)
EXCEPTIONS = run.EXCEPTIONS | {name: (why, {"status": status}) for why, status, names in ANSWERED for name in names}

Outcome = tuple[Stage, Answer, str | None]


@dataclass(slots=True)
class Running:
    """A proxy under test."""

    port: int
    told: dict[str, asyncio.Future[Answer]] = field(default_factory=dict)
    """What it said of a client's first request, by the client's address."""
    seen: list[bytes] = field(default_factory=list)
    """First lines of the requests that reached the application."""

    async def ask(self, client: str, request: bytes) -> Answer:
        """Send a request's bytes from an address; the status that came back, and what was found in it."""
        told = self.told[client] = asyncio.get_running_loop().create_future()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(client, 0), limit=1 << 20)
        try:
            writer.write(request)
            status = await _status(reader)
            # Of a request that never became whole nothing is said.
            if status in (0, 408) and not told.done():
                return Answer(status, refused="the request is not whole")
            return replace(await told, status=status)
        finally:
            writer.close()
            del self.told[client]

    def take(self, line: bytes) -> None:
        """Take what the proxy said."""
        said = json.loads(line)
        if "findings" in said:
            found = said["findings"]
            self._tell(said["client"], Answer(0, frozenset(one["id"] for one in found), log_of(found)))
        elif not said["event"]["rules"]:
            self._tell(said["event"]["address"], Answer(0, refused=said["event"]["message"]))

    def _tell(self, client: str, answer: Answer) -> None:
        told = self.told.get(client)
        if told is not None and not told.done():
            told.set_result(answer)


async def _status(reader: asyncio.StreamReader) -> int:
    """The final status of a response; 0 when the connection ends without one."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        status = int(head.split(b" ", 2)[1][:3])
        if status >= 200:
            return status


def policy(port: int, *, effect: str, profile: str = "crsStrict") -> dict[str, Any]:
    """A policy of one application, with the same effect for every group."""
    endpoint = {"host": "*", "basePath": "*", "exposedPort": port, "internalPort": 0, "tls": False}
    application = {
        "appID": "tested",
        "apiSpec": {"endpoints": [endpoint]},
        **{group: {"effect": effect, "exceptionFields": []} for group in GROUPS},
        "intelGathering": {"infoLeakageEffect": effect, "removeFingerprintsEnabled": False},
    }
    head = {"version": 1, "revision": 1, "rule": "tested", "profile": profile, "readTimeoutSeconds": 2}
    return {**head, "trustedProxies": [], "applications": [application]}


@asynccontextmanager
async def proxy(
    program: Path, release: Release, before: str, *, effect: str, profile: str = "crsStrict"
) -> AsyncIterator[Running]:
    """The proxy before the application; `before` is SecLang that goes before the release's rules."""
    loop = asyncio.get_running_loop()
    seen: list[bytes] = []
    application = await loop.create_server(lambda: Reflecting(seen), "127.0.0.1", 0)
    behind = application.sockets[0].getsockname()[1]
    exposed = await _free_port()
    with tempfile.TemporaryDirectory() as name:
        settings, given = Path(name) / "settings.conf", Path(name) / "policy.json"
        settings.write_text(before)
        given.write_text(json.dumps(policy(exposed, effect=effect, profile=profile)))
        process = await asyncio.create_subprocess_exec(
            *(program, "--findings", f"{exposed}:{behind}", given, settings, *release.files()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        running = Running(exposed, seen=seen)
        try:
            # The first line is said once requests are judged.
            await process.stdout.readline()
            listening = asyncio.create_task(_listen(process.stdout, running))
            yield running
            process.stdin.close()
            await listening
        finally:
            if process.returncode is None:
                process.stdin.close()
                await asyncio.wait_for(process.wait(), PATIENCE)
            application.close()


async def _listen(lines: asyncio.StreamReader, running: Running) -> None:
    while line := await lines.readline():
        running.take(line)


async def _free_port() -> int:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def outcomes(program: Path, release: Release, names: Collection[str] = ()) -> list[Outcome]:
    """Every stage, or those whose names are given, with what came of it and what is wrong with it."""
    found: list[Outcome] = []
    given = [stage for stage in stages(release.tests) if not names or stage.name in names]
    numbered = enumerate(given)
    async with proxy(program, release, run.TESTED, effect="alert") as running:

        async def work() -> None:
            for number, one in numbered:
                stage = replace(one, **EXCEPTIONS[one.name][1]) if one.name in EXCEPTIONS else one
                client = f"127.1.{number >> 8}.{number & 255}"
                async with asyncio.timeout(PATIENCE):
                    answer = await running.ask(client, stage.request)
                found.append((stage, answer, _fault(stage, answer)))

        await asyncio.gather(*(work() for _ in range(WIDTH)))
    return found


def _fault(stage: Stage, answer: Answer) -> str | None:
    """What is wrong. A test that only says which rules are not to speak does not hold because nobody asked them."""
    if stage.status is None and answer.status >= 400:
        return f"answered by the proxy: {answer.status} {answer.refused}"
    return problem(stage, answer)


def main() -> int:
    """Run all tests, or those whose names are given; return the exit status."""
    parser = argparse.ArgumentParser(description="A rule set's regression tests against the proxy on a socket.")
    parser.add_argument("--rules", type=Path, default=fetched(), help="the rule set's folder")
    parser.add_argument("--proxy", type=Path, help="the built example `proxy`")
    parser.add_argument("names", nargs="*", help="tests such as 920100-4")
    named = parser.parse_args()
    try:
        release = Release.at(named.rules)
    except FileNotFoundError as error:
        parser.error(str(error))
    found = asyncio.run(outcomes(named.proxy or built("proxy"), release, named.names))
    faults = [(stage, answer, fault) for stage, answer, fault in found if fault]
    for stage, _, fault in sorted(faults, key=lambda one: one[0].name):
        print(f"{stage.name}: {fault}")
    if named.names:
        for stage, answer, _ in found:
            print(stage.request.decode(errors="replace"), answer, sep="\n")
    for name in sorted(EXCEPTIONS.keys() & {stage.name for stage, _, _ in found}):
        print(f"{name} is held to something else: {EXCEPTIONS[name][0]}")
    tests = len({stage.name.partition(".")[0] for stage, _, _ in found})
    failed = len({stage.name.partition(".")[0] for stage, _, _ in faults})
    print(f"{tests - failed} of {tests} tests passed ({len(found)} requests), {failed} failed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
