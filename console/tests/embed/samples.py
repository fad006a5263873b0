"""Task definitions and settings that the tests of the package share, written by hand, generated, or found."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bartizan.embed import ImageConfig, ProtectSettings

REPOSITORY = Path(__file__).resolve().parents[3]
VECTORS = REPOSITORY / "contract" / "vectors" / "protect"

BUNDLE = base64.b64encode(
    json.dumps(
        {"v": 1, "id": "bundle-1", "secret": "s3cr3t" * 7, "pins": ["0" * 64], "addresses": ["wss://console:8084"]}
    ).encode()
).decode()
NGINX = ImageConfig(
    entrypoint=("/docker-entrypoint.sh",),
    cmd=("nginx", "-g", "daemon off;"),
    origin="registry",
    digest="sha256:" + "a" * 64,
)


def settings(**changes: Any) -> ProtectSettings:
    """Return settings with some of them changed."""
    values: dict[str, Any] = {
        "defender_image": "registry.example.com/bartizan/defender:0.1.0",
        "version": "0.1.0",
        "install_bundle": BUNDLE,
    }
    return ProtectSettings(**{**values, **changes})


def by_secret(**changes: Any) -> ProtectSettings:
    """Return settings whose bundle is a secret."""
    arn = "arn:aws:secretsmanager:eu-west-1:112233445566:secret:bartizan-AbCdEf:bundle::"
    values: dict[str, Any] = {
        "install_bundle": None,
        "install_bundle_secret": arn,
        "bundle_id": "bundle-1",
        "bundle_secret": "s3cr3t" * 7,
        "ws_address": "wss://console:8084",
    }
    return settings(**{**values, **changes})


def task(*containers: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a task definition of `containers`."""
    return {"family": "shop", "containerDefinitions": list(containers), "cpu": "256", "memory": "512", **members}


def web(**members: Any) -> dict[str, Any]:
    """Return a container that says what it starts."""
    return {"name": "web", "image": "nginx", "entryPoint": ["/http_server"], **members}


def corpus() -> Iterator[Path]:
    """Yield the real-world task definitions at hand; where there are none, those of this repository."""
    files = _of_corpus("taskdefs", "*.json")
    yield from files or [*sorted(VECTORS.glob("*/input.json")), *sorted((REPOSITORY / "examples").rglob("*task*.json"))]


def templates() -> list[Path]:
    """Return the real-world CloudFormation templates at hand; where there are none, those of this repository."""
    files = [path for pattern in ("*.json", "*.yaml", "*.yml", "*.template") for path in _of_corpus("cfn", pattern)]
    return files or [*sorted(VECTORS.glob("template-*/input.*")), *sorted(VECTORS.glob("resource-*/input.*"))]


def _of_corpus(kind: str, pattern: str) -> list[Path]:
    given = os.environ.get("BARTIZAN_CORPUS")
    root = Path(given) if given else REPOSITORY.parent / "shared" / "corpus"
    folder = root / kind
    return sorted(folder.rglob(pattern)) if folder.is_dir() else []


def layouts(value: Any) -> list[str]:
    """Return one value as people and tools write it."""
    indented = json.dumps(value, indent=2)
    return [
        indented + "\n",
        json.dumps(value, indent=4, ensure_ascii=False),
        json.dumps(value, indent="\t").replace("\n", "\r\n"),
        json.dumps(value),
        json.dumps(value, separators=(",", ":")),
        "\ufeff" + json.dumps(value, separators=(", ", " : ")),
        indented.replace(",\n", "\n,"),
        "\n\n" + json.dumps(value, indent=0) + "\r\n",
    ]


_names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
_words = st.text(max_size=12)
_arguments = st.none() | st.lists(_words, max_size=4) | st.just([""])
_others = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=5,
)


def _optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


_containers = st.builds(
    lambda base, extra, unknown: {**unknown, **base, **extra},
    st.fixed_dictionaries(
        {"image": st.sampled_from(["nginx", "app:1", "amazon/aws-xray-daemon", "r:5000/a/b@sha256:0"])}
    ),
    _optional(
        entryPoint=_arguments,
        command=_arguments,
        environment=st.none() | st.lists(st.fixed_dictionaries({"name": _words, "value": _words}), max_size=3),
        volumesFrom=st.none() | st.just([]),
        dependsOn=st.none() | st.just([]),
        mountPoints=st.just([]),
        dockerLabels=st.dictionaries(_names, _words, max_size=2),
        essential=st.booleans(),
        linuxParameters=st.none()
        | _optional(
            initProcessEnabled=st.booleans(),
            capabilities=st.none()
            | _optional(add=st.none() | st.lists(st.just("SYS_PTRACE"), max_size=1), drop=st.just(["NET_RAW"])),
        ),
        firelensConfiguration=st.just({"type": "fluentbit"}),
        logConfiguration=st.just({"logDriver": "awslogs", "options": {"awslogs-group": "g"}}),
    ),
    st.dictionaries(st.sampled_from(["xUnknown", "startTimeout", "privileged"]), _others, max_size=2),
)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw task definitions, bare or as describe-task-definition prints them."""
    names = draw(st.lists(_names, min_size=1, max_size=4, unique=True))
    containers = [{"name": name, **draw(_containers)} for name in names]
    unknown = draw(st.dictionaries(st.sampled_from(["volumes", "zUnknown", "taskRoleArn"]), _others, max_size=2))
    read_only: dict[str, Any] = draw(st.sampled_from([{}, {"revision": 3}, {"status": "ACTIVE", "registeredAt": 1.5}]))
    value = {**unknown, **read_only, "family": draw(_names), "containerDefinitions": containers}
    if draw(st.booleans()):
        value["memory"] = "512"
    tags = draw(st.sampled_from([None, [], [{"key": "team", "value": "a"}], [{"key": "aws:x", "value": "a"}]]))
    if draw(st.integers(0, 3)) == 0:
        return {"taskDefinition": value} if tags is None else {"taskDefinition": value, "tags": tags}
    return value


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw texts of task definitions in all layouts."""
    return draw(st.sampled_from(layouts(draw(definitions()))))


@st.composite
def images(draw: st.DrawFn) -> ImageConfig:
    """Draw what an image says it starts."""
    return draw(st.sampled_from([NGINX, ImageConfig(("/init",)), ImageConfig((), ("serve", "")), ImageConfig()]))
