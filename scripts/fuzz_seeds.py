"""Writes inputs to begin with, out of the rules, their tests and the vectors: `fuzz_seeds.py TARGET FOLDER`."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRS = ROOT / ".cache" / "rules" / "crs4"
VECTORS = ROOT / "contract" / "vectors" / "waas"
# The last bytes of an input say how it is cut into pieces, and how its body is coded.
CHOICES = b"\x05\x00"
HEAD = "{method} {target} HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: fuzz\r\n{fields}\r\n"


def seeds(target: str) -> Iterator[bytes]:
    """The inputs to begin with for a target."""
    match target:
        case "head" | "engine" | "exchange":
            yield from (request.encode() + CHOICES for request in requests())
        case "response_head":
            yield b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
        case "chunked":
            yield b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" + CHOICES
        case "seclang":
            yield from (rule.encode() for rule in rules())
        case "policy" | "expression":
            yield from policies(target)
        case "transformations":
            yield from (value.encode() for value in values())
        case _:
            yield from (body + CHOICES for body in BODIES[target])


BODIES = {
    "form": [b"a=1&b=%27%20or%201=1&c[]=x+y&d=%u0041"],
    "json": [b'{"a":[1,-2e3,"\\u0041\\ud83d\\ude00",null,true],"b":{"c":"<x>"}}', b'"[1]"'],
    "xml": [b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a b="c">&x;<![CDATA[d]]><!-- e --></a>'],
    "multipart": [
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="x.php"\r\nContent-Type: a/b\r\n\r\n1\r\n--b--\r\n'
    ],
}


def values() -> Iterator[str]:
    """The values that the rules' tests send."""
    for path in sorted((CRS / "tests").rglob("*.yaml")):
        for found in re.finditer(r"""^\s+(?:uri|data): (["']?)(.+)\1$""", path.read_text("utf-8"), re.MULTILINE):
            yield found[2]


def requests() -> Iterator[str]:
    """Requests with those values."""
    for number, value in enumerate(values()):
        if value.startswith("/"):
            yield HEAD.format(method="GET", target=value.replace(" ", "%20"), fields="")
        else:
            kind = ("application/x-www-form-urlencoded", "application/json", "text/xml")[number % 3]
            fields = f"Content-Type: {kind}\r\nContent-Length: {len(value.encode())}\r\n"
            yield HEAD.format(method="POST", target="/a?b=c", fields=fields) + value


def rules() -> Iterator[str]:
    """The rules, one by one."""
    for path in sorted((CRS / "rules").glob("*.conf")):
        yield from (rule for rule in re.split(r"\n\n", path.read_text("utf-8")) if "Sec" in rule and len(rule) < 8192)


def policies(target: str) -> Iterator[bytes]:
    """The policies of the vectors, or the conditions in them."""
    for path in sorted(VECTORS.glob("*.json")):
        text = path.read_text("utf-8")
        if target == "expression":
            yield from (
                json.loads(f'"{found}"').encode() for found in re.findall(r'"expression": "((?:[^"\\]|\\.)*)"', text)
            )
        else:
            for vector in json.loads(text):
                if isinstance(vector, dict) and "policy" in vector:
                    yield json.dumps(vector["policy"]).encode()


def main() -> None:
    """Writes them to the folder."""
    target, folder = sys.argv[1], Path(sys.argv[2])
    for seed in seeds(target):
        (folder / f"seed-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)


if __name__ == "__main__":
    main()
