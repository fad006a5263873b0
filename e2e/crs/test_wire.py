"""The proxy on a socket with the Core Rule Set: the set's own tests, ordinary requests, one attack of each class."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ftw import Answer
from release import Release
from samples import ATTACKS, ATTACKS_TOO, ORDINARY, ORDINARY_TOO
from wire import outcomes, proxy

STAGES = 4680
PROFILES = {
    "balanced": (ORDINARY | ORDINARY_TOO, ATTACKS | ATTACKS_TOO),
    "crsStrict": (ORDINARY, ATTACKS),
}

Answers = dict[tuple[str, str], Answer]


def test_all_of_the_rule_sets_own_tests_hold(proxy_program: Path, release: Release) -> None:
    """Every stage of the Core Rule Set's regression tests holds, but for what wire.py and run.py name."""
    found = asyncio.run(outcomes(proxy_program, release))

    assert {stage.name: fault for stage, _, fault in found if fault} == {}
    assert len(found) == STAGES


@pytest.fixture(scope="module")
def answers(proxy_program: Path, release: Release) -> Answers:
    """What each profile answers to its requests when every group prevents."""

    async def ask_all(profile: str) -> Answers:
        ordinary, attacks = PROFILES[profile]
        settings = release.settings.read_text()
        async with proxy(proxy_program, release, settings, effect="prevent", profile=profile) as running:
            given = {**{f"ordinary {name}": one for name, one in ordinary.items()}, **attacks}
            return {(profile, name): await running.ask("127.0.0.1", one) for name, one in given.items()}

    return {key: answer for profile in PROFILES for key, answer in asyncio.run(ask_all(profile)).items()}


@pytest.mark.parametrize(
    ("profile", "name"), [(profile, name) for profile in PROFILES for name in PROFILES[profile][0]]
)
def test_ordinary_requests_pass(answers: Answers, profile: str, name: str) -> None:
    """What browsers and honest programs send reaches the application."""
    answer = answers[profile, f"ordinary {name}"]

    assert answer.status == 200, answer


@pytest.mark.parametrize(
    ("profile", "name"), [(profile, name) for profile in PROFILES for name in PROFILES[profile][1]]
)
def test_attacks_are_stopped(answers: Answers, profile: str, name: str) -> None:
    """One attack of each class is answered in the application's place; disguised ones too where that is promised."""
    answer = answers[profile, name]

    assert answer.status == 403, answer
