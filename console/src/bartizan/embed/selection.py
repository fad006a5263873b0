"""Which containers of a task are wrapped, and why the others are not."""

from collections.abc import Sequence
from dataclasses import dataclass

from bartizan.embed import intrinsics
from bartizan.embed.definition import Container, TaskDefinition
from bartizan.embed.errors import EmbedError
from bartizan.embed.json_text import Value
from bartizan.embed.options import ProtectSettings

# The last parts of image names, without registry, tag and digest, of containers that serve the task itself.
_AGENTS = {
    "aws-xray-daemon": "AWS X-Ray daemon",
    "cloudwatch-agent": "CloudWatch agent",
    "aws-otel-collector": "AWS OpenTelemetry collector",
    "aws-guardduty-agent-fargate": "GuardDuty agent",
    "aws-guardduty-agent": "GuardDuty agent",
    "aws-appmesh-envoy": "App Mesh proxy",
    "amazon-ecs-serviceconnect-agent": "ECS Service Connect proxy",
}
OPT_OUT_LABEL = "com.bartizan.protect"
"""A container with this label set to `false` is left alone."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Picks containers: `NAME`, `label:KEY[=VALUE]` of the container, `tag:KEY[=VALUE]` of its task definition."""

    kind: str
    key: str
    value: str | None = None

    def picks(self, definition: TaskDefinition, container: Container) -> bool:
        """Return whether the container is one of those picked."""
        if self.kind == "name":
            return container.name == self.key
        known = _labels(container) if self.kind == "label" else _tags(definition)
        return self.key in known and self.value in {None, known[self.key]}

    def __str__(self) -> str:
        """Return the selector as it is written."""
        written = self.key if self.kind == "name" else f"{self.kind}:{self.key}"
        return written if self.value is None else f"{written}={self.value}"


def parse_selector(text: str) -> Selector:
    """Read a selector; raise `EmbedError` for an empty one."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in {"label", "tag"}:
        kind, rest = "name", text
    key, equals, value = (rest, "", "") if kind == "name" else rest.partition("=")
    if not key:
        raise EmbedError(f"`{text}` selects nothing: give NAME, label:KEY[=VALUE] or tag:KEY[=VALUE]")
    return Selector(kind, key, value if equals else None)


def skip_reason(definition: TaskDefinition, container: Container, settings: ProtectSettings) -> str | None:
    """Return why `container` is not wrapped, or None when it is.

    A container included by its name is wrapped even when it is a known monitoring image; a FireLens router and an App
    Mesh proxy never are, since what they start is made up by ECS or bound to a user id (aws-for-fluent-bit issue 39,
    app-mesh-roadmap issue 497).
    """
    for selector in map(parse_selector, settings.exclude):
        if selector.picks(definition, container):
            return f"excluded by {selector.kind}"
    include = [parse_selector(text) for text in settings.include]
    by = [selector for selector in include if selector.picks(definition, container)]
    if include and not by:
        return "not among those to include"
    return _never_wrapped(definition, container) or _not_unless_named(container, by)


def _never_wrapped(definition: TaskDefinition, container: Container) -> str | None:
    if container.value.get("firelensConfiguration") is not None:
        return "FireLens log router: ECS generates what it starts"
    if container.name == intrinsics.spelled(_proxy(definition.value.get("proxyConfiguration"))):
        return "App Mesh proxy of the task"
    return None


def _not_unless_named(container: Container, included_by: Sequence[Selector]) -> str | None:
    if any(selector.kind == "name" for selector in included_by):
        return None
    if _labels(container).get(OPT_OUT_LABEL, "").lower() == "false":
        return f"its label `{OPT_OUT_LABEL}` says so"
    agent = _AGENTS.get(repository(container.image))
    return None if agent is None else f"{agent}: include it by name to wrap it all the same"


def is_compat(definition: TaskDefinition, container: Container, settings: ProtectSettings) -> bool:
    """Return whether the programs of a container must be able to gain rights."""
    return any(selector.picks(definition, container) for selector in map(parse_selector, settings.compat))


def check_names(containers: Sequence[Container], settings: ProtectSettings) -> None:
    """Raise `EmbedError` when a name that is selected is no container of the text."""
    names = {container.name for container in containers}
    for selector in map(parse_selector, (*settings.include, *settings.exclude, *settings.compat)):
        if selector.kind == "name" and selector.key not in names:
            raise EmbedError(f"no container is called `{selector.key}`: the task has {listed(sorted(names))}")


def repository(image: str) -> str:
    """Return the last part of an image's name: `nginx` of `registry:5000/library/nginx:1.25@sha256:…`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def listed(names: Sequence[str]) -> str:
    """Return names in backticks, joined the way people do."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1] if quoted else "none"


def _proxy(proxy: Value) -> Value:
    return proxy.get("containerName") if isinstance(proxy, dict) else None


def _labels(container: Container) -> dict[str, str]:
    return {key: intrinsics.spelled(value) for key, value in container.object("dockerLabels").items()}


def _tags(definition: TaskDefinition) -> dict[str, str]:
    """Return the tags of a definition, those beside it in the output of describe-task-definition included."""
    beside = definition.wrapper.value.get("tags") if definition.wrapper is not None else None
    tags = [tag for found in (definition.value.get("tags"), beside) if isinstance(found, list) for tag in found]
    return {
        intrinsics.spelled(tag.get("key")): intrinsics.spelled(tag.get("value"))
        for tag in tags
        if isinstance(tag, dict)
    }
