"""The contract's schemas and message vectors hold for our types, and the types for them."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import msgspec
import pytest

from bartizan.channel.messages import DIRECTIONS

CONTRACT = Path(__file__).parents[3] / "contract"
GOOD = sorted((CONTRACT / "vectors/messages").glob("*.json"))
BAD = sorted((CONTRACT / "vectors/messages/bad").glob("*.json"))
GENERATED = ("openapi.json", "defender-policy.schema.json", "audit.schema.json", "channel.schema.json")


def generator() -> ModuleType:
    """Return `console/generate.py`."""
    spec = importlib.util.spec_from_file_location("generate", CONTRACT.parent / "console/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    """Return what the generator would write."""
    return dict(generator().documents())


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files_are_checked_in(documents: dict[str, dict[str, Any]], name: str) -> None:
    """The file in `contract/` is what the types say; `make gen` writes it anew."""
    assert json.loads((CONTRACT / name).read_text(encoding="utf-8")) == json.loads(json.dumps(documents[name]))


def test_nothing_else_is_generated(documents: dict[str, dict[str, Any]]) -> None:
    """Every generated file is held against the checked-in one."""
    assert set(documents) == set(GENERATED)


def vector(path: Path) -> tuple[str, Any]:
    """Return direction and message of a vector."""
    case = json.loads(path.read_text(encoding="utf-8"))
    assert case["name"]
    return case["direction"], case["message"]


def validator(direction: str) -> jsonschema.Draft202012Validator:
    """Return the schema's validator for one direction."""
    schema = json.loads((CONTRACT / "channel.schema.json").read_text(encoding="utf-8"))
    reference = f"#/$defs/from{direction[:1].upper()}{direction[1:]}"
    return jsonschema.Draft202012Validator({"$defs": schema["$defs"], "$ref": reference})


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_message_round_trips(path: Path) -> None:
    """A message fits the schema, is read, and comes out again as it was."""
    direction, message = vector(path)
    validator(direction).validate(message)
    decoded = msgspec.json.decode(json.dumps(message), type=DIRECTIONS[direction])
    assert json.loads(msgspec.json.encode(decoded)) == message


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_unknown_fields_are_ignored(path: Path) -> None:
    """A newer peer may say more than we know."""
    direction, message = vector(path)
    more = {**message, "sinceVersion9": {"x": 1}}
    decoded = msgspec.json.decode(json.dumps(more), type=DIRECTIONS[direction])
    assert json.loads(msgspec.json.encode(decoded)) == message


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_message_is_refused(path: Path) -> None:
    """What breaks the contract is refused by the schema and by the types."""
    direction, message = vector(path)
    assert not validator(direction).is_valid(message)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(message), type=DIRECTIONS[direction])


def test_every_type_and_event_has_a_vector() -> None:
    """No message type, event kind, notice or reason is without an example."""
    texts = [path.read_text(encoding="utf-8") for path in GOOD]
    schema = json.loads((CONTRACT / "channel.schema.json").read_text(encoding="utf-8"))["$defs"]
    for shape in schema.values():
        for tag in ("type", "kind"):
            for value in shape.get("properties", {}).get(tag, {}).get("enum", ()):
                assert any(f'"{tag}": "{value}"' in text for text in texts), value
    for enum in ("Notice", "Reason", "Kind", "Protocol", "Effect"):
        for value in schema[enum]["enum"]:
            assert any(f'"{value}"' in text for text in texts), value
