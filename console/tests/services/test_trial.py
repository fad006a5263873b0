"""Trials of policies on a real database; the Defender's side is a script that stops what begins with `/bad`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.audit import RuntimeAudit
from bartizan.audit.past import past_audit, past_observation
from bartizan.audit.wire import Event, Observed, ObservedKind, Reason
from bartizan.defender_program import DefenderProgram
from bartizan.policy import PolicyError, parse_policy, parse_rule
from bartizan.services.errors import UnavailableError
from bartizan.services.interfaces import NewAudit
from bartizan.services.models import ModelKey
from bartizan.services.policies import Policies
from bartizan.services.trial import Trials
from bartizan.store import Database, SqlAudits, SqlModels, SqlPolicies

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000
_TEXT = st.text(max_size=10)


class ScriptedCore:
    """Stands in for the Defender: a policy with the rule `new` prevents what begins with `/bad`."""

    def __init__(self, answer: Callable[[bytes], bytes] | None = None) -> None:
        self.asked = b""
        self._answer = answer

    async def judge(self, lines: bytes) -> bytes:
        """Answer each event by the policy before it."""
        self.asked = lines
        if self._answer is not None:
            return self._answer(lines)
        rule, answers = None, []
        for line in map(msgspec.json.decode, lines.splitlines()):
            if "policy" in line:
                rule = line["policy"]["rule"]
            elif rule == "new" and line["event"]["happened"]["path"].startswith("/bad"):
                answers.append({"effect": "prevent", "rule": rule, "reason": "deniedProcess", "matched": "/bad/*"})
            else:
                answers.append({"effect": "allow"})
        return b"".join(msgspec.json.encode(item) + b"\n" for item in answers)


def audit(seq: int, path: str, *, time: int = NOW - DAY, app_id: str = "shop", **further: Any) -> NewAudit:
    """Return an audit of a program start."""
    kept = RuntimeAudit(
        time="t", type="processes", attack_type="a", effect="alert", severity="high", msg="m", reason="deniedProcess",
        app_id=app_id, hostname=app_id, profile_id=app_id, process_path=path, command=f"{path} -x", **further,
    )  # fmt: skip
    return NewAudit(bundle="b", source="s", seq=seq, time=time, received=time, audit=kept)


def trials(folder: Path, core: Any) -> tuple[Trials, Database]:
    """Return trials over a database with four audits, of which two are alike and one is too old, and an observation."""
    database = Database(folder / "bartizan.db")
    SqlAudits(database).add(
        [audit(1, "/bad/x"), audit(2, "/bad/x", count=4), audit(3, "/bin/ls"), audit(4, "/bad/old", time=NOW - 8 * DAY)]
    )
    seen = Observed(kind=ObservedKind.PROCESS, value="/bad/y", detail="/sbin/init", count=7, first=1, last=NOW - 5)
    SqlModels(database).merge(ModelKey(app_id="shop"), [seen], overflow=0, reporter="shop", now=NOW, most_of_a_kind=10)
    policies = Policies(SqlPolicies(database), on_change=lambda: None, clock=lambda: NOW)
    return Trials(SqlAudits(database), SqlModels(database), policies, core, clock=lambda: NOW), database


def test_what_a_rule_would_have_done_is_told(tmp_path: Path) -> None:
    """What is alike is one case, what is too old is none, and both the present and the new policy are judged."""
    tried, database = trials(tmp_path, ScriptedCore())
    trial = asyncio.run(tried.of_rule(parse_rule('{"name": "new"}'), days=7))
    database.close()
    assert (trial.audits, trial.observations, trial.complete, trial.more) == (3, 1, True, 0)
    assert [(case.past.what, case.past.count, case.after.effect) for case in trial.cases] == [
        ("/bad/y", 7, "prevent"),
        ("/bad/x -x", 5, "prevent"),
    ]
    assert {case.before.effect for case in trial.cases} == {"allow"}
    assert (trial.after.cases, trial.after.allow, trial.after.prevent) == (3, 1, 12)


def test_scopes_are_resolved_as_for_workloads(tmp_path: Path) -> None:
    """A rule that does not cover the workload decides nothing about its past."""
    tried, database = trials(tmp_path, ScriptedCore())
    rule = parse_rule('{"name": "new", "collections": [{"name": "c", "appIDs": ["other"]}]}')
    trial = asyncio.run(tried.of_rule(rule, days=7))
    database.close()
    assert (trial.cases, trial.after.prevent) == ([], 0)


@pytest.mark.parametrize("answer", [b"", b"{}\n", b"x\n" * 6, b'{"effect":"allow"}\n'])
def test_answers_that_do_not_fit_are_no_trial(tmp_path: Path, answer: bytes) -> None:
    """A Defender that answers for fewer events, or something else, is not believed."""
    tried, database = trials(tmp_path, ScriptedCore(lambda _: answer))
    with pytest.raises(UnavailableError):
        asyncio.run(tried.of_policy(parse_policy('{"rules": []}'), days=7))
    database.close()


def test_a_policy_that_would_be_refused_is_not_tried(tmp_path: Path) -> None:
    """What names a custom rule that is not there is told so, before anybody is asked."""
    core = ScriptedCore()
    tried, database = trials(tmp_path, core)
    rule = parse_rule('{"name": "new", "customRules": [{"_id": 5, "effect": "alert"}]}')
    with pytest.raises(PolicyError, match="no custom rule 5"):
        asyncio.run(tried.of_rule(rule, days=7))
    database.close()
    assert core.asked == b""


def test_without_a_program_nobody_is_asked(tmp_path: Path) -> None:
    """A Console that has no Defender for its machine, or one that does not run, says what to do."""
    with pytest.raises(UnavailableError, match="BARTIZAN_DEFENDER"):
        asyncio.run(DefenderProgram({}).judge(b""))
    wrong = tmp_path / "defender"
    wrong.write_text("#!/bin/sh\necho 'bartizan: it is broken' >&2\nexit 64\n")
    wrong.chmod(0o700)
    with pytest.raises(UnavailableError, match="did not judge: it is broken"):
        asyncio.run(DefenderProgram({"amd64": wrong, "arm64": wrong}).judge(b"{}\n" * 100_000))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(list(ObservedKind)),
    value=st.text(min_size=1, max_size=10) | st.sampled_from(("tcp/80", "tcp/99999", "tcp/x")),
    detail=_TEXT | st.sampled_from(("tcp/443", "sctp/1", "udp/0")),
)
def test_any_observation_is_an_event_or_none(kind: ObservedKind, value: str, detail: str) -> None:
    """What is asked of the Defender is an event of its own schema."""
    observed = Observed(kind=kind, value=value, detail=detail, count=1, first=1, last=1)
    past = past_observation(observed, app_id="a", image="", container="")
    if past is not None:
        msgspec.convert(msgspec.json.decode(past.line)["event"]["happened"], type=Event)


@settings(max_examples=60, deadline=None)
@given(
    path=_TEXT,
    command=_TEXT,
    domain=_TEXT,
    ip=_TEXT,
    user=_TEXT,
    reason=st.sampled_from((*(item.value for item in Reason), "other")),
)
def test_any_audit_is_an_event_or_none(path: str, command: str, domain: str, ip: str, user: str, reason: str) -> None:
    """Whatever an audit holds, what is asked of the Defender is an event of its own schema."""
    kept = RuntimeAudit(
        time="t", type="processes", attack_type="a", effect="alert", severity="high", msg="m", reason=reason,
        app_id="a", hostname="a", profile_id="a", process_path=path, command=command, domain=domain, ip=ip, user=user,
    )  # fmt: skip
    past = past_audit(kept)
    if past is not None:
        msgspec.convert(msgspec.json.decode(past.line)["event"]["happened"], type=Event)
