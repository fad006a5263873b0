"""The built-in scrubbing rules: what gives a secret away, by its name or by its form. A word too many is hidden."""

from bartizan.audit.scrubbing import ScrubbingRule

_MASK = "****"
_TELLING = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*"
# What shlex.join writes for an argument with special characters: a quote within it is '"'"'.
_QUOTED = r"""(?:'"'"'|[^'])"""

BUILT_IN = (
    ScrubbingRule(
        name="private key",
        pattern=r"(?s)(?P<keep>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="authorization header",
        pattern=r"(?i)(?P<keep>authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n]+",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="named secret in a quoted argument",
        pattern=rf"(?i)(?P<keep>'[\w.-]*{_TELLING}=){_QUOTED}+",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="named secret in JSON",
        pattern=rf"(?i)(?P<keep>{_TELLING}\\?\"\s*:\s*\\?\")(?:[^\"\\]|\\.)+",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="named secret",
        pattern=rf"(?i)(?P<keep>{_TELLING}[\"']?\s*[=:]\s*[\"']?)[^\s\"'&;,]+",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="value of a flag",
        pattern=rf"(?i)(?P<keep>(?:^|\s)--?[\w.-]*{_TELLING}\s+)(?:'{_QUOTED}*'|-?[^\s'-]\S*)",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="attached password",
        pattern=r"(?P<keep>\b(?:mysql\w*|mariadb[\w-]*|sshpass)(?:\s+\S+)*?\s+'?-p ?)[^\s']+",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="bearer and basic tokens",
        pattern=r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="JSON web token",
        pattern=r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="AWS access key",
        pattern=r"(?P<keep>\b(?:AKIA|ASIA))[0-9A-Z]{16}\b",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="token by its prefix",
        pattern=r"(?P<keep>\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|btz_))[A-Za-z0-9_-]{16,}",
        placeholder=_MASK,
    ),
    ScrubbingRule(
        name="password in a URL",
        pattern=r"(?P<keep>://[^\s/?#@:\"']*:)[^\s/?#\"'<>]+@",
        placeholder=f"{_MASK}@",
    ),
)
