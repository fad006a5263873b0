"""Fixtures of the compatibility tests."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from chamber import POLICY


@pytest.fixture
def make_policy() -> Callable[[str], dict[str, Any]]:
    """A policy like the usual one that denies one program."""

    def make(denied: str) -> dict[str, Any]:
        policy = copy.deepcopy(POLICY)
        policy["processes"]["deny"] = [denied]
        return policy

    return make
