"""Real-world task definitions: each is protected or refused with a reason, and each way back holds."""

import json
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from tests.embed.samples import NGINX, corpus, settings

from bartizan.embed import EmbedError, Protection, needed_images, protect, unprotect, verify
from bartizan.embed.definition import READ_ONLY

_FILES = list(corpus())
_MODEL = ServiceModel(botocore.loaders.Loader().load_service_model("ecs", "service-2"), "ecs")
_REQUEST = _MODEL.operation_model("RegisterTaskDefinition").input_shape


def _text(path: Path) -> str:
    return path.read_bytes().decode()


def _protect(text: str) -> Protection | None:
    try:
        known = {image.expression: NGINX for image in needed_images(text, settings=settings())}
        return protect(text, images=known, settings=settings())
    except EmbedError as error:
        refusal = error
    assert refusal.message
    assert refusal.where is not None
    return None


def _value(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"))


def _bare(value: Any) -> Any:
    inner = value.get("taskDefinition", value)
    return {key: item for key, item in inner.items() if key not in READ_ONLY}


def _is_valid(value: Any) -> bool:
    return not ParamValidator().validate(value, _REQUEST).has_errors()


def test_most_files_can_be_protected() -> None:
    """The corpus is found, and refusals are the exception."""
    protected = [path for path in _FILES if _protect(_text(path)) is not None]
    assert len(protected) >= 0.8 * len(_FILES) > 0


@pytest.mark.parametrize("path", _FILES, ids=[str(path.relative_to(path.parents[1])) for path in _FILES])
def test_file(path: Path) -> None:
    """A file is refused with a reason, or protected so that all promises hold.

    They are: protect∘protect = protect, without any lookup; unprotect∘protect = identity in bytes, and in value after
    the result was laid out anew; the gate passes; RegisterTaskDefinition takes the result whenever it took the input.
    """
    text = _text(path)
    protection = _protect(text)
    if protection is None:
        return
    again = protect(protection.text, images={}, settings=settings())
    assert (again.edits, again.text) == ((), protection.text)
    assert text == unprotect(protection.text)
    anew = json.dumps(_value(protection.text), indent=2)
    assert _value(text) == _value(unprotect(anew))
    assert protect(anew, images={}, settings=settings()).text == anew
    assert verify(protection.text, version="0.1.0", settings=settings()) == []
    assert _is_valid(_value(protection.text)) or not _is_valid(_bare(_value(text)))
