"""Runs every way in over real-world definitions and writes what came of it to docs/corpus.md; `--check` only compares.

The corpus is a folder with `taskdefs`, `cfn`, `protected`, `dockerfiles` and `cf-manifests` in it: the argument, else
`BARTIZAN_CORPUS`, else `shared/corpus` beside the repository. Exit status 1: something crashed, a refusal has no
place or no known reason, a promise was not held, or (with `--check`) the table in the repository says something else.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "console/src"), str(ROOT / "console"), str(ROOT / "scripts")]

from bartizan.embed import EmbedError  # noqa: E402 - the path is set just above
from corpus_formats import FORMATS, Format, LookUps, Made, Outside, reason  # noqa: E402

TABLE = ROOT / "docs/corpus.md"
TIMES = "## Speed"
ROUNDS = 3


@dataclass(slots=True)
class Tally:
    """What came of the files of one format, with or without look-ups."""

    files: Counter[str] = field(default_factory=Counter)
    definitions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    made: dict[Path, tuple[str, Made]] = field(default_factory=dict)
    """what was protected, by file: the text given and the result"""


@dataclass(slots=True)
class Findings:
    """What was found for one format."""

    format: Format
    offline: Tally
    looked_up: Tally
    held: dict[str, int] = field(default_factory=dict)
    """of the files protected, how many keep each promise"""


def main() -> int:
    """Run over the corpus; return the process's exit status."""
    arguments = _arguments()
    found = [_run(way, arguments.corpus) for way in FORMATS]
    faults = [fault for each in found for tally in (each.offline, each.looked_up) for fault in tally.faults]
    for each in found:
        faults += list(_check_promises(each))
    faults += _lint(next(each for each in found if each.format.outside is Outside.CFN_LINT))
    text = _rendered(found)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if not sum(each.looked_up.files.total() for each in found):
        sys.stderr.write(f"`{arguments.corpus}` holds no definitions: name a corpus, or set BARTIZAN_CORPUS\n")
        return 1
    if arguments.check:
        written = arguments.output.read_text("utf-8") if arguments.output.exists() else ""
        if _without_times(written) != _without_times(text):
            sys.stderr.write(f"`{arguments.output}` says something else: run `make corpus`\n")
            return 1
    else:
        arguments.output.write_text(text, "utf-8")
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    given = os.environ.get("BARTIZAN_CORPUS")
    near = Path(given) if given else ROOT.parent / "shared/corpus"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the table that is there")
    parser.add_argument("--output", type=Path, default=TABLE, help="where the table is")
    parser.add_argument("corpus", type=Path, nargs="?", default=near)
    return parser.parse_args()


def _run(way: Format, corpus: Path) -> Findings:
    files = [path for path in sorted((corpus / way.folder).rglob("*")) if way.takes(path)]
    return Findings(way, _tally(way, files, LookUps.NONE), _tally(way, files, LookUps.ANSWERED))


def _tally(way: Format, files: Iterable[Path], looking: LookUps) -> Tally:
    tally = Tally()
    for path in files:
        text = path.read_bytes().decode()
        try:
            made = way.protect(text, looking)
        except EmbedError as error:
            why = reason(error.message)
            tally.files["refused"] += 1
            tally.definitions["refused"] += way.count(text)
            tally.reasons[why or "for another reason"] += 1
            if why is None or error.where is None:
                tally.faults.append(f"{path.name}: refused without a place or a known reason: {error}")
        except Exception:  # noqa: BLE001 - that it cannot happen is what is shown
            tally.files["crashed"] += 1
            tally.faults.append(f"{path.name}: {traceback.format_exc(limit=-3)}")
        else:
            tally.files["unchanged" if made.text == text else "protected"] += 1
            tally.definitions["protected"] += made.definitions - made.left_alone
            tally.definitions["left alone"] += made.left_alone
            tally.made[path] = (text, made)
    return tally


def _check_promises(found: Findings) -> Iterator[str]:
    """Count for how many protected files each promise holds; yield those for which one does not."""
    for name, holds in found.format.promises.items():
        found.held[name] = 0
        for path, (text, made) in found.looked_up.made.items():
            try:
                kept = holds(text, made)
            except EmbedError as error:
                kept = False
                yield f"{path.name}: {error}"
            found.held[name] += kept
            if not kept:
                yield f"{path.name}: not held: {name}"


