"""Fixtures of the compatibility tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from comparing import without


@pytest.fixture
def make_policy() -> Callable[[str], dict[str, Any]]:
    """A policy like the usual one that denies one program."""

    def make(denied: str) -> dict[str, Any]:
        policy = without("notMainProcess")
        policy["processes"]["deny"] = [denied]
        return policy

    return make
