"""Which containers of a task are wrapped, and why the others are not."""

from collections.abc import Sequence

from bartizan.embed import intrinsics
from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.options import ProtectSettings

# The last parts of image names, without registry, tag and digest, of agents that watch a task themselves.
_AGENTS = {
    "aws-xray-daemon": "AWS X-Ray daemon",
    "cloudwatch-agent": "CloudWatch agent",
    "aws-otel-collector": "AWS OpenTelemetry collector",
    "aws-guardduty-agent-fargate": "GuardDuty agent",
    "aws-guardduty-agent": "GuardDuty agent",
}


def skip_reason(definition: TaskDefinition, container: Container, settings: ProtectSettings) -> str | None:
    """Return why `container` is not wrapped, or None when it is.

    `include` overrules the list of monitoring images; a FireLens router and an App Mesh proxy are never wrapped, since
    what they start is made up by ECS or bound to a user id (aws-for-fluent-bit issue 39, app-mesh-roadmap issue 497).
    """
    if container.name in settings.exclude:
        return "excluded by name"
    if settings.include and container.name not in settings.include:
        return "not among the names to include"
    if container.value.get("firelensConfiguration") is not None:
        return "FireLens log router: ECS generates what it starts"
    if container.name == intrinsics.spelled(_proxy(definition.value.get("proxyConfiguration"))):
        return "App Mesh proxy of the task"
    if container.name not in settings.include:
        agent = _AGENTS.get(repository(container.image))
        if agent is not None:
            return f"{agent}: include it by name to wrap it all the same"
    return None


def check_names(containers: Sequence[Container], settings: ProtectSettings) -> None:
    """Raise `EmbedError` when a name to include or exclude is no container of the task."""
    names = {container.name for container in containers}
    for name in (*settings.include, *settings.exclude):
        if name not in names:
            raise EmbedError(f"no container is called `{name}`: the task has {listed(sorted(names))}")


def repository(image: str) -> str:
    """Return the last part of an image's name: `nginx` of `registry:5000/library/nginx:1.25@sha256:…`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def listed(names: Sequence[str]) -> str:
    """Return names in backticks, joined the way people do."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1] if quoted else "none"


def _proxy(proxy: Value) -> Value:
    return proxy.get("containerName") if isinstance(proxy, dict) else None
