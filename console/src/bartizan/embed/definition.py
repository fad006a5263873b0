"""A typed view of an ECS task definition, over the text it was read from.

Read is what `aws ecs register-task-definition --cli-input-json` takes, and what `aws ecs describe-task-definition`
prints: the same, wrapped in `{"taskDefinition": …, "tags": …}` and with fields that AWS fills in and takes from nobody.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bartizan.embed import json_text
from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.json_text import Array, Document, Node, Object, Scalar, Value
from bartizan.embed.rewrite import same

READ_ONLY = (
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
)
"""In the TaskDefinition that ECS returns but not in the RegisterTaskDefinition request (ECS API reference)."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container definition. What the task leaves unset (absent, null, `[]`) is None."""

    name: str
    image: str
    value: dict[str, Value]
    """the container definition as plain JSON"""
    node: Object
    """where it stands"""
    document: Document

    @property
    def where(self) -> Where:
        """Where the container stands: its name, or its opening brace."""
        return self.where_of("name")

    @property
    def entry_point(self) -> list[str] | None:
        """The container's `entryPoint`."""
        return self._strings("entryPoint")

    @property
    def command(self) -> list[str] | None:
        """The container's `command`."""
        return self._strings("command")

    def where_of(self, key: str) -> Where:
        """Return where a member of the container stands; the container itself when it has no such member."""
        member = self.node.members.get(key)
        return self.document.where(member.key_start if member else self.node.start)

    def objects(self, key: str) -> list[dict[str, Value]]:
        """Return a member that is a list of objects (absent and null: empty); raise `EmbedError` for anything else."""
        found = self.value.get(key)
        if found is None:
            return []
        if isinstance(found, list):
            objects = [item for item in found if isinstance(item, dict)]
            if len(objects) == len(found):
                return objects
        raise EmbedError(f"`{key}` of container `{self.name}` must be a list of objects", self.where_of(key))

    def object(self, key: str) -> dict[str, Value]:
        """Return a member that is an object (absent and null: empty); raise `EmbedError` for anything else."""
        found = self.value.get(key)
        if found is None:
            return {}
        if isinstance(found, dict):
            return found
        raise EmbedError(f"`{key}` of container `{self.name}` must be an object", self.where_of(key))

    def _strings(self, key: str) -> list[str] | None:
        found = self.value.get(key)
        if found is None or found == []:
            return None
        if isinstance(found, list):
            strings = [item for item in found if isinstance(item, str)]
            if len(strings) == len(found):
                return strings
        raise EmbedError(f"`{key}` of container `{self.name}` must be a list of strings", self.where_of(key))


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A task definition, its containers in the order of the text, and the describe wrapper it may stand in."""

    document: Document
    node: Object
    family: str
    containers: tuple[Container, ...]
    wrapper: Object | None

    @property
    def value(self) -> dict[str, Value]:
        """The definition as plain JSON, without the wrapper."""
        return self.node.value

    def where_of(self, key: str) -> Where:
        """Return where a member of the definition stands."""
        member = self.node.members.get(key)
        return self.document.where(member.key_start if member else self.node.start)

    def container(self, name: str) -> Container | None:
        """Return the container called `name`."""
        return next((container for container in self.containers if container.name == name), None)


def read(text: str, locate: Callable[[int], Where] | None = None) -> TaskDefinition:
    """Read a task definition; raise `EmbedError` for malformed JSON and for anything that is no task definition.

    `locate` is given when people know another text than this: it finds places there.
    """
    document = json_text.parse(text, locate)
    root = document.root
    if not isinstance(root, Object):
        what = (
            "a list: give the whole task definition, not only its containers" if isinstance(root, Array) else "a scalar"
        )
        raise EmbedError(f"this is not a task definition but {what}", document.where(root.start))
    wrapper = root if "taskDefinition" in root.members else None
    node = root.members["taskDefinition"].node if wrapper else root
    if not isinstance(node, Object):
        raise EmbedError("`taskDefinition` must be an object", document.where(node.start))
    containers = tuple(_containers(document, node))
    return TaskDefinition(document, node, _family(document, node), containers, wrapper)


def _family(document: Document, node: Object) -> str:
    family = node.value.get("family")
    if isinstance(family, str) and family:
        return family
    member = node.members.get("family")
    where = document.where(member.key_start if member else node.start)
    raise EmbedError("the task definition has no `family`: give it a name", where)


def _containers(document: Document, node: Object) -> Iterator[Container]:
    member = node.members.get("containerDefinitions")
    if member is None:
        raise EmbedError(_not_a_definition(node), document.where(node.start))
    if not isinstance(member.node, Array) or not member.node.items:
        raise EmbedError(
            "`containerDefinitions` must be a list with at least one container", document.where(member.key_start)
        )
    seen: dict[str, Node] = {}
    for index, item in enumerate(member.node.items):
        if not isinstance(item, Object):
            raise EmbedError(f"container {index + 1} is not an object", document.where(item.start))
        name = _text(document, item, "name", f"container {index + 1}")
        if name in seen:
            first = document.where(seen[name].start)
            raise EmbedError(f"two containers are called `{name}` (the first in {first})", document.where(item.start))
        seen[name] = item
        yield Container(name, _text(document, item, "image", f"container `{name}`"), item.value, item, document)


def _text(document: Document, node: Object, key: str, whose: str) -> str:
    member = node.members.get(key)
    if (
        member is not None
        and isinstance(member.node, Scalar)
        and isinstance(member.node.value, str)
        and member.node.value
    ):
        return member.node.value
    raise EmbedError(f"{whose} has no `{key}`", document.where(member.key_start if member else node.start))


def _not_a_definition(node: Object) -> str:
    if (
        "Resources" in node.members
        or node.value.get("Type") == "AWS::ECS::TaskDefinition"
        or "ContainerDefinitions" in node.members
    ):
        return "this is a CloudFormation template: give the native JSON, as `aws ecs register-task-definition` takes it"
    if "services" in node.members:
        return "this is not a task definition but looks like a Compose file"
    return "this is not a task definition: it has no `containerDefinitions`"


def registrable(definition: TaskDefinition) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return the definition without what RegisterTaskDefinition does not take, and the names of what was left out.

    Tags that describe-task-definition prints beside the definition move into it, less those beginning with `aws:`,
    which AWS keeps for itself (ECS developer guide, "Tag restrictions"). The same object when nothing is left out.
    """
    value = definition.value
    removed = [key for key in value if key in READ_ONLY]
    kept: dict[str, Value] = {key: item for key, item in value.items() if key not in READ_ONLY} if removed else value
    if definition.wrapper is not None:
        removed += [key for key in definition.wrapper.members if key not in ("taskDefinition", "tags")]
        tags = definition.wrapper.value.get("tags")
        own = _own_tags(tags)
        if own and "tags" not in kept:
            kept = {**kept, "tags": own}
        if "tags" in definition.wrapper.members and not same(tags, kept.get("tags")):
            removed.append("tags")
    return kept, tuple(removed)


def _own_tags(tags: Value) -> list[Value]:
    return [tag for tag in tags if not _reserved(tag)] if isinstance(tags, list) else []


def _reserved(tag: Value) -> bool:
    key = tag.get("key") if isinstance(tag, dict) else None
    return isinstance(key, str) and key.lower().startswith("aws:")
