"""What rules match is in nothing that is kept of an audit or a record, and finding it takes linear time."""

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.audit.runtime_audit import LONGEST_SHOWN, CustomText, Reporter
from bartizan.audit.scrubbing import (
    LONGEST_LOOKED_AT,
    LONGEST_SECRET,
    Scrubber,
    ScrubbingRule,
    check_pattern,
    described,
)
from bartizan.audit.telling_secrets import BUILT_IN
from bartizan.audit.wire import (
    Ancestor,
    Audit,
    AuditEffect,
    ConnectionEvent,
    DefenderEvent,
    Event,
    FileEvent,
    FileOperation,
    ListenEvent,
    LookupEvent,
    Notice,
    ProcessEvent,
    Protocol,
    Reason,
    Recorded,
)

REPORTER = Reporter(app_id="shop", instance="d")
CUSTOM = CustomText(message="seen: %proc.args %file.path %net.domain %proc.ancestors")
SECRET = "hunter2-9d1c"
PATTERNS = (
    r"hunter2-[0-9a-f]{4}",
    r"(?s)^.*hunter2-[0-9a-f]{4}",
    r"\Ahunter2-[0-9a-f]+",
    r"hunter2\S*$",
    r"(?i)\bHUNTER2-\w+",
)
around = st.text(st.sampled_from("ab '\"\\\n\t=-/é€💥\x00"), max_size=20)


def rule(pattern: str, placeholder: str = "[x]") -> ScrubbingRule:
    """Return a rule."""
    return ScrubbingRule(name="r", pattern=pattern, placeholder=placeholder)


def process(*arguments: str, path: str = "/bin/sh", parent: str = "/init") -> ProcessEvent:
    """Return a start of a program."""
    return ProcessEvent(
        path=path, invoked=path, arguments=arguments, pid=7, parent_pid=1, parent_path=parent, user=0, main=False,
        interpreted=False, invoked_is_exe=True,
    )  # fmt: skip


def of_event(event: Event, **given: object) -> Audit:
    """Return an audit of an event."""
    audit = Audit(
        seq=1, time=1, rule="r", effect=AuditEffect.ALERT, reason=Reason.DENIED_PROCESS, matched="sh", event=event
    )  # fmt: skip
    return msgspec.structs.replace(audit, **given)


def kept_of(audit: Audit, scrubber: Scrubber) -> str:
    """Return all that is kept of an audit and of its event in a record, as JSON."""
    kept, shown = described(audit, REPORTER, CUSTOM, scrubber)
    record = scrubber.recorded(Recorded(time=1, event=audit.event))
    return "".join(msgspec.json.encode(item).decode() for item in (kept, shown, record))


@given(around, around, st.sampled_from(PATTERNS[:2]), st.sampled_from([Reason.CUSTOM_RULE, Reason.DENIED_FILE]))
@settings(max_examples=60, deadline=None)
def test_no_secret_is_kept(before: str, after: str, pattern: str, reason: Reason) -> None:
    """Whatever stands around it and wherever it stands, a secret that a rule matches is in nothing that is kept."""
    text = f"{before}{SECRET}{after}"
    scrubber = Scrubber([rule(pattern)])
    for event in (
        process("sh", "-c", text),
        process("sh", path=text),
        process("sh", parent=text),
        LookupEvent(name=text, record_type=text, pid=1, path=text),
        ConnectionEvent(protocol=Protocol.TCP, address=text, port=1, pid=1, path=text, resolver=False, domain=text),
        ListenEvent(protocol=Protocol.TCP, address=text, port=1, pid=1, path=text),
        FileEvent(operation=FileOperation.WRITE, file=text, pid=1, path=text, user=0),
        DefenderEvent(notice=Notice.ATTACKED, detail=text, count=1),
    ):
        audit = of_event(event, matched=text, ancestry=(Ancestor(1, text),), reason=reason)
        assert SECRET not in kept_of(audit, scrubber)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_anchors_mean_the_ends_of_a_text(pattern: str) -> None:
    """What is anchored is found where a text stands alone, although one search looks at all texts of an audit."""
    assert SECRET not in kept_of(of_event(process("sh", SECRET)), Scrubber([rule(pattern)]))
    assert SECRET not in kept_of(of_event(process(SECRET, path=SECRET, parent=SECRET)), Scrubber([rule(pattern)]))


