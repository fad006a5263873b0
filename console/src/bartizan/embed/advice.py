"""What people are told about a protected definition: the report, its warnings, the permissions it needs."""

import re
from collections.abc import Iterator, Sequence

from bartizan.embed import exposure, intrinsics, services, sizes, twistlock
from bartizan.embed.definition import Container
from bartizan.embed.json_text import Value
from bartizan.embed.launch import Launch
from bartizan.embed.options import ProtectSettings
from bartizan.embed.plan import Plan
from bartizan.embed.report import ContainerReport, Report, size


def report(plan: Plan, settings: ProtectSettings, after: int) -> Report:
    """Return the report of a plan that comes to `after` bytes."""
    wrapped = {container.index: start for container, start in plan.selected}
    reasons = {container.index: reason for container, reason in plan.skipped}
    own = [
        container
        for container in plan.definition.containers
        if container.index in wrapped or container.index in reasons
    ]
    return Report(
        family=plan.definition.family,
        logical_id=plan.definition.logical_id,
        app_id=settings.app_id(plan.definition.family),
        version=settings.version,
        sidecar=settings.sidecar_name,
        sidecar_image=settings.defender_image,
        containers=tuple(_container_report(item, wrapped.get(item.index), reasons.get(item.index)) for item in own),
        removed_fields=plan.removed,
        warnings=tuple(_warnings(plan, settings, own)),
        bytes_before=size((plan.definition.wrapper or plan.definition).value),
        bytes_after=after,
        iam_statement=_iam_statement(settings),
        migrated_from=twistlock.SIDECAR if plan.migrated else None,
        moved_ports=exposure.told(plan.moved, settings.sidecar_name),
    )


def _container_report(container: Container, start: Launch | None, reason: str | None) -> ContainerReport:
    if start is None:
        return ContainerReport(name=container.name, image=container.image, skipped=reason)
    return ContainerReport(
        name=container.name,
        image=container.image,
        arguments=start.arguments,
        origin=start.origin,
        digest=start.digest,
    )


def _warnings(plan: Plan, settings: ProtectSettings, containers: Sequence[Container]) -> Iterator[str]:
    value = plan.definition.value
    if value.get("pidMode") == "task":
        yield "`pidMode` is `task`: the Defender is not PID 1 of its container and cannot tell containers apart by PID"
    if settings.install_bundle is not None:
        yield "the install bundle can be read by all who may read this definition: give the ARN of a secret instead"
    if not settings.essential:
        yield "the sidecar is not essential: when it stops, the task runs on without policies and audits"
    if _captures_channel(value.get("proxyConfiguration"), settings.ws_address):
        yield "the App Mesh proxy also takes the sidecar's connections: put the Console's port in `EgressIgnoredPorts`"
    yield from exposure.warnings(plan.definition, plan.moved, settings)
    yield from services.warnings(plan.definition, plan.moved)
    yield from sizes.advice(plan.definition, containers)
    for container in plan.unpinned:
        yield f"container `{container.name}` is not pinned: no digest of `{container.image}` is known"
    for container, start in plan.selected:
        yield from _launch_warnings(container, start)
    names = {container.name for container in containers}
    for container in containers:
        for dependency in container.objects("dependsOn"):
            name = intrinsics.spelled(dependency.get("containerName"))
            if name not in names and name != twistlock.SIDECAR:
                yield f"container `{container.name}` depends on `{name}`, which is not there"


def _launch_warnings(container: Container, start: Launch) -> Iterator[str]:
    if "" in (*(container.entry_point or ()), *(container.command or ())):
        yield f"container `{container.name}` has an empty argument: Docker passes it on, or resets the entrypoint by it"
    if start.arguments[0] == "/init":
        yield f"container `{container.name}` starts `/init`: if that is s6-overlay, it insists on being PID 1"


def _captures_channel(proxy: Value, address: str) -> bool:
    """Return whether the task's proxy takes connections to the Console's port."""
    if not isinstance(proxy, dict):
        return False
    port = re.search(r":(\d+)", address.partition("//")[2])
    properties = proxy.get("properties") or proxy.get("proxyConfigurationProperties")
    for item in properties if isinstance(properties, list) else []:
        if isinstance(item, dict) and item.get("name") == "EgressIgnoredPorts":
            return (port[1] if port else "443") not in str(item.get("value")).replace(" ", "").split(",")
    return True


def _iam_statement(settings: ProtectSettings) -> dict[str, Value] | None:
    """Return what the execution role must be allowed (ECS developer guide, "Task execution IAM role")."""
    actions: list[Value] = []
    resources: list[Value] = []
    for arn in (settings.install_bundle_secret, settings.image_pull_secret):
        if arn is None:
            continue
        parts = arn.split(":")
        action = "ssm:GetParameters" if parts[2:3] == ["ssm"] else "secretsmanager:GetSecretValue"
        actions += [action] if action not in actions else []
        resources.append(":".join(parts[:7]))  # what follows picks a key or a stage inside the secret
    return {"Effect": "Allow", "Action": actions, "Resource": resources} if resources else None
