"""Manifests and settings that the tests of the package share: written by hand, generated, or found."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from bartizan.embed.cloud_foundry import ManifestSettings

REPOSITORY = Path(__file__).resolve().parents[3]
VECTORS = REPOSITORY / "contract" / "vectors" / "cloud-foundry"
BUNDLE = base64.b64encode(
    json.dumps(
        {"v": 1, "id": "bundle-1", "secret": "s3cr3t" * 7, "pins": ["0" * 64], "addresses": ["wss://console:8084"]}
    ).encode()
).decode()
OWN = {
    "DEFENDER_TYPE": "appEmbedded",
    "DEFENDER_ID": "shop",
    "WS_ADDRESS": "wss://console:8084",
    "DATA_FOLDER": "/tmp",  # noqa: S108 - the vendor's page
    "INSTALL_BUNDLE": BUNDLE,
    "FILESYSTEM_MONITORING": False,
    "DEFENDER_FAIL_MODE": "open",
}


def settings(**changes: Any) -> ManifestSettings:
    """Return settings with some of them changed."""
    return ManifestSettings(**{"version": "0.1.0", "install_bundle": BUNDLE, **changes})


def corpus() -> Iterator[Path]:
    """Yield the real-world manifests at hand; where there are none, those of this repository."""
    given = os.environ.get("BARTIZAN_MANIFESTS")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "corpus" / "cf-manifests"
    files = sorted(path for path in folder.rglob("*.y*ml")) if folder.is_dir() else []
    yield from files or sorted(VECTORS.glob("*/manifest.yml"))


def loaded(text: str) -> Any:
    """Read YAML by a parser of its own (libyaml's events are ours too, what it makes of them is not)."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def dumped(value: Any, **options: Any) -> str:
    """Write YAML."""
    return yaml.dump(value, Dumper=yaml.CSafeDumper, **options)


_NAMES = st.sampled_from(["shop", "worker-1", "((name))", "été", "a b", "yes", "007"])
_LINES = st.one_of(
    st.sampled_from(
        ["npm start", "a && b", "run 'x y' $Z", "serve ((port))", "cd x\nrun\n", "", "null", "a: b # c", "- x"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=20),
)
_VALUES = st.one_of(st.integers(0, 9), st.booleans(), st.sampled_from(["b", "((c))", "", "1G", "a\nb"]), st.none())


@st.composite
def _apps(draw: st.DrawFn) -> dict[str, Any]:
    app: dict[str, Any] = {"name": draw(_NAMES)}
    if draw(st.booleans()):
        app["memory"] = "1G"
    if draw(st.booleans()):
        app["env"] = draw(st.one_of(st.none(), st.dictionaries(st.sampled_from("ABC"), _VALUES, max_size=2)))
    if draw(st.booleans()):
        app["command"] = draw(_LINES)
    for key, known_by in (("processes", "type"), ("sidecars", "name")):
        if draw(st.booleans()):
            names = draw(st.lists(st.sampled_from(["web", "worker", "task"]), unique=True, max_size=3))
            members = [{"instances": 1}, {"command": draw(_LINES)}, {"command": draw(_LINES), "memory": "2G"}]
            app[key] = [{known_by: name, **draw(st.sampled_from(members))} for name in names]
    return app


@st.composite
def manifests(draw: st.DrawFn) -> str:
    """Generate manifests in several layouts."""
    apps = draw(st.lists(_apps(), min_size=1, max_size=3, unique_by=lambda app: app["name"]))
    value: dict[str, Any] = {"applications": apps}
    if draw(st.booleans()):
        value = {"version": 1, **value}
    layout = draw(st.sampled_from(["block", "indented", "json", "flow", "shared"]))
    if layout == "json":
        return json.dumps(value, indent=draw(st.sampled_from([None, 2])), ensure_ascii=False)
    if layout == "shared":  # one mapping at two places, which PyYAML writes with an anchor
        value["x"] = apps[0].get("env") or {"shared": True}
    text = dumped(value, sort_keys=False, default_flow_style=True if layout == "flow" else None, allow_unicode=True)
    text = text.replace("\n", "\n  ") if layout == "indented" else text
    text = draw(st.sampled_from(["", "---\n", "# top\n"])) + (text if layout != "indented" else "  " + text.rstrip(" "))
    text = text if draw(st.booleans()) else text.rstrip("\n")
    return text if draw(st.booleans()) else text.replace("\n", "\r\n")
