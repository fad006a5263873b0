"""From a text to the task definitions in it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bartizan.embed import intrinsics, json_text, yaml_text
from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.dialect import CLOUD_FORMATION, ECS, Dialect
from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.json_text import Array, Document, Node, Object, Value
from bartizan.embed.template import Template, read_template

RESOURCE = "AWS::ECS::TaskDefinition"
_JSON_BEGINS = ("{", "[", "//", "/*")


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the task definitions in it, in its order; at least one."""

    document: Document
    definitions: tuple[TaskDefinition, ...]

    @property
    def is_template(self) -> bool:
        """Whether the text is CloudFormation."""
        return self.definitions[0].dialect.pascal


def read(
    text: str, locate: Callable[[int], Where] | None = None, parameters: Mapping[str, str] | None = None
) -> Source:
    """Read the task definitions of a text; its syntax and dialect are found out.

    `locate` is given when people know another text than this: it finds places there. `parameters` are values for the
    template's parameters. Raises `EmbedError` for malformed text and for anything without a task definition.
    """
    document = _parse(text, locate)
    root = document.root
    if not isinstance(root, Object):
        what = (
            "a list: give the whole task definition, not only its containers" if isinstance(root, Array) else "a scalar"
        )
        raise EmbedError(f"this is not a task definition but {what}", document.where(root.start))
    if "taskDefinition" in root.members or "containerDefinitions" in root.members:
        return Source(document, (_native(document, root),))
    found = list(_in_template(document, root))
    if not found:
        raise EmbedError(_not_a_definition(root), document.where(root.start))
    template = read_template(root.value, parameters or {})
    return Source(document, tuple(_resource(document, logical, node, path, template) for logical, node, path in found))


def is_template(text: str) -> bool:
    """Return whether a text is CloudFormation; raise `EmbedError` when it is no task definition at all."""
    return read(text).is_template


def syntax(text: str) -> str:
    """Return `json` or `yaml`, by how a text begins."""
    return "json" if text.removeprefix("\ufeff").lstrip().startswith(_JSON_BEGINS) else "yaml"


def _parse(text: str, locate: Callable[[int], Where] | None) -> Document:
    return json_text.parse(text, locate) if syntax(text) == "json" else yaml_text.parse(text, locate)


def _native(document: Document, root: Object) -> TaskDefinition:
    wrapper = root if "taskDefinition" in root.members else None
    node = root.members["taskDefinition"].node if wrapper else root
    if not isinstance(node, Object):
        raise EmbedError("`taskDefinition` must be an object", document.where(node.start))
    if wrapper is not None and document.syntax == "yaml":
        message = "this is the output of describe-task-definition as YAML: give it as JSON (`--output json`)"
        raise EmbedError(message, document.where(root.start))
    containers = tuple(_containers(document, node, node.value, ECS))
    return TaskDefinition(document, node, node.value, _family(document, node), containers, wrapper)


def _family(document: Document, node: Object) -> str:
    family = node.value.get("family")
    if isinstance(family, str) and family:
        return family
    member = node.members.get("family")
    where = document.where(member.key_start if member else node.start)
    raise EmbedError("the task definition has no `family`: give it a name", where)


_Found = tuple[str, Node, tuple[str, ...]]


def _in_template(document: Document, root: Object) -> Iterator[_Found]:
    """Yield logical ID, node and path of the `Properties` of each task definition."""
    if root.value.get("Type") == RESOURCE:
        yield from _properties(document, "", root, ())
    elif "ContainerDefinitions" in root.members:
        yield "", root, ()
    elif "Resources" in root.members:
        resources = root.members["Resources"].node
        if not isinstance(resources, Object):
            raise EmbedError("`Resources` must be an object", document.where(resources.start))
        yield from _resources(document, resources, ("Resources",))
    else:
        yield from _resources(document, root, ())


def _resources(document: Document, node: Object, path: tuple[str, ...]) -> Iterator[_Found]:
    for name, member in node.members.items():
        found = member.node
        if name.startswith("Fn::ForEach::") and isinstance(found, Array) and found.items:
            # AWS::LanguageExtensions: [variable, values, {name: resource}]
            inside = found.items[-1]
            if isinstance(inside, Object):
                yield from _resources(document, inside, (*path, name, str(len(found.items) - 1)))
        elif isinstance(found, Object) and found.value.get("Type") == RESOURCE:
            yield from _properties(document, name, found, (*path, name))


def _properties(document: Document, name: str, node: Object, path: tuple[str, ...]) -> Iterator[_Found]:
    member = node.members.get("Properties")
    if member is None:
        raise EmbedError(f"the task definition `{name}` has no `Properties`", document.where(node.start))
    yield name, member.node, (*path, "Properties")


