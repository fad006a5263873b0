"""Dockerfiles and settings that the tests of the package share: written by hand, generated, or found."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.dockerfile import DockerfileProtection, DockerfileSettings, protect

REPOSITORY = Path(__file__).resolve().parents[3]
VECTORS = REPOSITORY / "contract" / "vectors" / "dockerfile"

BUNDLE = "eyJ2IjoxLCJpZCI6ImIiLCJzZWNyZXQiOiJzIn0="
NGINX = ImageConfig(
    entrypoint=("/docker-entrypoint.sh",),
    cmd=("nginx", "-g", "daemon off;"),
    origin="registry",
    digest="sha256:" + "a" * 64,
)
ASH = ImageConfig((), (), "registry", None, "", ("/bin/ash", "-c"))
"""an image with a shell of its own"""


def settings(**changes: Any) -> DockerfileSettings:
    """Return settings with some of them changed."""
    values: dict[str, Any] = {
        "app_id": "shop",
        "install_bundle": BUNDLE,
        "version": "0.1.0",
        "ws_address": "wss://console.example.com:8084",
    }
    return DockerfileSettings(**{**values, **changes})


def protected(text: str, *, image: ImageConfig | None = None, **changes: Any) -> DockerfileProtection:
    """Return a text protected with default settings, some of them changed."""
    return protect(text, image=image, settings=settings(**changes))


def refusal(text: str, *, image: ImageConfig | None = None, **changes: Any) -> str:
    """Return why a text is not protected, with the place in front."""
    with pytest.raises(EmbedError) as caught:
        protected(text, image=image, **changes)
    assert caught.value.where is not None
    return str(caught.value)


def lines(text: str) -> list[str]:
    """Return the lines of a protected text without the block's comments and its ENV."""
    kept = []
    skip = False
    for line in text.splitlines():
        skip = line.startswith("ENV DEFENDER_TYPE") or (skip and line.startswith("    "))
        if line and not skip and not line.startswith("# "):
            kept.append(line)
    return kept


def corpus() -> Iterator[Path]:
    """Yield the real-world Dockerfiles at hand; where there are none, those of this repository."""
    given = os.environ.get("BARTIZAN_CORPUS")
    near = [Path(given), Path(given).parent] if given else [REPOSITORY.parent / "shared" / "corpus"]
    found = [path for folder in near for path in sorted((folder / "dockerfiles").rglob("*")) if path.is_file()]
    yield from found or [*sorted(VECTORS.glob("*/Dockerfile")), *sorted((REPOSITORY / "examples").rglob("Dockerfile*"))]


_WORDS = ["/app", "serve", "-c", "a b", 'say "hi"', "$HOME", "back\\slash", "", "ü", "#", "it's", "x\\", "`"]
_words = st.sampled_from(_WORDS)
_shells = st.sampled_from(
    ["exec app $PORT", "java -jar 'x y'", "['a', 'b']", '["a", "b"', "a && \\\n  b", "a \\\n# c\n b"]
)
_noise = st.sampled_from(
    [
        "RUN make && \\\n    # why\n\n    make install",
        "# a comment",
        "",
        'RUN <<EOF\nENTRYPOINT ["no"]\n# bartizan:begin 1\nEOF',
        "COPY <<-'A' <<\"B\" /x/\n\tFROM x\n\tA\nCMD no\nB",
        "USER 1000:1000",
        "user ${USER:-app}",
        'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
        "ENV A=b C='d e' \\\n    E=\"f\"",
        "ARG TARGETARCH=amd64",
        "LABEL a=b",
        "VOLUME /data /bartizan",
        "EXPOSE 80",
        'HEALTHCHECK --interval=5s CMD ["x"]',
        "STOPSIGNAL SIGQUIT",
        "ONBUILD RUN x",
        "ONBUILD CMD y",
        "WORKDIR /w",
        "MAINTAINER me",
        "RUN --mount=type=cache,target=/c x",
    ]
)


@st.composite
def _commands(draw: st.DrawFn) -> str:
    keyword = draw(st.sampled_from(["CMD", "ENTRYPOINT", "cmd", "Entrypoint"]))
    if draw(st.booleans()):
        return f"{keyword} {draw(_shells)}"
    words = [f'"{_escaped(word)}"' for word in draw(st.lists(_words, max_size=3))]
    separator = draw(st.sampled_from([", ", ",", ", \\\n  ", " , "]))
    return f"{keyword} [{separator.join(words)}]"


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """Draw texts of Dockerfiles: several stages, noise, both forms of commands, line ends and a BOM."""
    heads = ([], ["# syntax=docker/dockerfile:1"], ["# escape=\\", "# a"], ["", "# escape=`"])
    parts = [*draw(st.sampled_from(heads)), "ARG B=alpine:3"]
    for index in range(draw(st.integers(1, 3))):
        bases = ["scratch", "alpine:3", "nginx@sha256:0", "${B:-x}", *(f"s{before}" for before in range(index))]
        name = draw(st.sampled_from(["", f" AS s{index}", f" as S{index}"]))
        parts.append(f"FROM {draw(st.sampled_from(bases))}{name}")
        parts += draw(st.lists(_noise | _commands(), max_size=6))
    text = "\n".join(parts) + draw(st.sampled_from(["", "\n", "\n\n", "\n# end\n", " \\\n"]))
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "", "\ufeff"])) + text


@st.composite
def images(draw: st.DrawFn) -> ImageConfig | None:
    """Draw what a base image says."""
    known = [None, NGINX, ImageConfig(("/init",)), ImageConfig((), ("serve", "")), ImageConfig()]
    special = [
        replace(ASH, entrypoint=("/bartizan/defender", "app-embedded", "/x"), cmd=("y",), user="app"),
        ImageConfig(("/a",), ("b",), on_build=("RUN x", "CMD z"), volumes=("/bartizan",)),
    ]
    return draw(st.sampled_from([*known, *special]))
