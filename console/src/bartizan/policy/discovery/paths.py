"""Paths in which what differs from request to request is one."""

from collections.abc import Iterable


class Wide:
    """Paths that are followed by values."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_length: dict[int, list[list[str]]] = {}
        for path in paths:
            segments = _segments(path)
            self._by_length.setdefault(len(segments), []).append(segments)

    def general(self, path: str) -> str:
        """
        Return a path with `{id}`, `{id2}`, … for its open segments, and for those that follow one of these paths.

        An open segment of a path, or of one of these, is any segment of the other. That makes the order in which these
        come to be known nothing: `all.general(some.general(path))` is `all.general(path)` when all of some are in all.
        """
        found: list[str] = []
        opened = 0
        for segment in _segments(path):
            if is_open(segment) or any(_meets(found, prefix) for prefix in self._by_length.get(len(found), ())):
                opened += 1
                found.append("{id}" if opened == 1 else f"{{id{opened}}}")
            else:
                found.append(segment)
        return "/" + "/".join(found)


def is_open(segment: str) -> bool:
    """Return whether a segment stands for others."""
    return segment.startswith("{") and segment.endswith("}")


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _meets(found: list[str], prefix: list[str]) -> bool:
    """Return whether two lists of the same length are the same path."""
    return all(one == other or is_open(one) or is_open(other) for one, other in zip(found, prefix, strict=True))
