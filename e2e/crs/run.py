"""Runs the Core Rule Set's regression tests against the engine: `run.py JUDGE RULES TESTS [NAME…]`.

``JUDGE`` is the built example `judge`, ``RULES`` a folder with `*.conf` and `*.data`, ``TESTS`` a folder of tests. It prints
every test that does not hold and a closing line, and exits with 1 if there was one. Tests that are held to something else
than what they say are named, with the reason, in ``EXCEPTIONS``.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ftw import Answer, Stage, log_of, problem, stages  # noqa: E402 - the path is set just above

# What the tests' authors run with (their README and compose file): everything is judged, nothing refused.
BEFORE = """
SecRuleEngine DetectionOnly
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
SecDefaultAction "phase:1,log,auditlog,pass"
SecDefaultAction "phase:2,log,auditlog,pass"
SecAction "id:900000,phase:1,nolog,pass,t:none,setvar:tx.blocking_paranoia_level=4,setvar:tx.detection_paranoia_level=4"
SecAction "id:900200,phase:1,nolog,pass,t:none,setvar:tx.arg_length=400,setvar:tx.total_arg_length=6400,\
  setvar:tx.max_num_args=255,setvar:tx.arg_name_length=100,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535,\
  setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.allow_method_override_parameter=0"
SecAction "id:900990,phase:1,pass,t:none,nolog,setvar:tx.crs_setup_version=4250"
"""


# Where we do otherwise than Apache, for which the tests are written: why, and what must be seen instead. The tests' authors
# have the same two exceptions for nginx.
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


def main(judge: str, rules: str, tests: str, *names: str) -> int:
    """Run all tests, or those whose names are given; return the exit status."""
    failed = total = 0
    with engine(judge, Path(rules)) as ask:
        for stage in stages(Path(tests)):
            if names and stage.name not in names:
                continue
            total += 1
            if stage.name in EXCEPTIONS:
                stage = replace(stage, **EXCEPTIONS[stage.name][1])
            answer = ask(stage)
            if fault := problem(stage, answer):
                failed += 1
                print(f"{stage.name}: {fault}")
                if names:
                    print(stage.request.decode(errors="replace"), answer, sep="\n")
    print(f"{total - failed} passed, {failed} failed")
    return 1 if failed else 0


@contextmanager
def engine(judge: str, rules: Path) -> Iterator[object]:
    """The engine as a process that answers."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as before:
        before.write(BEFORE)
        before.flush()
        files = [before.name, *sorted(map(str, rules.glob("*.conf"))), *sorted(map(str, rules.glob("*.data")))]
        with subprocess.Popen([judge, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def ask(stage: Stage) -> Answer:
                for part in (stage.request, stage.response):
                    process.stdin.write(struct.pack(">I", len(part)) + part)
                process.stdin.flush()
                said = json.loads(process.stdout.readline())
                findings = said.get("findings", [])
                rules_said = frozenset(one["id"] for one in findings)
                return Answer(status=said["status"], rules=rules_said, log=log_of(findings), refused=said.get("refused", ""))

            yield ask
            process.stdin.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
