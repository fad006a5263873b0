"""Why a protected Dockerfile says what its first form did not."""

from collections.abc import Iterator

from bartizan.embed.dockerfile import block, undo
from bartizan.embed.dockerfile.lexer import Instruction, Source
from bartizan.embed.dockerfile.model import read
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError

_WHY = {
    "ARG": "the architecture the image is built for, set by the builder",
    "ADD": "the Defender, with its modes and its data folder",
    "ENTRYPOINT": "starts the program under the Defender",
    "EXPOSE": "the firewall's port, in the place of the program's",
    "CMD": "kept: a new ENTRYPOINT would take the image's away",
}
_VARIABLES = {
    "DEFENDER_TYPE": "the way the Defender runs",
    "DEFENDER_APP_ID": "by what name the Console knows the app",
    "WS_ADDRESS": "where the Console is",
    "DATA_FOLDER": "where the Defender may write",
    "INSTALL_BUNDLE": "lets the Defender join the Console, and pins the Console's certificate",
    "FILESYSTEM_MONITORING": "whether file writes are watched",
    "DEFENDER_FAIL_MODE": "whether the program starts when the Defender cannot",
    "DEFENDER_TIER": "lets programs of the image gain rights, which the other tiers forbid",
    "DEFENDER_WAAS_PORTS": "where the firewall listens, and where the program does",
    "DEFENDER_ALLOW_32BIT": "lets 32-bit programs run, under the same rules",
}


def explain_protection(text: str) -> tuple[Edit, ...]:
    """Return one edit with its reason for each instruction or variable that protection added to `text`, in its order.

    The pointer of each is its line in `text`. Raises `EmbedError` when there is no protection.
    """
    source = read(text).source
    found = undo.find(source)
    if found is None:
        raise EmbedError("this Dockerfile carries no protection: it has no block of Bartizan")
    return tuple(made for item in source.instructions for made in _explained(source, item, found))


def _explained(source: Source, item: Instruction, found: undo.Embedding) -> Iterator[Edit]:
    ours = found.start < item.start < found.end
    if ours and item.keyword == "ENV":
        for name in (*block.VARIABLES, block.TIER, block.ALLOW_32BIT, block.WAAS_PORTS):
            at = source.text.find(f"{name}=", item.start, item.end)
            if at >= 0:
                yield Edit(at, at, "", f"line {source.where(at).line}, {name}", _VARIABLES[name])
    elif ours or undo.wraps(item, found.record) or undo.exposes(item, found.record):
        why = _WHY.get(item.keyword, "not of the protection: it was written into its block")
        yield Edit(item.start, item.end, "", f"line {source.where(item.start).line}, {item.keyword}", why)
