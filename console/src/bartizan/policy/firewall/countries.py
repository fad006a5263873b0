"""The table of countries: which network is where, from the user's own database."""

import csv
import io

from bartizan.policy.firewall.fields import subnet
from bartizan.policy.firewall.protections import country
from bartizan.policy.reading import PolicyError

LARGEST_TABLE = 512 * 1024
"""How large the table may be, in bytes: it travels to Defenders within one frame, beside the policy."""
_MOST_PROBLEMS = 1000


def country_table(data: bytes) -> str:
    """
    Return a table of lines `NETWORK,COUNTRY` in its normal form, from CSV (RFC 4180) with or without a heading.

    Empty lines and those that begin with `#` are left out. Raises PolicyError with every problem, by its line.
    """
    if len(data) > LARGEST_TABLE:
        raise PolicyError([f"the table has {len(data)} bytes, at most {LARGEST_TABLE} are possible"])
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError([f"not UTF-8: byte {error.start}"]) from None
    lines: list[str] = []
    problems: list[str] = []
    try:
        reader = csv.reader(io.StringIO(content, newline=""), strict=True)
        for row in reader:
            if not row or not row[0].strip() or row[0].startswith("#"):
                continue
            if not lines and not problems and not any(char.isdigit() for char in row[0]):
                continue
            try:
                lines.append(_line(row))
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        problems.append(f"this is no CSV: {error}")
    if problems:
        raise PolicyError(problems[:_MOST_PROBLEMS])
    return "".join(f"{line}\n" for line in lines)


def _line(row: list[str]) -> str:
    if len(row) < 2:  # noqa: PLR2004 - network and country
        raise ValueError("a network and its country are expected, such as `192.0.2.0/24,NL`")
    return f"{subnet(row[0].strip())},{country(row[1].strip())}"
