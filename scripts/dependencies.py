"""Checks what we depend on: licences, banned and doubled crates, where they come from, hashes in lock files.

The rules for Rust stand in ``defender/deny.toml`` in cargo-deny's format, so that cargo-deny can be run on them too;
those for Python stand below. Prints one line per breach and exits 1 if there is any.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
PYTHON_LICENCES = re.compile(
    r"apache|bsd|isc\b|mit\b|mit license|mpl-2|mozilla public|psf|python software|unlicense|zlib", re.IGNORECASE
)
# What may be built into the pages, or be used to build them.
NPM_LICENCES = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC-BY-4.0", "CC0-1.0", "ISC", "MIT",
    "MIT-0", "MPL-2.0", "OFL-1.1", "Python-2.0", "Unlicense", "Zlib",
}  # fmt: skip


def main() -> int:
    """Run every check; return the process's exit status."""
    rules = tomllib.loads((ROOT / "defender/deny.toml").read_text())
    crates = third_party_crates()
    breaches = [
        *licence_breaches(crates, allowed=set(rules["licenses"]["allow"])),
        *ban_breaches(crates, bans=rules["bans"]),
        *source_breaches(crates),
        *python_licence_breaches(),
        *lock_file_breaches(),
        *npm_breaches(json.loads((ROOT / "ui/package-lock.json").read_text())),
    ]
    for breach in breaches:
        print(f"dependencies: {breach}", file=sys.stderr)
    print(f"dependencies: {len(crates)} crates checked, {len(breaches)} breaches")
    return 1 if breaches else 0


def third_party_crates() -> list[dict[str, Any]]:
    """Return cargo's metadata of every crate of the lock file that is not ours."""
    command = [
        "cargo",
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]
    packages = json.loads(subprocess.run(command, cwd=ROOT / "defender", check=True, capture_output=True).stdout)[
        "packages"
    ]
    return [package for package in packages if package["source"] is not None]


def licence_breaches(crates: list[dict[str, Any]], *, allowed: set[str]) -> list[str]:
    """Name the crates of which no licence alternative is allowed (SPDX expressions: any of OR, each of AND)."""
    return [
        f"crate `{crate['name']}` has licence `{crate['license']}`, which deny.toml does not allow"
        for crate in crates
        if not licence_is_allowed(crate["license"] or "", allowed=allowed)
    ]


def licence_is_allowed(expression: str, *, allowed: set[str]) -> bool:
    """Judge an SPDX expression (annex D of the SPDX specification); ``/`` is the old spelling of OR."""
    tokens = re.findall(r"[()]|[^\s()]+(?: WITH [^\s()]+)?", expression.replace("/", " OR "))

    def alternatives() -> bool:
        verdict = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            verdict = conjunction() or verdict
        return verdict

    def conjunction() -> bool:
        verdict = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            verdict = term() and verdict
        return verdict

    def term() -> bool:
        token = tokens.pop(0) if tokens else ""
        if token != "(":
            return token in allowed
        verdict = alternatives()
        del tokens[:1]
        return verdict

    return alternatives()


def ban_breaches(crates: list[dict[str, Any]], *, bans: dict[str, Any]) -> list[str]:
    """Name banned crates, and crates that are there in two versions and not excused by ``skip``."""
    banned = {ban["name"]: ban["reason"] for ban in bans["deny"]}
    excused = {skip["name"] for skip in bans["skip"]}
    versions = defaultdict(set)
    for crate in crates:
        versions[crate["name"]].add(crate["version"])
    return [f"crate `{name}` is banned: {banned[name]}" for name in versions if name in banned] + [
        f"crate `{name}` is there in versions {', '.join(sorted(found))}"
        for name, found in versions.items()
        if len(found) > 1 and name not in excused
    ]


def source_breaches(crates: list[dict[str, Any]]) -> list[str]:
    """Name crates that come from anywhere but the public registry."""
    return [
        f"crate `{crate['name']}` comes from `{crate['source']}`" for crate in crates if crate["source"] != CRATES_IO
    ]


def licence_title(distribution: metadata.Distribution) -> str:
    """Return the first line of a package's licence file, for those that name no licence otherwise."""
    for name in distribution.metadata.get_all("License-File") or []:
        text = distribution.read_text(f"licenses/{name}") or distribution.read_text(name) or ""
        if text.strip():
            return text.strip().splitlines()[0][:200]
    return ""


def python_licence_breaches() -> list[str]:
    """Name installed Python packages without a licence that we accept."""
    breaches = []
    for distribution in metadata.distributions():
        facts = distribution.metadata
        said = " ".join(
            [facts.get("License-Expression") or "", (facts.get("License") or "")[:200]]
            + [value for key, value in facts.items() if key == "Classifier" and value.startswith("License")]
        )
        said = said.strip() or licence_title(distribution)
        if not PYTHON_LICENCES.search(said):
            breaches.append(f"python package `{facts['Name']}` has licence `{said or 'unknown'}`")
    return breaches


def lock_file_breaches() -> list[str]:
    """Check that every pinned Python package has a hash, and that the lock file names no index."""
    text = (ROOT / "console/requirements.lock").read_text()
    pins = re.findall(r"^([A-Za-z0-9_.\-\[\]]+)==\S+(.*?)(?=^[A-Za-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    breaches = [f"requirements.lock: `{name}` has no hash" for name, rest in pins if "--hash=sha256:" not in rest]
    if re.search(r"^\s*--(extra-)?index-url", text, re.MULTILINE):
        breaches.append("requirements.lock names an index")
    return breaches


def npm_breaches(lock: dict[str, Any]) -> list[str]:
    """Check a package-lock.json (version 3): licences, a hash for every package, and that it names no host."""
    breaches = []
    for path, facts in lock["packages"].items():
        if not path:
            continue
        name = path.rpartition("node_modules/")[2]
        if not licence_is_allowed(facts.get("license", ""), allowed=NPM_LICENCES):
            breaches.append(f"npm package `{name}` has licence `{facts.get('license', 'unknown')}`")
        if "integrity" not in facts:
            breaches.append(f"package-lock.json: `{name}` has no hash")
        if "resolved" in facts:
            breaches.append(f"package-lock.json names where `{name}` comes from: {facts['resolved']}")
    return breaches


if __name__ == "__main__":
    sys.exit(main())
