"""Templates fill in values, and nothing that a value holds gets out of its place."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerts.samples import ORIGIN, alert, hostile_alerts

from bartizan.alerts import Alert
from bartizan.alerts.macros import macros_of
from bartizan.alerts.template import TemplateError, fill

TEMPLATE = (
    '{"text": "#rule: #message (#count)", "event": #event, "n": #count, "tags": #techniques, "x": "\\"#appID\\""}'
)


def test_macros_stand_for_values_and_within_strings_for_text() -> None:
    """A number stays a number outside of quotes and becomes text within."""
    filled = json.loads(fill(TEMPLATE, macros_of(alert(count=3), page="https://c/")))
    assert filled == {
        "text": "shop rule: `/bin/sh` was started (3)",
        "event": alert().document,
        "n": 3,
        "tags": ["T1059.004"],
        "x": '"shop"',
    }


@given(hostile_alerts())
@settings(max_examples=50)
def test_whatever_attackers_name_stays_in_its_place(found: Alert) -> None:
    """For all alerts the result is JSON with the template's keys, and each text is exactly what was put in."""
    filled = json.loads(fill(TEMPLATE, macros_of(found, page=ORIGIN.page(found))))
    assert list(filled) == ["text", "event", "n", "tags", "x"]
    assert filled["text"] == f"{found.rule}: {found.message} ({found.count})"
    assert filled["event"] == found.document
    assert filled["x"] == f'"{found.app_id}"'


@given(st.text(alphabet='{}[]":,#\\abcnuevt 01', max_size=60))
@settings(max_examples=100)
def test_any_template_is_filled_or_refused(template: str) -> None:
    """Every text gives JSON or a TemplateError."""
    try:
        filled = fill(template, macros_of(alert(), page=""))
    except TemplateError:
        return
    json.loads(filled)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ('{"a": #nothing}', "`#nothing` is no macro, possible are #aggregated"),
        ('{"a": "#Nothing"}', "`#Nothing` is no macro"),
        ('{"a": }', "not JSON once its macros are filled in: line 1"),
        ('{\n "a": "b" "c"}', "line 2"),
        ('"' + "x" * 20_000 + '"', "at most 16384 characters"),
        ("[" * 9000, "JSON|nested"),
        ("[" + "#event," * 2000 + "1]", "more than 262144 characters"),
    ],
)
def test_templates_that_cannot_be_used(template: str, words: str) -> None:
    """Each gets one sentence that says what and where."""
    big = alert(document={"text": "x" * 1000})
    with pytest.raises(TemplateError, match=words):
        fill(template, macros_of(big, page=""))
