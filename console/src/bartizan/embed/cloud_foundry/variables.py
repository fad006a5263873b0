"""The `((variables))` of a manifest: looked through to know things, never written out.

cf fills them in after it has read the YAML (cf CLI, `--var` and `--vars-file`; the template of bosh-cli), so that a
value can hold anything.
"""

import re
from collections.abc import Mapping

from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.yaml_text import parse

_REFERENCE = re.compile(r"\(\((!?[-/.\w]+)\)\)")


def references(text: str) -> list[str]:
    """Return the names of the variables in `text`."""
    return [name.lstrip("!") for name in _REFERENCE.findall(text)]


def filled_in(text: str, values: Mapping[str, Value]) -> str | None:
    """Return `text` with its variables filled in, None when a value is not given or is no scalar."""
    found = [_written(values, name) for name in references(text)]
    if any(value is None for value in found):
        return None
    parts = iter(found)
    return _REFERENCE.sub(lambda _: next(parts) or "", text)


def read_variables(text: str) -> dict[str, Value]:
    """Read a file of variables (YAML or JSON, a mapping); raise `EmbedError` for anything else."""
    value = parse(text).root.value
    if not isinstance(value, dict):
        raise EmbedError("a file of variables must hold a mapping: `name: value`")
    return value


def _written(values: Mapping[str, Value], name: str) -> str | None:
    """Return a variable as it stands in a text; `a.b` looks into a mapping (bosh-cli, "Variable interpolation")."""
    value: Value = dict(values)
    for step in [name] if name in values else name.split("."):
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None
