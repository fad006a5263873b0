"""Waiting for something to become true, with a deadline and without fixed pauses in tests."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.05


def eventually(
    look: Callable[[], T | None], *, what: str, otherwise: Callable[[], str] = str, deadline: float = DEADLINE_SECONDS
) -> T:
    """Return the first true value of ``look``.

    Raises:
        AssertionError: it did not become true in ``deadline`` seconds; ``otherwise`` says what was seen instead.
    """
    end = time.monotonic() + deadline
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline} s for {what}: {otherwise()}")
        select.select([], [], [], LOOK_EVERY_SECONDS)
