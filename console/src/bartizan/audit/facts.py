"""What is known of one detection."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionFacts:
    """One entry of `contract/detections.json`; `techniques` are MITRE's, `incident` is the vendor's category."""

    section: Literal["process", "network", "file", "custom", "defender"]
    severity: Severity
    techniques: tuple[str, ...]
    incident: str | None
    title: str
