"""Fixtures of the compatibility tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.register_assert_rewrite("comparing")

from comparing import without  # noqa: E402 - its assertions are to say what they saw


@pytest.fixture
def make_policy() -> Callable[[str], dict[str, Any]]:
    """A policy like the usual one that denies one program."""

    def make(denied: str) -> dict[str, Any]:
        policy = without("notMainProcess")
        policy["processes"]["deny"] = [denied]
        return policy

    return make
