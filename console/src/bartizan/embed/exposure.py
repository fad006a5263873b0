"""Which port mappings of a task move from the application's container to the sidecar, where the firewall listens.

Sources: ECS API reference, `PortMapping` and `TaskDefinition.networkMode`; Fargate developer guide, "Task networking".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bartizan.embed import intrinsics
from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.options import ProtectSettings
from bartizan.embed.selection import listed
from bartizan.embed.waas_ports import PRIVILEGED, VARIABLE, WaasPort, read_waas_ports, written

Mapped = dict[str, Value]

# Docker's default capabilities but for NET_BIND_SERVICE: Fargate takes no `add` beside SYS_PTRACE, so that one
# capability is kept by naming all others (ECS API reference, `KernelCapabilities`).
ALL_BUT_BINDING = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)


@dataclass(frozen=True, slots=True)
class Moved:
    """A mapping that moves: whose it was, what it was, what the sidecar has in its place."""

    port: WaasPort
    container: Container
    mapping: Mapped
    now: Mapped


def moved(definition: TaskDefinition, containers: Sequence[Container], settings: ProtectSettings) -> tuple[Moved, ...]:
    """Return the mappings of a task that move, in the order of the ports asked for; none when it has no such ports.

    Raises `EmbedError` where the application would stay reachable around the firewall, or could not be reached by it.
    """
    ports = read_waas_ports(settings.waas_ports)
    found = [one for port in ports for one in _moved(definition, containers, port)]
    if found:
        _refuse_network(definition)
        for one in found:
            _refuse_taken(definition, containers, found, one)
    return tuple(found)


def missing(ports: Sequence[WaasPort], found: Sequence[Moved]) -> list[WaasPort]:
    """Return the ports that no container of any task maps."""
    there = {one.port for one in found}
    return [port for port in ports if port not in there]


def mapped_ports(definition: TaskDefinition) -> list[int]:
    """Return the ports that containers of a task map and that are known, each once, the smallest first."""
    mappings = (mapping for container in definition.containers for mapping in container.objects("portMappings"))
    found = {number(definition, mapping.get("containerPort")) for mapping in mappings}
    return sorted(port for port in found if port is not None)


def without_mappings(value: Mapping[str, Value], container: Container, found: Sequence[Moved]) -> dict[str, Value]:
    """Return a container definition without those of its mappings that move."""
    gone = [one.mapping for one in found if one.container.index == container.index]
    mappings = value.get("portMappings")
    if not gone or not isinstance(mappings, list):
        return dict(value)
    left = [mapping for mapping in mappings if not any(mapping is one for one in gone)]
    kept = {key: item for key, item in value.items() if key != "portMappings"}
    return {**value, "portMappings": left} if left else kept


def with_exposure(sidecar: dict[str, Value], found: Sequence[Moved]) -> dict[str, Value]:
    """Return the sidecar with the mappings that move to it, and with the right to listen there."""
    if not found:
        return sidecar
    environment = sidecar["environment"]
    variable: Value = {"name": VARIABLE, "value": written([one.port for one in found])}
    value: dict[str, Value] = {}
    for key, item in sidecar.items():
        value[key] = item
        if key == "essential":
            value["portMappings"] = [one.now for one in found]
    value["environment"] = [*(environment if isinstance(environment, list) else []), variable]
    if any(one.port.exposed < PRIVILEGED for one in found):
        value["linuxParameters"] = {"capabilities": {"drop": list(ALL_BUT_BINDING)}}
    return value


def _moved(definition: TaskDefinition, containers: Sequence[Container], port: WaasPort) -> Iterator[Moved]:
    matches = [
        (container, mapping) for container in containers for mapping in _mappings(definition, container, port.app)
    ]
    if len(matches) > 1:
        names = listed(list(dict.fromkeys(container.name for container, _ in matches)))
        message = f"port {port.app} is mapped {len(matches)} times, by {names}: `{port}` does not say which is meant"
        raise EmbedError(f"{message}, leave one", matches[1][0].where_of("portMappings"))
    for container, mapping in matches:
        _refuse_mapping(definition, container, mapping, port)
        now: Mapped = {**mapping, "containerPort": _like(mapping["containerPort"], port.exposed)}
        if not intrinsics.absent(mapping.get("hostPort")):
            now["hostPort"] = _like(mapping["hostPort"], port.exposed)
        yield Moved(port, container, mapping, now)


def _mappings(definition: TaskDefinition, container: Container, port: int) -> Iterator[Mapped]:
    """Yield the mappings of a container that reach `port`; raise `EmbedError` for a range that does."""
    for mapping in container.objects("portMappings"):
        if port in port_range(mapping):
            spelled = intrinsics.spelled(mapping.get("containerPortRange"))
            message = f"container `{container.name}` maps the range `{spelled}`, which holds port {port}"
            raise EmbedError(f"{message}: map its ports one by one", container.where_of("portMappings"))
        if number(definition, mapping.get("containerPort")) == port:
            yield mapping


def port_range(mapping: Mapping[str, Value]) -> range:
    """Return the container ports of a mapping that is a range; an empty range for one that is not."""
    first, dash, last = intrinsics.spelled(mapping.get("containerPortRange")).partition("-")
    if not dash or not first.isdecimal() or not last.isdecimal():
        return range(0)
    return range(int(first), int(last) + 1)


def number(definition: TaskDefinition, value: Value) -> int | None:
    """Return a port as a number; None for one that only a deployment knows."""
    resolved = definition.template.resolve(value).value
    if isinstance(resolved, bool) or resolved is None:
        return None
    if isinstance(resolved, (int, float)):
        return int(resolved)
    return int(resolved) if isinstance(resolved, str) and resolved.strip().isdecimal() else None


def _like(old: Value, port: int) -> Value:
    """Return a port the way the old one is written: CloudFormation takes numbers as text, too."""
    return str(port) if isinstance(old, str) else port


def _refuse_mapping(definition: TaskDefinition, container: Container, mapping: Mapped, port: WaasPort) -> None:
    where = container.where_of("portMappings")
    if container.conditions:
        message = f"container `{container.name}`, which maps port {port.app}, is there under a condition only"
        raise EmbedError(f"{message}, and so would be the firewall's port: write the list out", where)
    mappings = container.value.get("portMappings")
    if not isinstance(mappings, list) or not any(mapping is item for item in mappings):
        message = f"the mappings of container `{container.name}` depend on a condition"
        raise EmbedError(f"{message}: write out the list with port {port.app}", where)
    protocol = definition.template.resolve(mapping.get("protocol")).value
    # Templates have `http` there, too, which is no protocol of the API's and means nothing but TCP.
    if isinstance(protocol, str) and protocol.lower() == "udp":
        message = (
            f"container `{container.name}` maps port {port.app} for `{protocol}`, and the firewall speaks TCP only"
        )
        raise EmbedError(f"{message}: take that mapping out", where)


def _refuse_network(definition: TaskDefinition) -> None:
    """Refuse tasks whose containers do not share one network: the sidecar could not reach the application."""
    where = definition.where_of("networkMode")
    for mode in intrinsics.branches(definition.value.get("networkMode")):
        found = definition.template.resolve(mode)
        if found.unknown:
            continue
        if found.value is None and _is_fargate(definition):
            continue
        if found.value not in {"awsvpc", "host"}:
            shown = "the default, `bridge`" if found.value is None else f"`{intrinsics.spelled(found.value)}`"
            message = f"the network mode is {shown}, where the firewall in the sidecar cannot reach the application"
            raise EmbedError(f"{message}: choose `awsvpc`", where)


def _is_fargate(definition: TaskDefinition) -> bool:
    launched = definition.value.get("requiresCompatibilities")
    return isinstance(launched, list) and "FARGATE" in launched


def _refuse_taken(
    definition: TaskDefinition, containers: Sequence[Container], found: Sequence[Moved], one: Moved
) -> None:
    """Refuse a port that another mapping has."""
    for container in containers:
        for mapping in container.objects("portMappings"):
            if any(mapping is other.mapping for other in found):
                continue
            taken = {number(definition, mapping.get(key)) for key in ("containerPort", "hostPort")}
            if one.port.exposed in taken or one.port.exposed in port_range(mapping):
                message = f"port {one.port.exposed} of `{one.port}` is already that of container `{container.name}`"
                raise EmbedError(f"{message}: choose another for the firewall", container.where_of("portMappings"))


def warnings(definition: TaskDefinition, found: Sequence[Moved], settings: ProtectSettings) -> Iterator[str]:
    """Yield what people have to see to themselves, so that nobody gets around the firewall."""
    if not found:
        return
    apps = " and ".join(str(one.port.app) for one in found)
    exposed = " and ".join(str(one.port.exposed) for one in found)
    mode = definition.template.resolve(definition.value.get("networkMode"))
    if mode.unknown:
        yield "the network mode is known to the deployment only: the firewall needs `awsvpc`, or `host`"
    if mode.value == "host":
        yield f"port {apps} is the host's, too (network mode `host`): let the application listen on 127.0.0.1 there"
    else:
        yield f"every port of a task in `awsvpc` is reachable: let the security group open port {exposed}, not {apps}"
    if not settings.essential:
        yield "the sidecar is not essential: when it stops, nobody reaches the application any more"


def told(found: Sequence[Moved], sidecar: str) -> tuple[str, ...]:
    """Return in words what moved."""
    return tuple(
        f"port {one.port.app} of `{one.container.name}` stands behind the firewall: "
        f"`{sidecar}` takes port {one.port.exposed} and passes on to {one.port.app}"
        for one in found
    )
