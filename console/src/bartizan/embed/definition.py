"""A typed view of the ECS task definitions in a text, over the text they were read from.

Read is JSON and YAML: what `aws ecs register-task-definition --cli-input-json` (or `-yaml`) takes; what `aws ecs
describe-task-definition` prints, the same wrapped in `{"taskDefinition": …, "tags": …}` and with fields that AWS fills
in and takes from nobody; an `AWS::ECS::TaskDefinition` of CloudFormation by itself; a template with any number of them.
Members have ECS's spelling here, whatever the text's (`Dialect`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bartizan.embed import intrinsics
from bartizan.embed.dialect import ECS, Dialect
from bartizan.embed.errors import EmbedError, Where
from bartizan.embed.json_text import Document, Object, Value
from bartizan.embed.rewrite import same
from bartizan.embed.template import Template

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
    """One container definition. What the task leaves unset (absent, null, `AWS::NoValue`) is None.

    `name` and `image` are for people; `value` has them as they are, which may be an intrinsic function.
    """

    name: str
    image: str
    value: dict[str, Value]
    """the container definition as plain JSON, in ECS's spelling"""
    node: Object
    """where it stands"""
    document: Document
    dialect: Dialect = ECS
    index: int = 0
    """its place among the containers of the task, those of all branches counted"""
    conditions: Mapping[str, bool] = field(default_factory=dict)
    """what must hold for the task to have it"""

    @property
    def where(self) -> Where:
        """Where the container stands: its name, or its opening brace."""
        return self.where_of("name")

    @property
    def entry_point(self) -> list[Value] | None:
        """The container's `entryPoint`, when it is one list."""
        return self._arguments("entryPoint")

    @property
    def command(self) -> list[Value] | None:
        """The container's `command`, when it is one list."""
        return self._arguments("command")

    def where_of(self, key: str) -> Where:
        """Return where a member of the container stands; the container itself when it has no such member."""
        member = self.node.members.get(self.dialect.key(key))
        return self.document.where(member.key_start if member else self.node.start)

    def objects(self, key: str) -> list[dict[str, Value]]:
        """Return the objects of a member that is a list of them, those of all branches of choices.

        What only a deployment knows is left out. Absent and null: empty. Raises `EmbedError` for anything else.
        """
        objects: list[dict[str, Value]] = []
        for found in intrinsics.branches(self.value.get(key)):
            if isinstance(found, list):
                items = [branch for item in found for branch in _item_branches(item)]
                if not all(isinstance(item, dict) for item in items):
                    raise self._wrong(key, "a list of objects")
                objects += [item for item in items if isinstance(item, dict) and intrinsics.function(item) is None]
            elif found is not None and intrinsics.function(found) is None:
                raise self._wrong(key, "a list of objects")
        return objects

    def object(self, key: str) -> dict[str, Value]:
        """Return a member that is an object (absent, null, or an intrinsic function: empty)."""
        found = self.value.get(key)
        if found is None or intrinsics.function(found) is not None:
            return {}
        if isinstance(found, dict):
            return found
        raise self._wrong(key, "an object")

    def arguments(self, key: str, found: Value) -> list[Value] | None:
        """Return `found`, a value of the member `key`, as an argument list; None when it is unset or no literal list.

        Raises `EmbedError` for anything but a list of strings and of intrinsic functions.
        """
        if intrinsics.absent(found) or found == [] or intrinsics.function(found) is not None:
            return None
        if isinstance(found, list) and all(
            isinstance(item, str) or intrinsics.function(item) is not None for item in found
        ):
            return found
        raise self._wrong(key, "a list of strings")

    def _arguments(self, key: str) -> list[Value] | None:
        return self.arguments(key, self.value.get(key))

    def _wrong(self, key: str, wanted: str) -> EmbedError:
        message = f"`{self.dialect.key(key)}` of container `{self.name}` must be {wanted}"
        return EmbedError(message, self.where_of(key))


def _item_branches(item: Value) -> Iterator[Value]:
    """Yield what an item of a list may be; nothing when it may not be there."""
    if intrinsics.function(item) is None:
        yield item
    else:
        yield from (branch for branch in intrinsics.branches(item) if branch is not None)


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A task definition, its containers in the order of the text, and what stands around it."""

    document: Document
    node: Object
    """where its members stand"""
    value: dict[str, Value]
    """its members as plain JSON, in ECS's spelling"""
    family: str
    """its family, or its logical ID where only a deployment knows the family"""
    containers: tuple[Container, ...]
    wrapper: Object | None = None
    """what describe-task-definition puts around it"""
    dialect: Dialect = ECS
    path: tuple[str, ...] = ()
    """the way from the root of the document to `node`"""
    template: Template = field(default_factory=Template)
    logical_id: str = ""
    """what the template calls it"""

    def where_of(self, key: str) -> Where:
        """Return where a member of the definition stands."""
        member = self.node.members.get(self.dialect.key(key))
        return self.document.where(member.key_start if member else self.node.start)

    def container(self, name: str) -> Container | None:
        """Return the container called `name`."""
        return next((container for container in self.containers if container.name == name), None)


def registrable(definition: TaskDefinition) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return the definition without what RegisterTaskDefinition does not take, and the names of what was left out.

    Tags that describe-task-definition prints beside the definition move into it, less those beginning with `aws:`,
    which AWS keeps for itself (ECS developer guide, "Tag restrictions"). The same object when nothing is left out.
    """
    value = definition.value
    if definition.dialect.pascal:
        return value, ()
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
