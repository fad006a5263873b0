"""What a `.dockerignore` keeps from the builder (Docker docs, "Build context", ".dockerignore files").

The rules are those of BuildKit's `ignorefile` and `patternmatcher`: a pattern that matches a folder takes all beneath
it; the last pattern that matches a path or a folder above it counts; `!` lets in again.
"""

import posixpath
import re
from collections.abc import Iterator

_PARTS = re.compile(r"\*\*/?|\*|\[[^\]/]+\]|\\.|.", re.DOTALL)
# What means more to Python inside a class than to Go (`path/filepath`, "Match").
_IN_CLASS = re.compile(r"\\(.)|--|[\[&|~]", re.DOTALL)


def is_ignored(path: str, rules: str) -> bool:
    """Return whether the text of a `.dockerignore` leaves out `path`, which counts from the build context."""
    folders = path.split("/")
    above = ["/".join(folders[:length]) for length in range(1, len(folders) + 1)]
    ignored = False
    for line in rules.removeprefix("\ufeff").splitlines():
        rule = line.strip()
        lets_in = rule.startswith("!")
        pattern = rule.removeprefix("!").strip()
        if not pattern or rule.startswith("#") or lets_in != ignored:
            continue
        parts = _PARTS.findall(posixpath.normpath(pattern).lstrip("/"))
        if any(_matches(parts, part_of_path) for part_of_path in above):
            ignored = not lets_in
    return ignored


def _matches(parts: list[str], path: str) -> bool:
    """Follow all ways to match at once, so that no pattern takes long."""
    reached = {0}
    for part in parts:
        reached = {end for start in reached for end in _ends(part, path, start)}
        if not reached:
            return False
    return len(path) in reached


def _ends(part: str, path: str, start: int) -> Iterator[int]:
    """Yield where `part` may end when it begins at `start`."""
    if part == "**":
        yield from range(start, len(path) + 1)
    elif part == "**/":
        yield start
        yield from (at + 1 for at in range(start, len(path)) if path[at] == "/")
    elif part == "*":
        slash = path.find("/", start)
        yield from range(start, (slash if slash >= 0 else len(path)) + 1)
    elif start < len(path) and _is_one(part, path[start]):
        yield start + 1


def _is_one(part: str, character: str) -> bool:
    if part == "?":
        return character != "/"
    if len(part) == 1 or part.startswith("\\"):
        return part[-1] == character
    try:
        return re.fullmatch(f"[{_IN_CLASS.sub(_literal, part[1:-1])}]", character) is not None
    except re.error:  # such as `[z-a]`, which builders refuse
        return False


def _literal(found: re.Match[str]) -> str:
    return re.escape(found[1] or found[0])
