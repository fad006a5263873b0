"""Regular expressions of the linear-time syntax (RE2): what can be told of one without compiling it."""

import re

_TOKEN = re.compile(
    r"(?P<escape>\\.?)"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*(?P<end>\]|\Z))"
    r"|(?P<look>\(\?(?:=|!|<=|<!|>|P=|P>|\())"
    r"|(?P<open>\()"
    r"|(?P<close>\))"
    r"|[^\\\[()]+",
    re.DOTALL,
)
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def expression(text: str) -> str:
    """
    Return a regular expression that has neither look-around nor back-references, and closes what it opens.

    The Defender compiles it. Raises ValueError.
    """
    if not text:
        raise ValueError("it is empty")
    depth = 0
    for token in _TOKEN.finditer(text):
        if reason := _misfit(token):
            raise ValueError(reason)
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth < 0:
            raise ValueError("the regular expression has a `)` that closes nothing")
    if depth:
        raise ValueError("the regular expression has a `(` that is not closed")
    return text


def literal(text: str) -> str:
    """Return the expression that matches just this text."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _misfit(token: re.Match[str]) -> str:
    if token["escape"] == "\\":
        return "the regular expression ends in a `\\`"
    if token["escape"] is not None and token["escape"][1] in "123456789":
        return f"`{token['escape']}` refers back, which regular expressions here (RE2) cannot"
    if token["set"] is not None and not token["end"]:
        return "the regular expression has a `[` that is not closed"
    return f"`{token['look']}` is not possible in regular expressions here (RE2)" if token["look"] else ""
