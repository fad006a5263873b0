"""What a deployment would make of a template's task definition, as far as that is known before."""

from collections.abc import Mapping

from bartizan.embed import intrinsics
from bartizan.embed.definition import TaskDefinition
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.reading import read
from bartizan.embed.template import Template

DEFAULTS = {"AWS::StackName": "local", "AWS::Region": "us-east-1", "AWS::AccountId": "000000000000"}
"""What stands for the pseudo parameters that are not given."""
_DEPTH_LIMIT = 100


def deployed(text: str, *, parameters: Mapping[str, str], task: str | None = None) -> dict[str, Value]:
    """Return a task definition of `text` in ECS's spelling, without intrinsic functions.

    `task` is the logical ID or the family, needed where there are several. What only a deployment knows (ARNs, names of
    other resources) becomes its expression, `${Role.Arn}`: to run a task on this machine that is enough. Raises
    `EmbedError` as reading does, and when the definition meant is not clear.
    """
    definition = _chosen(text, {**DEFAULTS, **parameters}, task)
    value = _value(definition.value, definition.template, 0)
    family: dict[str, Value] = {} if definition.value.get("family") else {"family": definition.family}
    return {**family, **value} if isinstance(value, dict) else family


def _chosen(text: str, parameters: Mapping[str, str], task: str | None) -> TaskDefinition:
    definitions = read(text, parameters=parameters).definitions
    names = [definition.logical_id or definition.family for definition in definitions]
    if task is None and len(definitions) == 1:
        return definitions[0]
    for definition, name in zip(definitions, names, strict=True):
        if task in {name, definition.family}:
            return definition
    listed = ", ".join(f"`{name}`" for name in names)
    if task is None:
        raise EmbedError(f"the template has several task definitions, say which: {listed}")
    raise EmbedError(f"there is no task definition `{task}`: the text has {listed}")


def _value(value: Value, template: Template, depth: int) -> Value:
    """Return a value without intrinsic functions; None for one that is not there."""
    if depth > _DEPTH_LIMIT:
        raise EmbedError("a value of the template goes round in circles")
    if intrinsics.absent(value):
        return None
    if intrinsics.function(value) is not None:
        resolved = template.resolve(value)
        return intrinsics.spelled(value) if resolved.unknown else _value(resolved.value, template, depth + 1)
    if isinstance(value, list):
        items = [_value(item, template, depth + 1) for item in value]
        return [item for item in items if item is not None]
    if isinstance(value, dict):
        members = {key: _value(item, template, depth + 1) for key, item in value.items()}
        return {key: item for key, item in members.items() if item is not None}
    return value
