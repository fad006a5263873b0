"""Which audits make an incident."""

import json
from pathlib import Path

from bartizan.audit import Reason
from bartizan.audit.incidents import category_of

CONTRACT = Path(__file__).resolve().parents[3] / "contract"


def test_the_categories_are_those_of_the_contract() -> None:
    """Every reason makes the incident that `contract/detections.json` says, or none."""
    listed = {entry["name"]: entry["incident"] for entry in json.loads((CONTRACT / "detections.json").read_text())}
    assert {reason.value: category_of(reason) for reason in Reason} == {
        reason.value: listed.get(reason.value) for reason in Reason
    }
