"""Whether a Dockerfile is protected, for a gate in front of a build."""

from bartizan.embed.dockerfile import undo
from bartizan.embed.dockerfile.model import read
from bartizan.embed.dockerfile.options import DockerfileSettings
from bartizan.embed.verify import Finding


def verify(text: str, *, version: str, settings: DockerfileSettings | None = None) -> list[Finding]:
    """Return what keeps a Dockerfile from being protected by `version`; an empty list is good."""
    file = read(text)
    found = undo.find(file.source)
    if found is None:
        stage = file.stages[-1]
        message = f"stage {stage.label} runs unprotected: protect the Dockerfile"
        return [Finding("unprotected", message, file.where(stage.start), stage.name)]
    return []
