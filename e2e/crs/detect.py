"""What each profile stops and what it stops wrongly, over lists of attacks and of ordinary requests.

``detect.py [--detect PROGRAM] [--rules FOLDER] [--corpus FOLDER] [--missed LIST]``: the built example `detect` (else
`BARTIZAN_DETECT`, or where cargo puts it), the folder that scripts/rules.sh fills, and a folder with `nemesida`,
`fastly` and `libinjection` as its INDEX.tsv says (else `waf` in the folder `BARTIZAN_CORPUS`).

It prints a table, a line for each list: of attacks the share that is refused, of ordinary requests the number. With
``--missed``, a list's name or `all`, it prints what `balanced` judges wrongly there. It ends with 1 when `balanced`
refuses an ordinary request, or fewer attacks than it promises.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_from_bytes, quote_plus, unquote_to_bytes

sys.path.insert(0, str(Path(__file__).resolve().parent))

from payloads import ATTACKS, GRAPHQL_ATTACKS, GRAPHQL_ORDINARY, ORDINARY

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("crsStrict", "balanced")
# Percent of all attacks that `balanced` has to refuse.
PROMISED = 93
# Requests that are taken of one file of a long list, always the same.
SAMPLE = 200
FORM = "application/x-www-form-urlencoded"
BROWSER = {
    "Host": "shop.test",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/json;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
}
# What a target may have as it stands.
SAFE = "/?&=%:@!$'()*+,;~"


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and whether it is an attack."""

    group: str
    name: str
    attack: bool
    request: bytes


def request(
    target: str = "/", *, kind: str = "", body: bytes | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """A browser's request as raw bytes; a ``POST`` when there is a body."""
    fields = dict(BROWSER)
    if body is not None:
        fields |= {"Content-Type": kind or FORM, "Content-Length": str(len(body))}
    fields |= headers or {}
    method = "GET" if body is None else "POST"
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b"")


PLACES: dict[str, Callable[[str], bytes]] = {
    "argument": lambda value: request("/search?q=" + quote(value, safe="")),
    "argument in base64": lambda value: request("/search?q=" + quote(base64.b64encode(value.encode()), safe="")),
    "form": lambda value: request("/save", body=f"a=1&note={quote_plus(value)}".encode()),
    "JSON": lambda value: request("/api", kind="application/json", body=json.dumps({"a": [{"b": value}]}).encode()),
    "part": lambda value: request(
        "/save",
        kind="multipart/form-data; boundary=bound",
        body=f'--bound\r\nContent-Disposition: form-data; name="a"\r\n\r\n{value}\r\n--bound--\r\n'.encode(),
    ),
    "path": lambda value: request("/a/" + quote(value, safe="")),
}
# Where a class's values mean nothing, or are what is asked for.
ELSEWHERE = {"serialised": {"argument in base64", "path"}, "path": {"path"}}


def own() -> Iterator[Case]:
    """Cases of payloads.py, each in every place."""
    for name, values in ATTACKS.items():
        for place in sorted(PLACES.keys() - ELSEWHERE.get(name, set())):
            for value in values:
                named = f"{name} as {place}: {value[:60]!r}"
                yield Case(f"own {name}", named, attack=True, request=PLACES[place](value))
    for value in ORDINARY:
        for place in sorted(PLACES.keys() - {"path"}):
            yield Case("own ordinary", f"{place}: {value[:60]!r}", attack=False, request=PLACES[place](value))
        text = request("/beacon", kind="text/plain;charset=UTF-8", body=value.encode())
        yield Case("own ordinary", f"text: {value[:60]!r}", attack=False, request=text)
        # No cookie has lines.
        cookie = {"Cookie": f"_pref={quote(' '.join(value.split()), safe='')}; session=8f2c1d"}
        yield Case("own ordinary", f"cookie: {value[:60]!r}", attack=False, request=request("/", headers=cookie))
    for attack, queries in ((True, GRAPHQL_ATTACKS), (False, GRAPHQL_ORDINARY)):
        for query in queries:
            body = json.dumps({"query": query, "variables": {"id": "7"}}).encode()
            group = "own GraphQL" if attack else "own ordinary"
            yield Case(group, query[:60], attack, request("/graphql", kind="application/json", body=body))
            yield Case(group, query[:60], attack, request("/graphql?query=" + quote(query, safe="")))


