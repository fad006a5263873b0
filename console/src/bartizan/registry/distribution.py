"""Images from a registry (stub for now)."""

from __future__ import annotations

from dataclasses import dataclass

from bartizan.registry.errors import ImageError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bartizan.registry.image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a registry is reached."""


def open_remote(reference: str, access: Access) -> Image:
    """Open."""
    raise ImageError(f"`{reference}`: {access}")
