"""A release of the OWASP Core Rule Set: what of its files is taken, and what can be told of it without the engine."""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from bartizan.policy.reading import PolicyError

LARGEST_ARCHIVE = 8 << 20
"""How large an archive may be, in bytes."""
LARGEST_FILES = 32 << 20
"""How large its files may be together, in bytes."""
LARGEST_CONTENT = 8 << 20
"""How large a set may be as it travels to Defenders, in bytes."""
_MOST_ENTRIES = 5000
_MOST_PROBLEMS = 50
# What a release has beside its rules.
_LEFT_OUT = frozenset(("plugins", "tests", "docs", "util", "regex-assembly", ".github", "__MACOSX"))
_SETUP = ("crs-setup.conf.example", "crs-setup.conf", "@crs-setup.conf.example", "setup.conf")
_VERSION = re.compile(
    r'^[ \t]*SecComponentSignature[ \t]+"?OWASP_CRS/([34]\.[0-9]{1,3}\.[0-9]{1,3}[A-Za-z0-9.-]{0,20})"?', re.MULTILINE
)
_RULE = re.compile(r"^[ \t]*SecRule[ \t]", re.MULTILINE)
_ID = re.compile(r"[\"',\s]id:'?([0-9]{1,9})")
_WORDS = re.compile(r"@(?:pmf|pmFromFile|ipMatchFromFile|ipMatchF)[ \t]+([^\"'\s]+)")
# What a set of rules has no business with: other files, other machines, programs.
_FOREIGN = re.compile(r"^[ \t]*(Include(?:Optional)?|SecRemoteRules|Sec(?:Gsb|Geo)LookupDb)[ \t]", re.MULTILINE)
_EXEC = re.compile(r"[\"',\s](?:exec:|log_?file)|@inspectFile\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A set of rules; `content` is the JSON `{"files":{name:text},"version":…}` and `hash` its hex SHA-256."""

    version: str
    files: int
    content: bytes
    hash: str


def read_ruleset(archive: bytes) -> Ruleset:
    """Return the rules of a zip archive of a release. Raises PolicyError with every problem found."""
    if len(archive) > LARGEST_ARCHIVE:
        raise PolicyError([f"the archive has {len(archive)} bytes, at most {LARGEST_ARCHIVE} are possible"])
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            files = _files(_entries(opened))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError, zlib.error) as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(["this is no zip archive that can be read"]) from None
    return _checked(files)


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of files by their paths; the same files give the same archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name in sorted(files):
            made.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return target.getvalue()


def is_taken(path: str) -> bool:
    """Return whether a file of a release is a part of its rules, by its path."""
    *folders, name = path.split("/")
    if _LEFT_OUT.intersection(folders):
        return False
    return name in _SETUP or name == "LICENSE" or name.endswith((".conf", ".data"))


def _entries(opened: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of what is taken, never more than is allowed, whatever the archive says of itself."""
    left = LARGEST_FILES
    infos = opened.infolist()
    if len(infos) > _MOST_ENTRIES:
        raise PolicyError([f"the archive has {len(infos)} files, at most {_MOST_ENTRIES} are possible"])
    for info in infos:
        if info.is_dir() or not is_taken(info.filename):
            continue
        with opened.open(info) as file:
            content = file.read(left + 1)
        left -= len(content)
        if left < 0:
            raise PolicyError([f"the files are larger than {LARGEST_FILES} bytes together"])
        yield info.filename, content


def _files(entries: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    problems: list[str] = []
    for path, content in entries:
        name = path.rpartition("/")[2]
        kept = "crs-setup.conf" if name in _SETUP else name
        if kept in found:
            problems.append(f"`{path[:200]}`: there are two files `{kept}`")
        try:
            found[kept] = content.decode()
        except UnicodeDecodeError as error:
            problems.append(f"`{path[:200]}`: it is not UTF-8: byte {error.start}")
    if problems:
        raise PolicyError(problems)
    return found


def _checked(files: dict[str, str]) -> Ruleset:
    rules = {name: _without_comments(text) for name, text in files.items() if name.endswith(".conf")}
    versions = sorted({found[1] for text in rules.values() for found in _VERSION.finditer(text)})
    problems: list[str] = []
    if "crs-setup.conf" not in files:
        problems.append("`crs-setup.conf.example` is missing, with what the rules need to be set")
    if len(versions) != 1:
        what = f"it has the versions {', '.join(versions)}" if versions else "no file has its `SecComponentSignature`"
        problems.append(f"this is no release of the OWASP Core Rule Set 3 or 4: {what}")
    if not any(_RULE.search(text) for text in rules.values()):
        problems.append("there is no `SecRule` in it")
    problems.extend(_misfits(rules, files))
    if problems:
        raise PolicyError(problems[:_MOST_PROBLEMS])
    content = msgspec.json.encode({"files": dict(sorted(files.items())), "version": versions[0]})
    if len(content) > LARGEST_CONTENT:
        raise PolicyError([f"its files have {len(content)} bytes together, at most {LARGEST_CONTENT} are possible"])
    return Ruleset(versions[0], len(files), content, hashlib.sha256(content).hexdigest())


def _misfits(rules: Mapping[str, str], files: Mapping[str, str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name, text in rules.items():
        for found in _FOREIGN.finditer(text):
            yield f"`{name}`: line {_line(text, found)}: `{found[1]}` leads out of the set of rules"
        for found in _EXEC.finditer(text):
            yield f"`{name}`: line {_line(text, found)}: rules run no programs and write no files"
        for found in _WORDS.finditer(text):
            if found[1] not in files:
                yield f"`{name}`: line {_line(text, found)}: the file `{found[1][:200]}` is missing"
        for found in _ID.finditer(text):
            if seen.setdefault(found[1], name) != name:
                yield f"`{name}`: line {_line(text, found)}: the rule {found[1]} is in `{seen[found[1]]}` too"


def _without_comments(text: str) -> str:
    return "\n".join("" if line.lstrip().startswith("#") else line for line in text.split("\n"))


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
