"""Values for the parameters of a CloudFormation template, as the AWS CLI takes them."""

import json
from pathlib import Path

from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text


def read_parameters(given: list[str], files: list[Path]) -> dict[str, str]:
    """Return parameters by name; what is given on the command line goes before what files say. Raises Failure."""
    parameters: dict[str, str] = {}
    for path in files:
        parameters |= _of_file(path)
    for option in given:
        name, equals, value = option.partition("=")
        if not name or not equals:
            raise Failure(f"`{option}` is not NAME=VALUE, such as `--parameter ImageTag=1.4`")
        parameters[name] = value
    return parameters


def _of_file(path: Path) -> dict[str, str]:
    """Read a file in any of the forms in use.

    A list of `{"ParameterKey": …, "ParameterValue": …}` (`aws cloudformation create-stack --parameters`), a list of
    `"Name=Value"` (`deploy --parameter-overrides`), `{"Parameters": {…}}` (CodePipeline), or a plain object.
    """
    try:
        value = json.loads(read_text(str(path)))
    except ValueError as error:
        raise Failure(f"`{path}` is no parameter file: {error}") from None
    found: dict[str, str] = {}
    if isinstance(value, dict):
        inner = value.get("Parameters", value)
        found = {key: _text(item) for key, item in inner.items()} if isinstance(inner, dict) else {}
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict) and "ParameterKey" in item:
            found[_text(item["ParameterKey"])] = _text(item.get("ParameterValue"))
        elif isinstance(item, str) and "=" in item:
            name, _, text = item.partition("=")
            found[name] = text
        else:
            raise Failure(f"`{path}` is no parameter file: an item has no `ParameterKey`")
    return found


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)