def cases(corpus: Path) -> Iterator[Case]:
    """Every request of the lists that are there, and of our own."""
    yield from own()
    yield from nemesida(corpus / "nemesida/utils/payload")
    yield from fastly(corpus / "fastly/nuclei-templates/helpers/payloads")
    yield from libinjection(corpus / "libinjection/data")


ENCODERS: dict[str, Callable[[str], str]] = {
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "UTF-16": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "HTML-ENTITY": lambda text: "".join(f"&#x{ord(one):02x};" for one in text),
}


def nemesida(folder: Path) -> Iterator[Case]:
    """Cases of waf-bypass: each zone of a case, plain and in each encoding that the case names."""
    for path in sorted(folder.glob("*/*.json")):
        for case in json.loads(path.read_text())["payload"]:
            group = f"nemesida {path.parent.name}"
            for zone in ("URL", "ARGS", "BODY", "COOKIE", "USER-AGENT", "REFERER", "HEADER"):
                if zone not in case:
                    continue
                payload = str(case[zone]).replace("%RND%", "17")
                for encoding in ("", *(case.get("ENCODE") or "").split()):
                    if encoding and (zone in ("USER-AGENT", "REFERER") or "BOUNDARY" in case):
                        continue
                    sent = _zone(zone, payload, encoding, case, api=path.parent.name == "API")
                    name = f"{path.parent.name}/{path.name} {zone} {encoding}"
                    yield Case(f"{group} {'encoded' if encoding else 'plain'}", name, case["BLOCKED"], sent)


def _zone(zone: str, payload: str, encoding: str, case: dict[str, object], *, api: bool) -> bytes:
    is_json = api or bool(case.get("JSON"))
    if encoding:
        payload = _encoded(payload, encoding, form=zone in ("ARGS", "BODY") and not is_json)
    flat = payload.replace("\r", "%0D").replace("\n", "%0A")
    match zone:
        case "URL":
            return request("/" + quote(payload, safe=SAFE).lstrip("/"))
        case "ARGS":
            return request("/?" + quote(payload, safe=SAFE))
        case "BODY":
            kind = "application/json" if is_json else FORM
            if "BOUNDARY" in case:
                kind = f"multipart/form-data; boundary={case['BOUNDARY']}"
            return request(body=payload.encode(), kind=kind)
        case "COOKIE":
            return request(headers={"Cookie": f"WBC-17={flat}"})
        case "HEADER":
            return request(headers={"WBH-17": flat})
        case _:
            return request(headers={{"USER-AGENT": "User-Agent", "REFERER": "Referer"}[zone]: flat})


def _encoded(payload: str, encoding: str, *, form: bool) -> str:
    encode = ENCODERS[encoding]
    if not form:
        return encode(unquote_to_bytes(payload).decode(errors="replace"))
    pairs = (pair.partition("=") for pair in payload.split("&"))
    return "&".join(
        f"{name}={quote_plus(encode(unquote_to_bytes(value.replace('+', ' ')).decode(errors='replace')))}"
        if value
        else quote_plus(encode(unquote_to_bytes(name).decode(errors="replace")))
        for name, _, value in pairs
    )


def fastly(folder: Path) -> Iterator[Case]:
    """Payloads of wafefficacy, as a query's argument and as a form's."""
    for path in sorted(folder.glob("*/*.txt")):
        attack = path.stem == "true-positives"
        for number, line in enumerate(path.read_text().splitlines()):
            pair = f"p={quote_plus(line)}"
            group = "fastly attacks" if attack else "fastly ordinary"
            yield Case(group, f"{path.parent.name} {number} query", attack, request(f"/anything?{pair}"))
            yield Case(group, f"{path.parent.name} {number} form", attack, request("/anything", body=pair.encode()))


