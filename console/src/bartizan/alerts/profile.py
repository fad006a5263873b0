"""An alert profile: what is told, to whom, and how often."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from bartizan.alerts.alert import AlertKind
from bartizan.alerts.macros import macros_of, sample
from bartizan.alerts.targets import EmailTarget, JiraTarget, Secret, SyslogTarget, Target, target_name
from bartizan.alerts.template import TemplateError, fill
from bartizan.alerts.triggers import Trigger

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}")
# What may stand between the angle brackets of SMTP's commands: no blanks, no brackets, one `@` (RFC 5321, 4.1.2).
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,190}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_VISIBLE = re.compile(r"[\x20-\x7e]*")
_KINDS = frozenset(kind.value for kind in AlertKind)
_LONGEST_PERIOD = 86_400_000
_LONGEST_DESCRIPTION = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertProfile:
    """
    One profile; what is kept of it has no secrets in its `target`.

    `policy` says by kind which events are told, `period` is the aggregation window in milliseconds, 0 for none.
    """

    name: str
    target: Target
    policy: dict[str, Trigger]
    description: str = ""
    enabled: bool = True
    period: int = 60_000
    owner: str = ""
    modified: int = 0


def check_profile(profile: AlertProfile) -> str | None:
    """Return what cannot be right with a profile, as one sentence that names the field; None when all is well."""
    return next(_profile_problems(profile), None) or next(_target_problems(profile.target), None)


def missing_secrets(target: Target) -> str | None:
    """Return which secret or other field a target lacks, None when it can be used."""
    for item in msgspec.structs.fields(target):
        value = getattr(target, item.name)
        if item.name in target.needs and not (value.plain if isinstance(value, Secret) else value):
            suffix = ".plain" if isinstance(value, Secret) else ""
            return f"`{target_name(target)}.{item.encode_name}{suffix}` is needed"
    return None


def _profile_problems(profile: AlertProfile) -> Iterator[str]:
    if not _NAME.fullmatch(profile.name) or profile.name != profile.name.strip():
        yield "`name`: 1 to 100 letters, digits, blanks and `._@-`, beginning with a letter or digit"
    if len(profile.description) > _LONGEST_DESCRIPTION or not profile.description.isprintable():
        yield f"`description`: at most {_LONGEST_DESCRIPTION} characters, none of them a control character"
    if not 0 <= profile.period <= _LONGEST_PERIOD:
        yield f"`aggregationPeriodMs`: from 0 (each event by itself) to {_LONGEST_PERIOD} (a day)"
    unknown = sorted(set(profile.policy) - _KINDS)
    if unknown:
        yield f"`policy`: `{unknown[0][:64]}` is no kind of alert, possible are {', '.join(sorted(_KINDS))}"
    for kind, trigger in profile.policy.items():
        if trigger.enabled and not trigger.all_rules and not trigger.rules:
            yield f"`policy.{kind}.rules`: name the rules, or set `allRules`"


def _target_problems(target: Target) -> Iterator[str]:
    block = target_name(target)
    for item in msgspec.structs.fields(target):
        problem = _text_problem(item.name, getattr(target, item.name))
        if problem:
            yield f"`{block}.{item.encode_name}`: {problem}"
    if template := getattr(target, "json", ""):
        try:
            fill(template, macros_of(sample(), page=""))
        except TemplateError as error:
            yield f"`{block}.json`: {error}"
    if isinstance(target, EmailTarget):
        yield from _mail_problems(target)
    if isinstance(target, SyslogTarget) and target.host and not _HOST.fullmatch(target.host):
        yield f"`{block}.host`: a host name is expected"
    if isinstance(target, JiraTarget) and ":" in target.user:
        yield f"`{block}.user`: a user's name has no colon (RFC 7617)"


def _mail_problems(target: EmailTarget) -> Iterator[str]:
    for name, addresses in (("from", (target.sender,)), ("recipients", target.recipients)):
        if not all(address == "" or _ADDRESS.fullmatch(address) for address in addresses):
            yield f"`email.{name}`: an address such as `security@example.com` is expected"
    if target.smtp_address and not _HOST.fullmatch(target.smtp_address):
        yield "`email.smtpAddress`: a host name is expected"


def _text_problem(name: str, value: object) -> str | None:
    if isinstance(value, Secret):
        return None if _VISIBLE.fullmatch(value.plain) else "printable ASCII on one line is expected"
    if not isinstance(value, str) or not value or name == "json":
        return None
    if name != "ca_cert":
        return None if value.isprintable() else "it holds a control character"
    if "PRIVATE KEY" in value:
        return "it holds a private key, give the certificate alone"
    return None if "BEGIN CERTIFICATE" in value else "a certificate in PEM form is expected"