def test_a_long_text_hides_no_secret() -> None:
    """A secret that lies where a text is cut is not kept in part, be it cut for showing or for looking at it."""
    scrubber = Scrubber([rule(r"hunter2-[0-9a-f]{4}")])
    for length in (LONGEST_SHOWN, LONGEST_LOOKED_AT):
        for shift in range(len(SECRET) + 1):
            audit = of_event(process("x" * (length - shift) + SECRET + "y" * LONGEST_LOOKED_AT))
            assert "hun" not in kept_of(audit, scrubber)
    assert scrubber.text("x" * 2 * LONGEST_LOOKED_AT) == "x" * (LONGEST_LOOKED_AT - LONGEST_SECRET) + "…"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 65_536 + "!"),
        ("(a|aa)*b", "a" * 65_536),
        ("(.*)(.*)(.*)(.*)x$", "y" * 65_536),
        ("x(?:[^y]*y)?", "x" * 65_536),
        (r"\b(?:x[^y]*y)?[a-z]", "x " * 32_768),
    ],
)
def test_no_pattern_is_slow(pattern: str, text: str) -> None:
    """What takes a backtracking engine years, and a search for all matches the square of the length, ends at once."""
    begun = time.process_time()
    Scrubber([rule(pattern)]).text(text)
    described(of_event(process(text)), REPORTER, CUSTOM, Scrubber([rule(pattern)]))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "missing"),
        (r"(a)\1", "invalid escape"),
        ("(?=a)", "invalid"),
        ("a{1000}{1000}", "repetition|too large|bad"),
        ("a*", "empty text"),
        (r"\Qa", "special character"),
        ("(?P<other>a)", "`keep`"),
        ("[(?P<keep>]+(?P<keep>a)", "twice"),
    ],
)
def test_what_cannot_be_used_is_refused(pattern: str, reason: str) -> None:
    """A pattern that RE2 does not have, or that means nothing here, is refused with the reason."""
    with pytest.raises(ValueError, match=reason):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("arguments", "secret", "left"),
    [
        (("mysql", "--password=hunter2"), "hunter2", "--password="),
        (("mysql", "--password=hunter2 the third"), "third", "--password="),
        (("tool", "--password", "hunter2 it's"), "hunter2", "--password"),
        (("tool", "--api-key", "hunter2", "--next"), "hunter2", "--next"),
        (("env", "PGPASSWORD=hunter2", "psql"), "hunter2", "psql"),
        (("sh", "-c", "mysql -u root -phunter2 shop"), "hunter2", "shop"),
        (("curl", "-H", "Authorization: Bearer hunter2hunter2"), "hunter2", "curl"),
        (("curl", "-d", '{"client_secret": "hun\\"ter2 x", "a": 1}'), "ter2", "client_secret"),
        (("curl", "https://me:hunter@2@shop.example/x"), "hunter", "@shop.example/x"),
        (("aws", "AKIAIOSFODNN7EXAMPLE"), "IOSFODNN7EXAMPLE", "aws"),
        (("echo", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"), "eyJ", "echo"),
        (("echo", "ghp_0123456789abcdefghij"), "0123456789", "ghp_"),
        (("echo", "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n"), "hunter2", "BEGIN RSA"),
    ],
)
def test_built_in_rules(arguments: tuple[str, ...], secret: str, left: str) -> None:
    """What the built-in rules hide is hidden, what gives it its meaning stays."""
    kept = kept_of(of_event(process(*arguments)), Scrubber(BUILT_IN))
    assert secret not in kept
    assert left in kept


@pytest.mark.parametrize("built_in", BUILT_IN, ids=lambda item: item.name)
def test_built_in_rules_could_be_ones_own(built_in: ScrubbingRule) -> None:
    """They fulfil what is asked of users' rules."""
    check_pattern(built_in.pattern)


def test_what_holds_no_secret_stays_as_it_is() -> None:
    """Without rules and without matches, nothing is copied."""
    audit = of_event(process("sh", "-c", "id"))
    assert described(audit, REPORTER, None, None)[0] is audit
    assert described(audit, REPORTER, None, Scrubber(BUILT_IN))[0] is audit
    assert Scrubber(BUILT_IN)._any is not None
    switched_off = ScrubbingRule(name="r", pattern="id", placeholder="[x]", disabled=True)
    assert Scrubber([switched_off]).text("id") == "id"


def test_keep_stays_in_front() -> None:
    """The group `keep` stays, what else is matched is replaced as the placeholder says, and nothing in that is read."""
    scrubber = Scrubber([rule(r"(?P<keep>id=)\w+", r"\1${keep}")])
    assert scrubber.trial("a id=7 b id=8") == (r"a id=\1${keep} b id=\1${keep}", ["r"])
