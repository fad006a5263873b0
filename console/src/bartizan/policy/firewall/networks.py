"""Network lists: named addresses and CIDR blocks that the policy refers to, from JSON and from CSV."""

import csv
import io
from typing import Any

from bartizan.policy.entries import label
from bartizan.policy.firewall.fields import Shape, checked, flag, ignored, once, subnet, text
from bartizan.policy.firewall.model import NetworkList
from bartizan.policy.reading import PolicyError, load

MOST_SUBNETS = 10_000
_HEADINGS = ("address", "addresses", "cidr", "ip", "network", "networks", "subnet", "subnets")


def _name(name: str) -> str:
    if "/" in name:
        raise ValueError("a name has no `/`, which is for subnets")
    return label(name)


_shape = Shape(
    fields={
        "_id": checked(_name, longest=256),
        "name": ignored,
        "description": text(lines=True),
        "subnets": once(checked(subnet, longest=128), most=MOST_SUBNETS),
        "disabled": flag(),
        "owner": ignored,
        "modified": ignored,
        "notes": ignored,
        "previousName": ignored,
    },
    needed=("_id",),
)


def parse_network_list(data: bytes | str) -> NetworkList:
    """Return the network list of a JSON document. Raises PolicyError with every problem found."""
    problems: list[str] = []
    document = _shape(load(data), "", problems)
    if problems:
        raise PolicyError(problems)
    return NetworkList(
        name=document["_id"],
        subnets=tuple(document["subnets"]),
        description=document["description"],
        disabled=document["disabled"],
    )


def network_list_document(item: NetworkList) -> dict[str, Any]:
    """Return the JSON document of a network list; `parse_network_list` reads it back."""
    return {
        "_id": item.name,
        "name": item.name,
        "description": item.description,
        "subnets": list(item.subnets),
        "disabled": item.disabled,
        "owner": item.owner,
        "modified": item.modified,
    }


def subnets_of_csv(data: bytes) -> tuple[str, ...]:
    """
    Return the addresses of a CSV file (RFC 4180): the first cell of each line, under a heading or without one.

    Empty lines and lines that begin with `#` are left out. Raises PolicyError with every problem, by its line.
    """
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError([f"not UTF-8: byte {error.start}"]) from None
    found: list[str] = []
    problems: list[str] = []
    try:
        reader = csv.reader(io.StringIO(content, newline=""), strict=True)
        for row in reader:
            cell = row[0].strip() if row else ""
            if not cell or cell.startswith("#") or (not found and cell.lower() in _HEADINGS):
                continue
            try:
                found.append(subnet(cell))
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        problems.append(f"this is no CSV: {error}")
    entries = tuple(dict.fromkeys(found))
    if not entries and not problems:
        problems.append("there are no addresses in it")
    if len(entries) > MOST_SUBNETS:
        problems.append(f"there are {len(entries)} addresses, at most {MOST_SUBNETS} are possible")
    if problems:
        raise PolicyError(problems)
    return entries
