"""What a `.dockerignore` keeps from the builder (Docker docs, "Build context", ".dockerignore files").

The rules are those of BuildKit's `ignorefile` and `patternmatcher`: a pattern that matches a folder takes all beneath
it; the last pattern that matches a path or a folder above it counts; `!` lets in again.
"""

import posixpath
import re

_PARTS = re.compile(r"\*\*/?|\*|\?|\[[^\]/]+\]|\\.|.", re.DOTALL)


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
    is_class = part.startswith("[") and part.endswith("]") and len(part) > 1
    return part if is_class else re.escape(part[-1])