def libinjection(folder: Path) -> Iterator[Case]:
    """Lines of libinjection's lists, each URL-encoded input, as a query's argument."""
    for path in sorted(folder.glob("*.txt")):
        kind = path.stem.split("-")[0]
        if kind not in ("sqli", "xss", "false_positives"):
            continue
        lines = [line for line in path.read_bytes().splitlines() if line.strip() and not line.startswith(b"#")]
        if kind != "false_positives" and len(lines) > SAMPLE:
            lines = random.Random(1).sample(lines, SAMPLE)  # noqa: S311
        for line in lines:
            value = quote_from_bytes(unquote_to_bytes(line.replace(b"+", b" ")), safe="")
            attack = kind != "false_positives"
            group = f"libinjection {kind}" if attack else "libinjection ordinary"
            yield Case(group, f"{path.name} {line[:60]!r}", attack, request(f"/search?q={value}"))


@contextmanager
def judging(program: Path, crs: Path, profile: str) -> Iterator[Callable[[bytes], tuple[int, list[int]]]]:
    """A profile as a process that tells a request's status and the rules that spoke."""
    rules = [*sorted(map(str, (crs / "rules").glob("*.conf"))), *sorted(map(str, (crs / "rules").glob("*.data")))]
    command = [program, profile, str(crs / "setup.conf"), *rules]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(raw: bytes) -> tuple[int, list[int]]:
            process.stdin.write(struct.pack(">I", len(raw)) + raw)
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            return said["status"], said["rules"]

        yield ask
        process.stdin.close()


def measure(program: Path, rules: Path, given: list[Case], profile: str) -> list[tuple[Case, int, list[int]]]:
    """Every case with its status and the rules that spoke."""
    with judging(program, rules, profile) as ask:
        return [(case, *ask(case.request)) for case in given]


def main() -> int:
    """Print the table; return the exit status: 1 when `balanced` does not keep its promise."""
    named = _arguments()
    given = list(cases(named.corpus))
    found = {profile: measure(named.detect, named.rules, given, profile) for profile in PROFILES}
    total = Counter(case.group for case in given)
    total |= Counter("attacks in all" if case.attack else "ordinary in all" for case in given)
    print(f"{'list':34}{'requests':>9}" + "".join(f"{profile:>12}" for profile in PROFILES))
    refused = {profile: _refused(found[profile]) for profile in PROFILES}
    attacks = {case.group: case.attack for case in given} | {"attacks in all": True, "ordinary in all": False}
    for group in sorted(total, key=lambda one: (not attacks[one], one.endswith("in all"), one)):
        counts = [refused[profile][group] for profile in PROFILES]
        shown = [f"{100 * count / total[group]:.1f} %" if attacks[group] else str(count) for count in counts]
        print(f"{group:34}{total[group]:>9}" + "".join(f"{one:>12}" for one in shown))
    for case, status, rules in found["balanced"]:
        if named.missed in (case.group, "all") and (status != 200) != case.attack:
            print(case.name, status, rules, case.request[:3] == b"GET" and case.request.split(b" ")[1][:150])
    share = 100 * refused["balanced"]["attacks in all"] / (total["attacks in all"] or 1)
    return 1 if refused["balanced"]["ordinary in all"] or share < PROMISED else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What each profile stops, and what it stops wrongly.")
    built = ROOT / "defender/target/x86_64-unknown-linux-gnu/release/examples/detect"
    corpus = Path(os.environ.get("BARTIZAN_CORPUS", ROOT.parent / "shared/corpus")) / "waf"
    parser.add_argument("--detect", type=Path, default=os.environ.get("BARTIZAN_DETECT", built))
    cache = Path(os.environ.get("BARTIZAN_CACHE", ROOT / ".cache"))
    parser.add_argument("--rules", type=Path, default=cache / "rules/crs4")
    parser.add_argument("--corpus", type=Path, default=corpus)
    parser.add_argument("--missed", default="")
    named = parser.parse_args()
    for path, what in ((named.detect, "program"), (named.rules, "rules"), (named.corpus, "corpus")):
        if not Path(path).exists():
            parser.error(f"the {what} `{path}` is not there")
    return named


def _refused(found: list[tuple[Case, int, list[int]]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for case, status, _ in found:
        if status != 200:
            counted[case.group] += 1
            counted["attacks in all" if case.attack else "ordinary in all"] += 1
    return counted


if __name__ == "__main__":
    sys.exit(main())
