"""Runs a rule set's regression tests in the engine alone: `run.py [--rules FOLDER] [--both] [NAME…]`.

``FOLDER`` is a release of the Core Rule Set as it is unpacked, else the one that scripts/rules.sh fetched;
``PROGRAM`` (`--judge`) is the built example `judge`, else it is built. With `--both` each request is judged the plain
way too. It prints every test that does not hold and a closing line, and exits with 1 if there was one. Tests that are
held to something else than what they say are named, with the reason, in ``EXCEPTIONS``. With the proxy around the
engine: `wire.py`.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from built import built
from ftw import Answer, Stage, log_of, problem, stages
from release import Release, fetched

# What goes before the rules in any case: which body is read how (ModSecurity's recommended configuration).
BODIES = """
SecRequestBodyAccess On
SecRequestBodyJsonDepthLimit 64
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\\+|/)|text/)xml" \
  "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" \
  "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "^application/[a-z0-9.-]+[+]json" \
  "id:200006,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'Failed to parse request body'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,log,deny,status:400,msg:'Multipart is not strict'"
"""

# What the tests' authors run with (their README and compose file): everything is judged, nothing refused.
TESTED = """
SecRuleEngine DetectionOnly
SecDefaultAction "phase:1,log,auditlog,pass"
SecDefaultAction "phase:2,log,auditlog,pass"
SecAction "id:900000,phase:1,nolog,pass,t:none,setvar:tx.blocking_paranoia_level=4,setvar:tx.detection_paranoia_level=4"
SecAction "id:900200,phase:1,nolog,pass,t:none,setvar:tx.arg_length=400,setvar:tx.total_arg_length=6400,\
  setvar:tx.max_num_args=255,setvar:tx.arg_name_length=100,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535,\
  setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.allow_method_override_parameter=0"
SecAction "id:900990,phase:1,pass,t:none,nolog,setvar:tx.crs_setup_version=4250"
"""

# Where we do otherwise than Apache, for which the tests are written: why, and what must be seen instead. The tests'
# authors have the same two exceptions for nginx.
EXCEPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "920181-1": (
        "content length and transfer coding together are how requests are smuggled: refused (RFC 9112, section 6.1)",
        {"status": 400},
    ),
    "920620-1": (
        "Apache joins two content types into one field, we show both to the rules, and the rule for that speaks",
        {"status": None, "expect": frozenset({920620}), "refuse": frozenset()},
    ),
}


Ask = Callable[[bytes, bytes], Answer]


def main() -> int:
    """Run all tests, or those whose names are given; return the exit status."""
    parser = argparse.ArgumentParser(description="A rule set's regression tests in the engine alone.")
    parser.add_argument("--rules", type=Path, default=fetched(), help="the rule set's folder")
    parser.add_argument("--judge", type=Path, help="the built example `judge`")
    parser.add_argument("--both", action="store_true", help="judge the plain way, too")
    parser.add_argument("names", nargs="*", help="tests such as 920100-4")
    named = parser.parse_args()
    failed = total = 0
    judge = named.judge or built("judge")
    for stage, answer, fault in outcomes(judge, Release.at(named.rules), named.names, both=named.both):
        total += 1
        if fault:
            failed += 1
            print(f"{stage.name}: {fault}")
            if named.names:
                print(stage.request.decode(errors="replace"), answer, sep="\n")
    print(f"{total - failed} passed, {failed} failed")
    return 1 if failed else 0


def outcomes(
    judge: Path, release: Release, names: Collection[str] = (), *, both: bool = False, step: int = 1
) -> Iterator[tuple[Stage, Answer, str | None]]:
    """Every stage (every `step`th), or those whose names are given, with the engine's answer and what is wrong with it.

    With `both` the engine judges each the plain way too, and it is wrong when the two differ.
    """
    with engine(judge, release, BODIES + TESTED, both=both) as ask:
        for number, given in enumerate(stages(release.tests)):
            if (names and given.name not in names) or number % step:
                continue
            stage = replace(given, **EXCEPTIONS[given.name][1]) if given.name in EXCEPTIONS else given
            answer = ask(stage.request, stage.response)
            yield stage, answer, "the prefilter changes what is found" if answer.differs else problem(stage, answer)


@contextmanager
def engine(judge: Path, release: Release, before: str, *, both: bool = False) -> Iterator[Ask]:
    """The engine as a process that answers; `before` is SecLang that goes before the release's rules."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as configuration:
        configuration.write(before)
        configuration.flush()
        files = [configuration.name, *map(str, release.files())]
        options = ["--both"] if both else []
        with subprocess.Popen([judge, *options, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def ask(request: bytes, response: bytes) -> Answer:
                for part in (request, response):
                    process.stdin.write(struct.pack(">I", len(part)) + part)
                process.stdin.flush()
                said = json.loads(process.stdout.readline())
                findings = said.get("findings", [])
                rules_said = frozenset(one["id"] for one in findings)
                return Answer(
                    said["status"], rules_said, log_of(findings), said.get("refused", ""), said.get("differs", False)
                )

            yield ask
            process.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