def _lint(found: Findings) -> list[str]:
    """Compare what cfn-lint finds in templates with what it finds in their protected forms; return what is new."""
    from tests.embed.cfn_lint import cfn_lint_findings  # noqa: PLC0415 - only the templates need it

    name = "cfn-lint finds nothing that it did not find in the input"
    pairs = [(path, text, made.text) for path, (text, made) in found.looked_up.made.items()]
    with ProcessPoolExecutor() as pool:
        before = pool.map(cfn_lint_findings, [text for _, text, _ in pairs])
        after = pool.map(cfn_lint_findings, [text for _, _, text in pairs])
        new = [found_after - found_before for found_before, found_after in zip(before, after, strict=True)]
    found.held[name] = sum(not more for more in new)
    return [f"{path.name}: cfn-lint: {sorted(more)}" for (path, _, _), more in zip(pairs, new, strict=True) if more]


def _without_times(text: str) -> str:
    return text.partition(TIMES)[0]


_PAGE = """# What comes of real definitions

{total} files that nobody here wrote, from public repositories, through every way in; `make corpus` writes this page.
Each is run once with nothing known about images and Procfiles (*offline*), and once with every look-up answered by a
stand-in (*looked up*): the entrypoint and command of nginx's image, and a Procfile of two lines. A file that is
refused gets one sentence with a place in it, and nothing is written.

## Outcomes

{outcomes}

The first columns count files, the last four definitions: tasks, Dockerfiles, apps. A file is protected when one of its
definitions is; those with nothing to protect, as a task on Windows, are left alone and named in the report. Files that
cannot be read at all count no definitions.

## Refusals by reason

{reasons}

## Promises kept

Of the files protected with look-ups, those for which the promise was seen to hold:

{promises}

{times}

One process, one core, everything known about images, CPU time of `protect` alone, best of {rounds}:

{speed}
"""


def _rendered(found: list[Findings]) -> str:
    return _PAGE.format(
        total=sum(each.looked_up.files.total() for each in found),
        outcomes="\n".join(_outcomes(found)),
        reasons="\n".join(_reasons(found)),
        promises="\n".join(_promises(found)),
        times=TIMES,
        rounds=ROUNDS,
        speed="\n".join(_speed(found)),
    )


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _head(first: str, columns: Iterable[str]) -> list[str]:
    names = list(columns)
    return [_row([first, *names]), _row(["---", *("---:" for _ in names)])]


def _outcomes(found: list[Findings]) -> Iterator[str]:
    columns = [
        "files",
        "protected",
        "refused",
        "unchanged",
        "crashed",
        "definitions",
        "protected",
        "refused",
        "left alone",
    ]
    yield from _head("", columns)
    for each in found:
        for how, tally in (("offline", each.offline), ("looked up", each.looked_up)):
            files = [tally.files[state] for state in ("protected", "refused", "unchanged", "crashed")]
            parts = [tally.definitions[state] for state in ("protected", "refused", "left alone")]
            yield _row([f"{each.format.name}, {how}", tally.files.total(), *files, sum(parts), *parts])


def _reasons(found: list[Findings]) -> Iterator[str]:
    """Yield the rows of a table whose cells are `files offline / files looked up`."""
    yield from _head("offline / looked up", [each.format.name for each in found])
    tallies = [(each.offline.reasons, each.looked_up.reasons) for each in found]
    for name in sorted({name for pair in tallies for reasons in pair for name in reasons}):
        cells = [f"{offline[name]} / {known[name]}" for offline, known in tallies]
        yield _row([name, *("" if cell == "0 / 0" else cell for cell in cells)])


def _promises(found: list[Findings]) -> Iterator[str]:
    yield from ["| | promise | held |", "|---|---|---:|"]
    for each in found:
        total = len(each.looked_up.made)
        for name, held in each.held.items():
            yield _row([each.format.name, name, f"{held} of {total}"])


def _speed(found: list[Findings]) -> Iterator[str]:
    yield from _head("", ["files", "definitions", "seconds", "definitions a second"])
    for each in found:
        works = [each.format.prepared(text) for text, _ in each.looked_up.made.values()]
        seconds = min(_cpu_s(works) for _ in range(ROUNDS))
        definitions = sum(made.definitions for _, made in each.looked_up.made.values())
        if works:
            yield _row([each.format.name, len(works), definitions, f"{seconds:.2f}", f"{definitions / seconds:.0f}"])


def _cpu_s(works: list[Callable[[], object]]) -> float:
    start = time.process_time_ns()
    for work in works:
        work()
    return (time.process_time_ns() - start) / 1e9


if __name__ == "__main__":
    sys.exit(main())
