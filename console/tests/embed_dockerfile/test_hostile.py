"""Files made to cost time or memory: each ends soon, in a result or in one clear error."""

import time
from collections.abc import Callable

import pytest
from tests.embed_dockerfile.samples import settings

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.dockerfile import protect, unprotect, verify

_END = 'ENTRYPOINT ["/a"]\n'
_SECONDS = 10.0
"""CPU time; the slowest takes a fifth of it on a busy machine"""

_FILES: dict[str, Callable[[], str]] = {
    "values that double": lambda: (
        "ARG A0=" + "x" * 1000 + "\n" + "".join(f"ARG A{n + 1}=$A{n}$A{n}\n" for n in range(60)) + f"FROM a$A60\n{_END}"
    ),
    "many stages": lambda: "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(20_000)) + _END,
    "many stages of one name": lambda: "FROM s AS s\n" * 20_000 + _END,
    "many volumes": lambda: f"FROM scratch\n{_END}" + "VOLUME /bartizan\n" * 10_000,
    "many commands": lambda: "FROM scratch\n" + "CMD ['a']\n" * 10_000 + _END,
    "many wraps": lambda: "FROM scratch\n" + 'CMD ["/x/defender", "app-embedded"]\n' * 5_000 + _END,
    "one long word": lambda: f"FROM scratch\nRUN <<x{'y' * 60_000} " + ("z" * 60_000 + "\\\n") * 10 + f"\n{_END}",
    "a long line of blanks": lambda: "# syntax=" + " " * 60_000 + f"x\nFROM scratch\n{_END}",
    "blanks in a shell form": lambda: "FROM scratch\nENTRYPOINT x defender" + " " * 60_000 + "y\n",
    "a long continuation": lambda: "FROM scratch\nRUN x" + " \\\n# c\n" * 50_000 + f" y\n{_END}",
    "deep brackets": lambda: "FROM scratch\nRUN " + "[" * 60_000 + f"\n{_END}",
    "a large number": lambda: "FROM scratch\nRUN [" + "1" * 60_000 + f"]\n{_END}",
    "many marks": lambda: f"FROM scratch\n{_END}" + "# bartizan:undo A\n" * 50_000,
    "many flags": lambda: "FROM scratch\nRUN " + "--a " * 15_000 + f"x\n{_END}",
}


def _outcome(act: Callable[[], object]) -> str:
    try:
        return str(act() or "nothing")
    except EmbedError as error:
        return error.message


@pytest.mark.parametrize("name", _FILES)
def test_it_ends_soon(name: str) -> None:
    """Protecting, checking and unprotecting a file made to be slow stay within a bound of CPU time."""
    text = _FILES[name]()
    begun = time.process_time()
    for act in (
        lambda: protect(text, image=ImageConfig(("/a",)), settings=settings(migrate=True)).text,
        lambda: unprotect(text),
        lambda: verify(text, version="0.1.0", settings=settings()),
    ):
        assert 0 < len(_outcome(act)) < 3 * len(text) + 5000
    assert time.process_time() - begun < _SECONDS
