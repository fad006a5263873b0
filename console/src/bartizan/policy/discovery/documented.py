"""What an application's `apiSpec` says that there is."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from bartizan.policy.discovery.paths import is_open

_NAME = re.compile(r"\{[^{}]*\}")


@dataclass(slots=True)
class _Node:
    """A segment of the described paths; `open` are segments with names in them, by their text."""

    fixed: dict[str, "_Node"] = field(default_factory=dict)
    open: dict[str, "_Node"] = field(default_factory=dict)
    methods: set[str] = field(default_factory=set)


class Documented:
    """The operations of an `apiSpec`, as the Defender takes its paths: below the base path of each endpoint."""

    def __init__(self, api_spec: Mapping[str, Any]) -> None:
        self._root = _Node()
        self.paths = len(api_spec["paths"])
        bases = {_prefix(endpoint["basePath"]) for endpoint in api_spec["endpoints"]} or {""}
        for path in api_spec["paths"]:
            methods = {method["method"] for method in path["methods"]}
            for base in bases:
                node = self._root
                for segment in _segments(f"{base}/{path['path']}"):
                    if "{" in segment:
                        node = node.open.setdefault(_NAME.sub("{}", segment), _Node())
                    else:
                        node = node.fixed.setdefault(unquote(segment), _Node())
                node.methods |= methods

    def has(self, path: str, method: str) -> bool:
        """Return whether a discovered operation is described; what differs in its path has to differ there too."""
        return any(method in node.methods for node in _ends(self._root, list(_segments(path))))


def _ends(node: _Node, path: list[str]) -> Iterator[_Node]:
    if not path:
        yield node
        return
    segment, rest = path[0], path[1:]
    if not is_open(segment) and segment in node.fixed:
        yield from _ends(node.fixed[segment], rest)
    for text, below in node.open.items():
        if is_open(segment) or re.fullmatch(".+".join(re.escape(unquote(part)) for part in text.split("{}")), segment):
            yield from _ends(below, rest)


def _segments(path: str) -> Iterator[str]:
    return (segment for segment in path.split("/") if segment)


def _prefix(base: str) -> str:
    """Return what stands before the paths: a `*` within a base path is a segment of any kind."""
    return base.rstrip("*").rstrip("/").replace("*", "{any}")
