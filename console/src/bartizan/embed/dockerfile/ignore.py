"""What a `.dockerignore` keeps from the builder (Docker docs, "Build context", ".dockerignore files").

The rules are those of BuildKit's `ignorefile` and `patternmatcher`: a pattern that matches a folder takes all beneath
it; the last pattern that matches a path or a folder above it counts; `!` lets in again.
"""

import posixpath
import re

_PARTS = re.compile(r"\*\*/?|\*|\?|\[[^\]/]+\]|\\.|.", re.DOTALL)
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
        expression = _expression(posixpath.normpath(pattern).lstrip("/"))
        if expression is not None and any(map(expression.fullmatch, above)):
            ignored = not lets_in
    return ignored


def _expression(pattern: str) -> re.Pattern[str] | None:
    """Return the pattern as a regular expression, None for one that builders refuse."""
    words = "".join(map(_word, _PARTS.findall(pattern)))
    try:
        return re.compile(words, re.DOTALL)
    except re.error:
        return None


def _word(part: str) -> str:
    known = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}.get(part)
    if known is not None:
        return known
    if part.startswith("[") and len(part) > 1:
        return f"[{_IN_CLASS.sub(_literal, part[1:-1])}]"
    return re.escape(part[-1])


def _literal(found: re.Match[str]) -> str:
    return re.escape(found[1] or found[0])
