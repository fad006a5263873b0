"""What to mind about a Dockerfile that is protected."""

from collections.abc import Iterator

from bartizan.embed.dockerfile.transform import Plan


def warnings(plan: Plan) -> Iterator[str]:
    """Yield sentences, lower case, about the stage and what it starts."""
    if plan.start.entrypoint.assumes_shell:
        yield "the base image was not looked at: its `SHELL` is taken to be `/bin/sh -c`"
