"""EXPOSE where the firewall stands before the program: the port that clients come to takes the place of the program's.

EXPOSE opens nothing by itself, but `docker run -P` and platforms go by it (Dockerfile reference, "EXPOSE").
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bartizan.embed.dockerfile import shell_words
from bartizan.embed.dockerfile.lexer import Instruction
from bartizan.embed.dockerfile.model import Dockerfile, Stage, pairs
from bartizan.embed.dockerfile.scope import Lineage
from bartizan.embed.dockerfile.shell_words import SubstitutionError
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.waas_ports import PRIVILEGED, WaasPort

_WORDS = re.compile(r"\S+").finditer
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/([A-Za-z]+))?", re.ASCII).fullmatch
_ROOT = ("", "0", "root")


@dataclass(frozen=True, slots=True)
class _Word:
    """One port of an EXPOSE: its span in `Instruction.arguments`, its ports and protocol as far as they are known."""

    item: Instruction
    start: int
    end: int
    ports: range
    protocol: str

    @property
    def is_tcp(self) -> bool:
        return self.protocol in {"", "tcp"}


@dataclass(frozen=True, slots=True)
class Exposed:
    """An EXPOSE whose ports change: its edits, and its arguments after and before, the first on one line."""

    edits: tuple[Edit, ...]
    now: str
    then: str


def changed(file: Dockerfile, line: Lineage, ports: Sequence[WaasPort]) -> tuple[Exposed, ...]:
    """Return the EXPOSE instructions of the stage to protect that change; raise `EmbedError` for ports that cannot."""
    if not ports:
        return ()
    for stage in line.stages:
        for word in _words(file, stage):
            _refuse(file, word, ports)
    found: list[Exposed] = []
    words = list(_words(file, line.stage))
    for item in line.stage.every("EXPOSE"):
        swaps = [(word, port) for word in words for port in ports if word.item is item and port.app in word.ports]
        if swaps:
            found.append(_exposed(file, item, swaps))
    return tuple(found)


def added(file: Dockerfile, line: Lineage, ports: Sequence[WaasPort]) -> list[str]:
    """Return the EXPOSE of the block: the firewall's ports whose counterpart the stage does not name."""
    named = {port for word in _words(file, line.stage) for port in word.ports}
    new = [str(port.exposed) for port in ports if port.app not in named]
    return [f"EXPOSE {' '.join(new)}"] if new else []


def told(ports: Sequence[WaasPort]) -> tuple[str, ...]:
    """Return in words what stands before what."""
    return tuple(
        f"the Defender takes port {port.exposed} and passes on to {port.app}, where the program listens"
        for port in ports
    )


def warnings(file: Dockerfile, line: Lineage, user: str | None, ports: Sequence[WaasPort]) -> Iterator[str]:
    """Yield what people have to see to themselves, so that the firewall is reached and nobody gets around it."""
    if not ports:
        return
    apps = " and ".join(str(port.app) for port in ports)
    yield f"do not publish port {apps}, which leads around the firewall: let the program listen on 127.0.0.1 there"
    low = [port.exposed for port in ports if port.exposed < PRIVILEGED]
    if low and (user is None or user.partition(":")[0].strip() not in _ROOT):
        who = "the image's user" if user is None else f"`{user}`"
        yield (
            f"port {low[0]} is below {PRIVILEGED}: {who} may listen there only with NET_BIND_SERVICE, "
            "or where the runtime lets everybody (Docker does); another port is safer"
        )
    for stage in line.stages:
        for word in _words(file, stage):
            where = f"line {file.where(word.item).line}"
            if not word.ports:
                yield f"{where}: `{word.item.arguments[word.start : word.end]}` is not known: see that it is not {apps}"
            elif stage is not line.stage and any(port.app in word.ports for port in ports):
                yield f"{where} exposes port {word.ports[0]}, which stays in the image: do not publish it"


def _exposed(file: Dockerfile, item: Instruction, swaps: Sequence[tuple[_Word, WaasPort]]) -> Exposed:
    edits: list[Edit] = []
    then = file.text[item.arguments_start : item.arguments_end]
    now, at = "", 0
    for word, port in swaps:
        text = f"{port.exposed}/{word.protocol}" if word.protocol else str(port.exposed)
        now += item.arguments[at : word.start] + text
        at = word.end
        start = item.place(item.arguments_at + word.start)
        end = item.place_end(item.arguments_at + word.end)
        why = "the firewall's port, in the place of the program's"
        edits.append(Edit(start, end, text, f"line {file.source.where(start).line}", why))
    return Exposed(tuple(edits), now + item.arguments[at:], then)


def _words(file: Dockerfile, stage: Stage) -> Iterator[_Word]:
    """Yield the ports that a stage exposes; an empty range for what only the build knows."""
    escape = file.source.escape
    known: dict[str, str] = {}
    for item in stage.instructions:
        if item.keyword in {"ARG", "ENV"}:
            for name, value in pairs(item, escape):
                known[name] = _expanded(value or "", known, escape)
        elif item.keyword == "EXPOSE":
            for found in _WORDS(item.arguments):
                match = _PORT(_expanded(found[0], known, escape))
                ports, protocol = range(0), ""
                if match is not None:
                    ports, protocol = range(int(match[1]), int(match[2] or match[1]) + 1), (match[3] or "").lower()
                yield _Word(item, found.start(), found.end(), ports, protocol)


def _expanded(word: str, known: dict[str, str], escape: str) -> str:
    try:
        return shell_words.expand(word, known, escape=escape)
    except SubstitutionError:
        return ""


def _refuse(file: Dockerfile, word: _Word, ports: Sequence[WaasPort]) -> None:
    shown = word.item.arguments[word.start : word.end]
    where = file.source.where(word.item.place(word.item.arguments_at + word.start))
    for port in ports:
        if port.exposed in word.ports and word.is_tcp:
            message = f"port {port.exposed} of `{port}` is exposed already, by `EXPOSE {shown}`"
            raise EmbedError(f"{message}: choose another for the firewall", where)
        if port.app in word.ports and not word.is_tcp:
            message = f"`EXPOSE {shown}` is not for TCP, which is all that the firewall speaks"
            raise EmbedError(f"{message}: take it out", where)
        if port.app in word.ports and len(word.ports) > 1:
            raise EmbedError(f"`EXPOSE {shown}` is a range that holds port {port.app}: write its ports out", where)
