"""Models and learned rules by the clock: bounds, and what goes on by itself when."""

import asyncio
import dataclasses
from dataclasses import dataclass

import msgspec
import pytest
from tests.store.test_store import new_audit

from bartizan.audit.wire import Observed, ObservedKind
from bartizan.policy.stages import Stage
from bartizan.services.learning import Learning
from bartizan.services.models import MOST_OF_A_KIND, ModelQuery, Models
from bartizan.services.policies import Policies
from bartizan.store import Database, SqlAudits, SqlLearned, SqlModels, SqlPolicies

DAY = 24 * 3600 * 1000


@dataclass
class Clock:
    """A clock that a test turns."""

    now: int = 100 * DAY

    def __call__(self) -> int:
        """Return the time."""
        return self.now


@dataclass
class Parts:
    """A Console's parts for learning."""

    clock: Clock
    models: Models
    learning: Learning
    policies: Policies
    audits: SqlAudits
    store: SqlModels

    def learn(self, *values: str, image: str = "shop:1", overflow: int = 0) -> None:
        """Report programs."""
        items = [Observed(kind=ObservedKind.PROCESS, value=value, count=1, first=1, last=2**40) for value in values]
        asyncio.run(self.models.learn(app_id="a", image=image, container="web", observed=items, overflow=overflow))

    def stage(self) -> Stage:
        """Return the stage of the only learned rule."""
        (learned,) = asyncio.run(self.learning.all())
        return learned.stage

    def pass_days(self, days: int, *values: str) -> None:
        """Let days pass in which the workload runs and does these things."""
        for _ in range(days):
            self.clock.now += DAY
            self.learn(*values)
            asyncio.run(self.learning.tick())


@pytest.fixture
def parts(database: Database) -> Parts:
    """Build the parts on a new database."""
    clock = Clock()
    policies = Policies(SqlPolicies(database), on_change=lambda: None, clock=clock)
    store = SqlModels(database)
    models, audits = Models(store, clock=clock), SqlAudits(database)
    learning = Learning(SqlLearned(database), models, policies, audits, clock=clock)
    return Parts(clock, models, learning, policies, audits, store)


def test_a_model_is_bounded(parts: Parts) -> None:
    """Of one kind so many things are kept; the rest is counted, and no rule is closed by what is incomplete."""
    for start in range(0, MOST_OF_A_KIND + 100, 100):
        parts.learn(*(f"/bin/{number}" for number in range(start, start + 100)))
    rows, _ = asyncio.run(parts.models.page(ModelQuery()))
    assert (rows[0].counts["process"], rows[0].overflow) == (MOST_OF_A_KIND, 100)
    _, suggestion = asyncio.run(parts.models.suggest(rows[0].id))
    assert suggestion.rule.processes.effect.value == "disable"


def test_nothing_is_seen_in_the_future(parts: Parts) -> None:
    """A Defender with a wrong clock does not put its sightings beyond the present."""
    parts.learn("/bin/id")
    (item,) = parts.store.observations(1)
    assert (item.first, item.last) == (1, min(2**40, parts.clock.now))


def test_the_least_recent_models_go(parts: Parts) -> None:
    """Beyond the bound of models those go that nobody reported for longest."""
    for number in range(5):
        parts.clock.now += 1
        parts.learn("/bin/id", image=f"image{number}")
    assert parts.store.prune(most=2) == 3
    rows, _ = asyncio.run(parts.models.page(ModelQuery()))
    assert [row.key.image for row in rows] == ["image4", "image3"]


def test_quiet_days_promote(parts: Parts) -> None:
    """Discover goes on when nothing new was seen for the days, alert when nothing was reported for them."""
    parts.learn("/bin/id")
    asyncio.run(parts.learning.adopt(1, stage=Stage.DISCOVER, quiet_days=3, author="admin"))
    parts.pass_days(2, "/bin/id")
    parts.pass_days(1, "/bin/id", "/bin/new")
    parts.pass_days(2, "/bin/id")
    assert parts.stage() is Stage.DISCOVER
    parts.pass_days(1, "/bin/id")
    assert parts.stage() is Stage.ALERT
    (rule,) = parts.policies.current.rules
    assert rule.processes.allow == ("/bin/id", "/bin/new")
    audit = new_audit(1, time=parts.clock.now + DAY)
    shown = msgspec.structs.replace(audit.audit, rule_name=rule.name)
    parts.audits.add([dataclasses.replace(audit, audit=shown)])
    parts.pass_days(3, "/bin/id")
    assert parts.stage() is Stage.ALERT
    parts.pass_days(2, "/bin/id")
    assert parts.stage() is Stage.PREVENT
    assert parts.policies.current.rules[0].processes.effect.value == "prevent"


def test_silence_proves_nothing(parts: Parts) -> None:
    """A workload that does not run is not quiet, and a rule without days waits for a person."""
    parts.learn("/bin/id")
    asyncio.run(parts.learning.adopt(1, stage=Stage.ALERT, quiet_days=3, author="admin"))
    parts.clock.now += 30 * DAY
    asyncio.run(parts.learning.tick())
    assert parts.stage() is Stage.ALERT


def test_by_hand_means_by_hand(parts: Parts) -> None:
    """A rule without quiet days never goes on by itself, however quiet it is."""
    parts.learn("/bin/id")
    asyncio.run(parts.learning.adopt(1, stage=Stage.ALERT, quiet_days=None, author="admin"))
    parts.pass_days(10, "/bin/id")
    assert parts.stage() is Stage.ALERT


def test_changes_by_hand_stay(parts: Parts) -> None:
    """What somebody changed in a learned rule is still there when it prevents; a rule that was removed is forgotten."""
    parts.learn("/bin/id")
    asyncio.run(parts.learning.adopt(1, stage=Stage.ALERT, quiet_days=None, author="admin"))
    name = parts.policies.current.rules[0].name
    asyncio.run(
        parts.policies.change_rule(name, lambda rule: dataclasses.replace(rule, notes="checked"), author="admin")
    )
    asyncio.run(parts.learning.promote(name, author="admin"))
    (rule,) = parts.policies.current.rules
    assert (rule.notes, rule.processes.effect.value) == ("checked", "prevent")
    asyncio.run(parts.policies.replace(dataclasses.replace(parts.policies.current, rules=()), author="admin"))
    assert asyncio.run(parts.learning.all()) == []
