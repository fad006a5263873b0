"""Procfiles: what each type of process starts, when a manifest does not say (Cloud Foundry docs, "Procfile")."""

import re

_LINE = re.compile(r"[ \t]*([A-Za-z0-9_-]+)[ \t]*:[ \t]*(.*?)[ \t\r]*")


def read_procfile(text: str) -> dict[str, str]:
    """Return the start commands of a Procfile by process type; lines of another shape say nothing."""
    found = (_LINE.fullmatch(line) for line in text.removeprefix("\ufeff").split("\n"))
    return {match[1]: match[2] for match in found if match and match[2]}
