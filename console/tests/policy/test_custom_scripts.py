"""The language of custom rules: what is taken, what is refused and where."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.policy.custom import FIELDS, check_script
from bartizan.policy.defender_policy import CustomKind
from bartizan.policy.script_tokens import ScriptError, tokens

DIGEST = "ab" * 32
FOLDER = Path(__file__).parents[3] / "contract" / "vectors" / "custom-rules"
VECTORS = [
    pytest.param(case, id=case["name"])
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]


def test_there_are_vectors() -> None:
    """The folder is where we look for it."""
    assert len(VECTORS) >= 60


@pytest.mark.parametrize("case", VECTORS)
def test_vector(case: dict[str, Any]) -> None:
    """A script is printed, or refused with the column and the words of the vector, as the Defender does."""
    try:
        found = check_script(case["script"], CustomKind(case["kind"]))
    except ScriptError as error:
        assert (case["ok"], error.column, error.reason) == (False, case["column"], case["error"])  # noqa: PT017
    else:
        assert (case["ok"], found.printed) == (True, case["printed"])


@pytest.mark.parametrize(
    ("kind", "script"),
    [
        ("processes", 'proc.name = "sh"'),
        ("processes", 'proc.pname in ("mysql", "sqlplusSSL") and proc.path != "/usr/bin/whoami"'),
        ("processes", 'NOT (proc.cmdline contains "-c" Or proc.user = 0) AND proc.user IN (0, "root", "1000")'),
        ("processes", f'proc.sha256 = "{DIGEST.upper()}" or proc.ancestors contains "nginx"'),
        ("processes", 'proc.args startswith "--" and proc.args in ("-c") and proc.name matches "python*"'),
        ("processes", r'proc.cmdline contains "a \"quoted\" \\ word\n\t"'),
        ("processes", '\n proc.name\u00a0=\n\t"sh"  '),
        ("filesystem", 'file.path startswith "/etc/" and not file.operation in ("create", "remove")'),
        ("filesystem", 'file.dir = "/root" and proc.name = "sh" and not not proc.user != 4294967295'),
        ("network-outgoing", 'net.outgoing_ip = "169.254.169.254" or net.outgoing_ip in ("10.0.0.0/8", "::1/128")'),
        ("network-outgoing", 'net.outgoing_ip != "10.0.0.1-10.0.0.9" and not net.private_subnet'),
        ("network-outgoing", 'net.outgoing_port >= 1024 and net.outgoing_port < 2000 and net.domain endswith ".test"'),
        ("network-outgoing", "((((((((net.private_subnet))))))))"),
        ("network-outgoing", 'net.outgoing_ip = "::ffff:10.0.0.1-10.0.0.9"'),
    ],
)
def test_conditions(kind: str, script: str) -> None:
    """These are conditions; the fields they speak of are told."""
    found = check_script(script, CustomKind(kind))
    assert found.fields
    assert found.fields <= FIELDS[CustomKind(kind)].keys()


@pytest.mark.parametrize(
    ("kind", "script", "column", "reason"),
    [
        ("processes", "", 1, "a field such as `proc.name` is missing"),
        ("processes", 'proc.name = "sh" and', 21, "a field"),
        ("processes", 'proc.name = "sh" proc.path = "x"', 18, "`and` or `or` is missing"),
        ("processes", 'proc.name = "sh")', 17, "`)` closes nothing"),
        ("processes", '(proc.name = "sh"', 18, "`)` is missing"),
        ("processes", "proc.name", 10, "an operator is missing behind `proc.name`"),
        ("processes", 'proc.name "sh"', 11, "an operator is missing"),
        ("processes", 'proc.name == "sh"', 12, "compared with a text in double quotes"),
        ("processes", 'proc.name like "sh"', 11, "`like` is not an operator"),
        ("processes", "proc.name = sh", 13, "double quotes"),
        ("processes", "proc.name = 'sh'", 13, r"`\'` is not understood"),
        ("processes", 'proc.name = "sh', 13, 'this text does not end; a `"` is missing'),
        ("processes", r'proc.name = "a\d"', 15, r"`\d` is not an escape"),
        ("processes", 'proc.name < "sh"', 11, "`proc.name` is not compared by `<`, only by"),
        ("processes", 'proc.name in "sh"', 14, "`(` is missing"),
        ("processes", 'proc.name in ("sh" "x")', 20, "`)` is missing"),
        ("processes", 'proc.args = "x"', 11, "`proc.args` is not compared by `=`"),
        ("processes", 'proc.user = "ann"', 13, "only `root` has a name"),
        ("processes", "proc.user = 4294967296", 13, "`4294967296` is not a number from 0 to 4294967295"),
        ("processes", "proc.user = 1" + "0" * 30, 13, "is not a number"),
        ("processes", 'proc.user = "1' + "0" * 30 + '"', 13, "only `root` has a name"),
        ("processes", 'proc.sha256 = "12"', 15, "not 64 hexadecimal digits"),
        ("processes", "proc.interactive", 1, "`proc.interactive` is not a field; there are proc.name,"),
        ("processes", 'file.path = "/etc"', 1, "`file.path` is not known for rules of this type"),
        ("filesystem", "net.outgoing_port = 1", 1, "not known for rules of this type"),
        ("filesystem", 'file.operation = "chmod"', 18, "`chmod` is none of create, write"),
        ("filesystem", 'file.md5 = "x"', 1, "`file.md5` is not a field"),
        ("network-outgoing", 'net.outgoing_ip = "10.0.0.0/33"', 19, "not an IP address"),
        ("network-outgoing", 'net.outgoing_ip = "10.0.0.0/255.0.0.0"', 19, "not an IP address"),
        ("network-outgoing", 'net.outgoing_ip = "10.0.0.9-10.0.0.1"', 19, "not an IP address"),
        ("network-outgoing", 'net.outgoing_ip = "fe80::1%eth0"', 19, "not an IP address"),
        ("network-outgoing", "net.outgoing_ip = 10.0.0.1", 19, "texts and addresses stand in double quotes"),
        ("network-outgoing", 'net.outgoing_port = "22"', 21, "compared with a number"),
        ("network-outgoing", "net.private_subnet = 1", 20, "`and` or `or` is missing"),
        ("processes", "(" * 33 + "proc.user = 0" + ")" * 33, 33, "nested more than 32 deep"),
        ("processes", "not " * 40 + "proc.user = 0", 129, "nested more than 32 deep"),
        ("processes", "x" * 16385, 1, "at most 16384 bytes"),
        ("processes", "ü" * 3, 1, "`ü` is not understood"),
        ("processes", 'proc.name = "ü" \x1c', 17, r"`\u{1c}` is not understood"),
    ],
)
def test_what_is_no_condition(kind: str, script: str, column: int, reason: str) -> None:
    """What is wrong is told with the column at which it stands."""
    with pytest.raises(ScriptError) as refused:
        check_script(script, CustomKind(kind))
    assert (refused.value.column, reason in refused.value.reason) == (column, True), refused.value


pieces = st.sampled_from(
    [
        *FIELDS[CustomKind.NETWORK_OUTGOING],
        *("and", "or", "not", "in", "=", "!=", "<", "contains", "(", ")", ",", '"10.0.0.1"', '"sh"', "22", '"', "\\"),
    ]
)


@given(script=st.text(max_size=60) | st.lists(pieces, max_size=20).map(" ".join), kind=st.sampled_from(CustomKind))
def test_any_text_is_a_condition_or_one_error(script: str, kind: CustomKind) -> None:
    """
    Whatever is written, the result is a condition, or one error whose column lies in the script or behind it.

    A condition that is printed and read again is the same.
    """
    try:
        found = check_script(script, kind)
        assert found.fields <= FIELDS[kind].keys()
        assert check_script(found.printed, kind) == found
    except ScriptError as error:
        assert 1 <= error.column <= len(script) + 1  # noqa: PT017 - one of two right outcomes
        assert error.reason  # noqa: PT017 - as above


tests = st.one_of(
    st.tuples(st.sampled_from(["proc.name", "proc.path", "net.domain"]), st.sampled_from(["=", "!=", "contains"])).map(
        lambda parts: f'{parts[0]} {parts[1]} "x"'
    ),
    st.integers(0, 65535).map("net.outgoing_port >= {}".format),
    st.just("net.private_subnet"),
)
conditions = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map("not {}".format),
        inner.map("({})".format),
    ),
    max_leaves=8,
)


@given(script=conditions, cut=st.integers(1, 200))
def test_every_condition_is_taken_and_its_pieces_are_where_they_were(script: str, cut: int) -> None:
    """Every condition of the grammar is taken; each piece stands at its column, and a cut one is never misread."""
    assert check_script(script, CustomKind.NETWORK_OUTGOING)
    for token in tokens(script):
        assert script[token.column - 1 :].startswith((token.text, f'"{token.text}"'))
    with pytest.raises(ScriptError):
        check_script(f"{script[:cut]} =", CustomKind.NETWORK_OUTGOING)
