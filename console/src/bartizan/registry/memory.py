"""What is kept between look-ups, in memory and bounded: configurations, which never change, and ECR's passwords."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(slots=True)
class Memory:
    """A bounded map with the longest unused entry thrown out first; safe to be shared by threads.

    `largest` bounds the bytes of all contents together; an entry of more than an eighth of it is not kept.
    `turn` is taken by whoever is about to fetch what all would fetch.
    """

    largest: int = 16 << 20
    _kept: OrderedDict[Hashable, bytes] = field(default_factory=OrderedDict, repr=False)
    _size: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, key: Hashable) -> bytes | None:
        """Return what was kept under `key`, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Hashable, content: bytes) -> None:
        """Keep `content` under `key`, for as long as there is room."""
        if len(content) > self.largest // 8:
            return
        with self._lock:
            self._size += len(content) - len(self._kept.pop(key, b""))
            self._kept[key] = content
            while self._size > self.largest:
                self._size -= len(self._kept.popitem(last=False)[1])

    def forget(self, key: Hashable) -> None:
        """Drop what is kept under `key`."""
        with self._lock:
            self._size -= len(self._kept.pop(key, b""))
