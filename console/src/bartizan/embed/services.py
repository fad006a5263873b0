"""What else in a template names a port that moves to the sidecar: services, their target groups, and the way back.

Source: CloudFormation user guide, `AWS::ECS::Service` (`LoadBalancers`, `ServiceRegistries`), `AWS::ECS::TaskSet`,
`AWS::ElasticLoadBalancingV2::TargetGroup` (`HealthCheckPort`). Service Connect and VPC Lattice know a port by the name
of its mapping, which moves with it. A value is replaced where it stands; the rest of its resource keeps its bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bartizan.embed import exposure, intrinsics
from bartizan.embed.definition import TaskDefinition
from bartizan.embed.edit import Edit
from bartizan.embed.errors import EmbedError
from bartizan.embed.exposure import Moved
from bartizan.embed.json_text import Array, Document, Member, Node, Object, Value, pointer
from bartizan.embed.options import SIDECAR
from bartizan.embed.rewrite import same

_SERVICES = frozenset({"AWS::ECS::Service", "AWS::ECS::TaskSet"})
_TASK = "AWS::ECS::TaskDefinition"
_TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
_GROUPS = frozenset({"AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"})
_LISTS = ("LoadBalancers", "ServiceRegistries")
_NAMES = frozenset({"ContainerName", "ContainerPort", "HealthCheckPort"})
_TEXT_LIMIT = 4096
_WHY = "the port is the sidecar's now, where the firewall listens"

Path = tuple[str, ...]
Record = tuple[list[str], str, Value]
"""What the way back keeps of a value: its path, how it was written, what it says now."""


@dataclass(frozen=True, slots=True)
class Following:
    """A value that follows a port: where it stands, what was written there, and what it becomes."""

    path: Path
    start: int
    end: int
    old: str
    now: Value
    text: str

    def edit(self) -> Edit:
        """Return it as an edit of the template."""
        return Edit(self.start, self.end, self.text, pointer(self.path), _WHY)


def following(definition: TaskDefinition, found: Sequence[Moved], sidecar: str) -> tuple[Following, ...]:
    """Return what follows the mappings that moved, in the order of the text.

    Raises `EmbedError` for a value that is merged from elsewhere (`<<`), and so cannot be replaced alone.
    """
    if not found:
        return ()
    changes = [
        change for name, service in _of(definition) for change in _service(definition, name, service, found, sidecar)
    ]
    return tuple(sorted(dict.fromkeys(changes), key=lambda change: change.start))


def warnings(definition: TaskDefinition, found: Sequence[Moved]) -> Iterator[str]:
    """Yield what in the template leaves a way around the firewall, or may: security groups, services of other tasks."""
    for name, resource in _resources(definition.document):
        if found and resource.value.get("Type") in _SERVICES and _is_of_unknown_task(definition, resource):
            ports = [
                one.port for one in found if any(_is_at(definition, item, one) for item in _listed(resource).values())
            ]
            for port in ports:
                yield f"service `{name}` does not say that it runs this task: if so, let it name port {port.exposed}"
        if resource.value.get("Type") not in _GROUPS:
            continue
        for rule in _rules(resource.value.get("Properties")):
            first, last = (exposure.number(definition, rule.get(key)) for key in ("FromPort", "ToPort"))
            for one in found:
                if first is not None and last is not None and first <= one.port.app <= last:
                    way = f"opens port {one.port.app}, a way around the firewall: open {one.port.exposed} in its place"
                    yield f"security group `{name}` {way}"


def explained(document: Document, records: Sequence[Record]) -> list[Edit]:
    """Return the edits that recorded values were made by, of the template as it was before."""
    places = [(_member(document.root, path), path, now) for path, _, now in records]
    return [
        Edit(member.node.start, member.node.end, json.dumps(now), pointer(tuple(path)), _WHY)
        for member, path, now in places
        if member is not None
    ]


def back(document: Document, records: Sequence[Record]) -> dict[Path, Edit]:
    """Return the edits, by path, that give recorded values back, as far as they are still ours.

    Whether a value as it was written says one value and nothing besides has to be seen from the result.
    """
    edits: dict[Path, Edit] = {}
    for steps, old, now in records:
        path = tuple(steps)
        if not 0 < len(old) <= _TEXT_LIMIT or path[:1] != ("Resources",) or path[-1] not in _NAMES:
            continue
        member = _member(document.root, path)
        if member is not None and same(member.node.value, now) and _type(document, path) in {*_SERVICES, _TARGET_GROUP}:
            edits[path] = Edit(member.node.start, member.node.end, old, pointer(path), "as it was before")
    return edits


def are_in_place(document: Document, changes: Sequence[Following]) -> bool:
    """Return whether a template says already what follows."""
    found = [_member(document.root, change.path) for change in changes]
    return all(
        member is not None and same(member.node.value, change.now)
        for member, change in zip(found, changes, strict=True)
    )


def _of(definition: TaskDefinition) -> Iterator[tuple[str, Object]]:
    """Yield the services that run a definition."""
    for name, resource in _resources(definition.document):
        named = intrinsics.branches(_task(resource))
        if resource.value.get("Type") in _SERVICES and any(_names(definition, each) for each in named):
            yield name, resource


def _task(service: Object) -> Value:
    """Return what a service says that it runs."""
    properties = _object(service, "Properties")
    return properties.value.get("TaskDefinition") if properties is not None else None


def _is_of_unknown_task(definition: TaskDefinition, service: Object) -> bool:
    """Return whether a service runs neither this definition nor another one of the template."""
    named = _task(service)
    if any(_names(definition, each) for each in intrinsics.branches(named)):
        return False
    words = _words(named)
    others = (name for name, resource in _resources(definition.document) if resource.value.get("Type") == _TASK)
    return not words.intersection(others)


def _names(definition: TaskDefinition, named: Value) -> bool:
    if named is None:
        return False
    logical = definition.logical_id
    if intrinsics.function(named) is not None:
        return logical in _words(named)
    family, _, _ = intrinsics.spelled(named).rpartition("/")[2].partition(":")
    return family == definition.family


def _words(value: Value) -> set[str]:
    """Return the names in an expression: of `!Ref Web`, `!GetAtt Web.Arn` and `!Sub "${Web}"` it is `Web`."""
    if isinstance(value, dict):
        return {word for item in value.values() for word in _words(item)}
    if isinstance(value, list):
        return {word for item in value for word in _words(item)}
    if not isinstance(value, str):
        return set()
    pieces = value.replace("${", "\0").replace("}", "\0").split("\0")
    return {piece.partition(".")[0].strip() for piece in pieces}


def _service(
    definition: TaskDefinition, name: str, service: Object, found: Sequence[Moved], sidecar: str
) -> Iterator[Following]:
    for (key, index), item in _listed(service).items():
        path = ("Resources", name, "Properties", key, str(index))
        for one in found:
            if _is_at(definition, item, one):
                yield _follow(definition, item, (*path, "ContainerName"), sidecar)
                yield _follow(definition, item, (*path, "ContainerPort"), one.port.exposed)
                yield from _target_group(definition, item.value.get("TargetGroupArn"), one)


def _listed(service: Object) -> dict[tuple[str, int], Object]:
    """Return what a service says of its load balancers and registries, by list and index."""
    properties = _object(service, "Properties")
    found: dict[tuple[str, int], Object] = {}
    for key in _LISTS:
        listed = properties.members.get(key) if properties is not None else None
        for index, item in enumerate(listed.node.items if listed and isinstance(listed.node, Array) else []):
            if isinstance(item, Object):
                found[key, index] = item
    return found


def _is_at(definition: TaskDefinition, item: Object, one: Moved) -> bool:
    named = definition.template.resolve(item.value.get("ContainerName")).value
    known = definition.template.resolve(one.container.value["name"]).value
    same_name = item.value.get("ContainerName") == one.container.value["name"] or (named is not None and named == known)
    return same_name and exposure.number(definition, item.value.get("ContainerPort")) == one.port.app


def _target_group(definition: TaskDefinition, named: Value, one: Moved) -> Iterator[Following]:
    words = _words(named)
    for name, resource in _resources(definition.document):
        if name in words and resource.value.get("Type") == _TARGET_GROUP:
            properties = _object(resource, "Properties")
            if properties is None or "HealthCheckPort" not in properties.members:
                continue
            if exposure.number(definition, properties.value.get("HealthCheckPort")) == one.port.app:
                path = ("Resources", name, "Properties", "HealthCheckPort")
                yield _follow(definition, properties, path, one.port.exposed)


def _follow(definition: TaskDefinition, node: Object, path: Path, now: Value) -> Following:
    document = definition.document
    member = node.members.get(path[-1])
    if member is None or member.node.end - member.node.start > _TEXT_LIMIT:
        message = f"`{path[-1]}` of `{path[1]}` has to follow the port, and is written elsewhere: write it out"
        raise EmbedError(message, document.where(node.start))
    written = document.text[member.node.start : member.node.end]
    if isinstance(member.node.value, str) and isinstance(now, int):
        now = str(now)
    plain = document.syntax == "yaml" and now == SIDECAR and written[:1] not in {'"', "'"}
    text = SIDECAR if plain else json.dumps(now)
    return Following(path, member.node.start, member.node.end, written, now, text)


def _resources(document: Document) -> Iterator[tuple[str, Object]]:
    resources = _object(document.root, "Resources")
    for name, member in resources.members.items() if resources is not None else ():
        if isinstance(member.node, Object):
            yield name, member.node


def _object(node: Node, key: str) -> Object | None:
    member = node.members.get(key) if isinstance(node, Object) else None
    return member.node if member is not None and isinstance(member.node, Object) else None


def _member(root: Node, path: Sequence[str]) -> Member | None:
    node: Node = root
    found: Member | None = None
    for step in path:
        if isinstance(node, Array):
            if not step.isdecimal() or len(step) > len(str(len(node.items))) or int(step) >= len(node.items):
                return None
            node, found = node.items[int(step)], None
        else:
            found = node.members.get(step) if isinstance(node, Object) else None
            if found is None:
                return None
            node = found.node
    return found


def _type(document: Document, path: Sequence[str]) -> Value:
    return next((item.value.get("Type") for name, item in _resources(document) if name == path[1]), None)


def _rules(properties: Value) -> Iterator[dict[str, Value]]:
    """Yield the rules of a security group for what comes in: its list, or those of a rule that is a resource."""
    own = properties if isinstance(properties, dict) else {}
    listed = own.get("SecurityGroupIngress")
    for rule in listed if isinstance(listed, list) else [own]:
        if isinstance(rule, dict):
            yield rule
