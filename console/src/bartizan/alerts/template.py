"""
JSON templates with macros, `{"text": "#rule at #time", "audit": #event}`: no code, no loops, no way out of a value.

Outside of quotes a macro stands for a whole JSON value; within a JSON string it stands for text, escaped for it.
"""

import json
import re
from typing import Any

LONGEST_TEMPLATE = 16 * 1024
_LONGEST_RESULT = 256 * 1024
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|#[A-Za-z][A-Za-z0-9]*', re.DOTALL)
_MACRO = re.compile(r"#([A-Za-z][A-Za-z0-9]*)")


class TemplateError(ValueError):
    """A template that cannot be used; the message says what and where."""


def fill(template: str, values: dict[str, Any]) -> bytes:
    """
    Return the template with its macros filled in: one JSON document, whatever the values hold.

    Raises TemplateError for a macro that is none, and for a template that is not JSON once it is filled.
    """
    if len(template) > LONGEST_TEMPLATE:
        raise TemplateError(f"at most {LONGEST_TEMPLATE} characters")

    def token(found: re.Match[str]) -> str:
        text = found[0]
        if text.startswith("#"):
            return json.dumps(_value(text[1:], values))
        return _MACRO.sub(lambda macro: _escaped(_value(macro[1], values)), text)

    text = _TOKEN.sub(token, template)
    if len(text) > _LONGEST_RESULT:
        raise TemplateError(f"filled in, it has more than {_LONGEST_RESULT} characters")
    try:
        return json.dumps(json.loads(text), separators=(",", ":")).encode()
    except RecursionError:
        raise TemplateError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise TemplateError(
            f"not JSON once its macros are filled in: line {error.lineno}: {error.msg.lower()}"
        ) from None


def _value(name: str, values: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if name not in values:
        raise TemplateError(f"`#{name}` is no macro, possible are {', '.join(f'#{known}' for known in sorted(values))}")
    return values[name]


def _escaped(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text)[1:-1]