def _resource(
    document: Document, logical: str, node: Node, path: tuple[str, ...], template: Template
) -> TaskDefinition:
    if not isinstance(node, Object):
        raise EmbedError(f"`Properties` of `{logical}` must be an object", document.where(node.start))
    value = CLOUD_FORMATION.native(node.value)
    if not isinstance(value, dict):
        raise EmbedError(f"`Properties` of `{logical}` must be an object", document.where(node.start))
    containers = tuple(_containers(document, node, value, CLOUD_FORMATION))
    family = value.get("family")
    name = family if isinstance(family, str) and family else logical or containers[0].name
    return TaskDefinition(document, node, value, name, containers, None, CLOUD_FORMATION, path, template, logical)


def _containers(document: Document, node: Object, value: dict[str, Value], dialect: Dialect) -> Iterator[Container]:
    key = dialect.key("containerDefinitions")
    member = node.members.get(key)
    if member is None:
        raise EmbedError(f"this is not a task definition: it has no `{key}`", document.where(node.start))
    seen: list[Container] = []
    for item, found, conditions in _items(document, member.node, value["containerDefinitions"], key, {}):
        container = _container(document, item, found, dialect, len(seen), conditions)
        for other in seen:
            if other.name == container.name and not _exclude_each_other(other, container):
                first = document.where(other.node.start)
                message = f"two containers are called `{container.name}` (the first in {first})"
                raise EmbedError(message, document.where(item.start))
        seen.append(container)
        yield container
    if not seen:
        message = f"`{key}` must be a list with at least one container"
        raise EmbedError(message, document.where(member.key_start))


_Item = tuple[Node, Value, dict[str, bool]]


def _items(
    document: Document, node: Node, value: Value, key: str, conditions: dict[str, bool], *, listed: bool = False
) -> Iterator[_Item]:
    """Yield the containers of a list, those of every branch of a choice, with what must hold for each."""
    alternatives = intrinsics.choice(value)
    if alternatives is not None:
        arguments = _arguments_of(node)
        for part, alternative, holds in zip(arguments[1:], alternatives[1:], (True, False), strict=False):
            known = {**conditions, alternatives[0]: holds}
            yield from _items(document, part, alternative, key, known, listed=listed)
    elif intrinsics.absent(value):
        return
    elif listed:
        yield node, value, conditions
    elif isinstance(node, Array) and isinstance(value, list):
        for item, found in zip(node.items, value, strict=True):
            yield from _items(document, item, found, key, conditions, listed=True)
    elif intrinsics.function(value) is not None:
        message = f"`{key}` is `{intrinsics.spelled(value)}`, which only a deployment knows: write the list out"
        raise EmbedError(message, document.where(node.start))
    else:
        raise EmbedError(f"`{key}` must be a list with at least one container", document.where(node.start))


def _arguments_of(choice: Node) -> list[Node]:
    """Return the nodes of the arguments of an `Fn::If`."""
    member = next(iter(choice.members.values())) if isinstance(choice, Object) else None
    return member.node.items if member is not None and isinstance(member.node, Array) else []


def _container(
    document: Document, node: Node, value: Value, dialect: Dialect, index: int, conditions: Mapping[str, bool]
) -> Container:
    computed = intrinsics.function(value)
    if computed is not None:
        message = f"container {index + 1} is an `{computed}`, and only a deployment knows what it makes"
        raise EmbedError(f"{message}: write the container out in its place", document.where(node.start))
    if not isinstance(node, Object) or not isinstance(value, dict):
        raise EmbedError(f"container {index + 1} is not an object", document.where(node.start))
    name = _text(document, node, value, dialect, "name", f"container {index + 1}")
    image = _text(document, node, value, dialect, "image", f"container `{name}`")
    return Container(name, image, value, node, document, dialect, index, conditions)


def _text(document: Document, node: Object, value: dict[str, Value], dialect: Dialect, key: str, whose: str) -> str:
    """Return a member that must be there; an intrinsic function as people call it."""
    found = value.get(key)
    text = intrinsics.spelled(found) if isinstance(found, str) or intrinsics.function(found) is not None else ""
    if text:
        return text
    member = node.members.get(dialect.key(key))
    raise EmbedError(f"{whose} has no `{dialect.key(key)}`", document.where(member.key_start if member else node.start))


def _exclude_each_other(left: Container, right: Container) -> bool:
    return any(right.conditions.get(condition) is (not holds) for condition, holds in left.conditions.items())


def _not_a_definition(node: Object) -> str:
    if "services" in node.members:
        return "this is not a task definition but looks like a Compose file"
    if "applications" in node.members:
        return "this is a Cloud Foundry manifest, no task definition: `bartizan app-embedded embed-manifest` takes it"
    if "Resources" in node.members:
        return f"the template has no resource of the type `{RESOURCE}`"
    return "this is not a task definition: it has no `containerDefinitions`"
