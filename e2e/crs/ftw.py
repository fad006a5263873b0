"""The Core Rule Set's regression tests: requests as raw bytes, and what the rules must say of them.

The format is that of go-ftw (`ftw-tests-schema`); what its client adds of its own accord is added here as well.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import yaml

# `{{ "1" | repeat 64200 }}`, the one function of Go's templates that the tests use.
REPEAT = re.compile(r'\{\{\s*"([^"]*)"\s*\|\s*repeat\s+(\d+)\s*\}\}')
# libyaml's is ten times as fast; not every PyYAML has it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FORM = "application/x-www-form-urlencoded"
# go-ftw's own expression; it says less than it seems to.
WITH_BODY = re.compile("^POST|PUT|PATCH|DELETE$")


@dataclass(frozen=True, slots=True)
class Stage:
    """One request of a test."""

    name: str
    request: bytes
    """As it goes over the wire."""
    response: bytes
    """What an application that reflects would answer; see :func:`reflection`."""
    expect: frozenset[int]
    refuse: frozenset[int]
    status: int | None
    match: str | None
    no_match: str | None
    fails: bool
    """The client expects no answer at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said of a stage."""

    status: int
    rules: frozenset[int] = frozenset()
    log: str = ""
    refused: str = ""
    differs: bool = False


def stages(folder: Path) -> Iterator[Stage]:
    """Every stage of every test in a folder, in the order of the files' names.

    :raises yaml.YAMLError: for a file that is no YAML.
    """
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        document = yaml.load(path.read_text(), LOADER) or {}  # noqa: S506 - a safe loader either way
        for test in document.get("tests", []):
            for index, stage in enumerate(test["stages"]):
                name = f"{document['rule_id']}-{test['test_id']}" + (f".{index}" if index else "")
                yield _stage(name, stage["input"], stage.get("output", {}))


def log_of(findings: list[dict[str, Any]]) -> str:
    r"""A log as web servers write it, a line each: quotes have a backslash, what is no printable ASCII is `\xHH`."""
    return "\n".join(
        f'[id "{one["id"]}"] [msg "{_shown(one["msg"])}"] [data "{_shown(one["data"])}"]' for one in findings
    )


def _shown(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if " " <= one <= "~" else "".join(f"\\x{byte:02x}" for byte in one.encode()) for one in quoted)


def problem(stage: Stage, answer: Answer) -> str | None:
    """What is wrong with an answer; None when nothing is. A refusal before the rules is as good as the status 400."""
    if stage.status is not None and answer.status != stage.status and not (answer.refused and stage.status == 400):
        return f"status {answer.status}, expected {stage.status} {answer.refused}"
    if stage.status is not None and answer.refused:
        return None
    faults = {
        f"rules {sorted(stage.expect - answer.rules)} are missing {answer.refused}": stage.expect - answer.rules,
        f"rules {sorted(stage.refuse & answer.rules)} are not wanted": stage.refuse & answer.rules,
        f"the log does not match `{stage.match}`": stage.match and not re.search(stage.match, answer.log),
        f"the log matches `{stage.no_match}`": stage.no_match and re.search(stage.no_match, answer.log),
    }
    return next((fault for fault, holds in faults.items() if holds), None)


def _stage(name: str, given: dict[str, Any], wanted: dict[str, Any]) -> Stage:
    log = wanted.get("log") or {}
    request = base64.b64decode(given["encoded_request"]) if "encoded_request" in given else _request(given)
    return Stage(
        name=name,
        request=request,
        response=_reflection(given),
        expect=frozenset(log.get("expect_ids", [])),
        refuse=frozenset(log.get("no_expect_ids", [])),
        status=wanted.get("status"),
        match=log.get("match_regex"),
        no_match=log.get("no_match_regex"),
        fails=bool(wanted.get("expect_error")),
    )


def _request(given: dict[str, Any]) -> bytes:
    """The request as go-ftw would send it."""
    headers = {str(name): _filled(value) for name, value in (given.get("headers") or {}).items()}
    data = _filled(given["data"]) if given.get("data") is not None else ""
    method = str(given.get("method", "GET"))
    complete = given.get("autocomplete_headers", True)
    if complete and data:
        _add(headers, "Content-Type", FORM)
        data = _escaped(data) if _value(headers, "Content-Type") == FORM else data
    if (_value(headers, "Content-Type") or "").startswith("multipart/form-data;"):
        data = data.replace("\n", "\r\n")
    body = data.encode()
    if complete:
        _add(headers, "Connection", "close")
        if body or WITH_BODY.search(method):
            _add(headers, "Content-Length", str(len(body)))
    line = f"{method} {_filled(given.get('uri', '/'))} {given.get('version', 'HTTP/1.1')}\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{line}{fields}\r\n".encode() + body


def _value(headers: dict[str, str], wanted: str) -> str | None:
    return next((value for name, value in headers.items() if name.lower() == wanted.lower()), None)


def _add(headers: dict[str, str], name: str, value: str) -> None:
    if _value(headers, name) is None:
        headers[name] = value


def _filled(text: object) -> str:
    return REPEAT.sub(lambda found: found[1] * int(found[2]), str(text))


def _escaped(data: str) -> str:
    """A form's data, escaped between `&` and `=` unless somebody has done so already."""
    if "%" in data or "+" in data:
        return data
    pairs = (pair.split("=", 1) for pair in data.split("&"))
    return "&".join("=".join(quote_plus(part) for part in pair) for pair in pairs)


def _reflection(given: dict[str, Any]) -> bytes:
    """The answer of an application that reflects: `POST /reflect` says in JSON what is to be answered."""
    wanted: dict[str, Any] = {}
    if str(given.get("uri", "")).startswith("/reflect") and given.get("data"):
        try:
            wanted = json.loads(_filled(given["data"]))
        except ValueError:
            wanted = {}
    body = base64.b64decode(wanted["encodedBody"]) if "encodedBody" in wanted else str(wanted.get("body", "")).encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in (wanted.get("headers") or {}).items())
    return f"HTTP/1.1 {wanted.get('status', 200)} OK\r\n{fields}\r\n".encode() + body
