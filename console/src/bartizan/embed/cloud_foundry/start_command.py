"""A start command put under the Defender, its words untouched.

Cloud Foundry's launcher (buildpackapplifecycle, `launcher_unix.go`) goes to the app's directory, sources the scripts of
`.profile.d` and `.profile`, and ends in `exec bash -c "$COMMAND"`: a start command is a line of bash, with all that is
in it. (The launcher of an image, dockerapplifecycle, does the same with `/bin/sh`.) We cannot take such a line apart
without being a shell, so we never split it and never quote its parts anew; the original stands in the new command
character for character, in one of three forms, the plainest that keeps its meaning:

* one simple command, plain words and variables: `exec ./defender app-embedded LINE`. The launcher's own bash expands
  the words, as it did before, and no shell is left behind: a rule may deny all shells. This is the vendor's form.
* anything else: `exec ./defender app-embedded bash -c 'LINE'`, where single quotes keep every character (bash manual,
  "Single Quotes"). The second bash is what the launcher's `bash -c` was before.
* what holds a single quote, or a `((variable))` of cf, whose value may hold anything at the next push: the line in a
  here-document with a quoted delimiter, which keeps every character too (bash manual, "Here Documents"), read into a
  variable.

Where a firewall stands before a web process, `export` in front tells the Defender its port and the app another: the
words of the line, and the scripts it starts, then see that one in `$PORT`, which a manifest may not set.

`exec` leaves the Defender in the place of the launcher's shell, so signals of the platform reach it, and it hands them
on. Lines that ask the shell about itself (`$$`, `$PPID`) are no simple commands: the shell they mean must be there.
"""

import re
from dataclasses import dataclass
from typing import Literal

from bartizan.embed.cloud_foundry.variables import references
from bartizan.embed.errors import EmbedError
from bartizan.embed.waas_ports import VARIABLE, WaasPort, read_waas_ports

Shell = Literal["bash", "/bin/sh"]
DEFENDER = "./defender"
"""The Defender beside the app, from the directory that the launcher goes to."""

_MODE = "app-embedded"
_STORE = "BARTIZAN_COMMAND"
_DELIMITER = "BARTIZAN"

_VARIABLE = r"\$(?:(?!PPID\b|BASHPID\b)[A-Za-z_]\w*|\{(?!PPID\b|BASHPID\b)[A-Za-z_]\w*(?::?-[A-Za-z0-9_./:]*)?\})"
_PART = rf"""(?:[A-Za-z0-9_./:=@%+,^~*?\[\]{{}}-]|'[^'\n]*'|"(?:[^"$`\\!\n]|{_VARIABLE})*"|{_VARIABLE})"""
_PROGRAM = rf"(?P<program>(?:{_VARIABLE}/)?[A-Za-z0-9_./+@-]+)"
_SIMPLE = re.compile(rf"[ \t]*{_PROGRAM}(?:[ \t]+{_PART}+)*[ \t]*", re.ASCII)
# What bash does itself when it is the first word (bash manual, "Reserved Words", "Shell Builtin Commands").
_RESERVED = """
    . : [ alias bg bind break builtin caller case cd command compgen complete compopt continue coproc declare dirs
    disown do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts hash help
    history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return select set
    shift shopt source suspend test then time times trap true type typeset ulimit umask unalias unset until wait
    while"""
_SHELL_WORDS = frozenset(_RESERVED.split())


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command that runs `line` under the Defender at `program`."""

    line: str
    program: str
    shell: Shell | None
    """what stands between the two, None for nothing"""
    port: WaasPort | None = None
    """where the firewall before it listens, and where it does itself"""


def wrap(line: str, *, program: str = DEFENDER, shell: Shell = "bash", port: WaasPort | None = None) -> str:
    """Return the command that runs the shell line `line` under the Defender, `port` with a firewall before it."""
    if port is not None:
        exported = f"export {VARIABLE}={port} PORT={port.app} VCAP_APP_PORT={port.app}; "
        return exported + wrap(line, program=program, shell=shell)
    prefix = f"exec {program} {_MODE} "
    if references(line) or ("'" in line and not is_simple(line)):
        return _stored(line, prefix, shell)
    return prefix + line if is_simple(line) else f"{prefix}{shell} -c '{line}'"


def _stored(line: str, prefix: str, shell: Shell) -> str:
    end = _DELIMITER
    while end in line:
        end += "_"
    if shell == "bash":
        opening, closing = f"IFS= read -r -d '' {_STORE} <<'{end}'\n", f"\n{end}\n"
    else:
        opening, closing = f"{_STORE}=$(cat <<'{end}'\n", f"\n{end}\n)\n"
    return f'{opening}{line}{closing}{prefix}{shell} -c "${_STORE}"'


def runs_shell(command: str) -> bool:
    """Return whether a command that `wrap` made leaves a shell between the Defender and the program."""
    found = unwrap(command)
    return found is not None and found.shell is not None


def is_simple(line: str) -> bool:
    """Return whether bash would start one program with these words, and do nothing else.

    A line that gives a script to a shell of its own looks like our second form, and is none so that it can be told
    from it.
    """
    match = _SIMPLE.fullmatch(line)
    return match is not None and match["program"] not in _SHELL_WORDS and not _SCRIPT.match(line)


_EXPORTED = re.compile(rf"export {VARIABLE}=(?P<port>\d+:\d+) PORT=\d+ VCAP_APP_PORT=\d+; ").match
_SCRIPT = re.compile(r"[ \t]*(?:bash|/bin/sh)[ \t]+-c\b")
_DIRECT = re.compile(rf"exec (?P<program>\S+) {_MODE} (?P<line>.*)(?P<shell>)", re.DOTALL)
_QUOTED = re.compile(rf"exec (?P<program>\S+) {_MODE} (?P<shell>bash|/bin/sh) -c '(?P<line>[^']*)'", re.DOTALL)
_STORED = re.compile(
    rf"(?:IFS= read -r -d '' {_STORE} |{_STORE}=\$\(cat )<<'(?P<end>\w+)'\n(?P<line>.*)\n(?P=end)\n(?:\)\n)?"
    rf"exec (?P<program>\S+) {_MODE} (?P<shell>bash|/bin/sh) -c \"\${_STORE}\"",
    re.DOTALL,
)
# As the vendor's page, and our own for doing it by hand, tell people to write it.
_BY_HAND = re.compile(r"(?:exec[ \t]+)?(?P<program>(?:\S*/)?defender)[ \t]+app-embedded[ \t]+(?P<line>\S.*)", re.DOTALL)


def unwrap(command: str) -> Wrapped | None:
    """Return what `wrap` was given, None for a command that it did not make."""
    exported = _EXPORTED(command)
    port = None
    if exported is not None:
        try:
            (port,) = read_waas_ports((exported["port"],))
        except EmbedError:
            return None
    for form in (_STORED, _QUOTED, _DIRECT):
        match = form.fullmatch(command, exported.end() if exported is not None else 0)
        if match is None:
            continue
        shell: Shell = "/bin/sh" if match["shell"] == "/bin/sh" else "bash"
        if wrap(match["line"], program=match["program"], shell=shell, port=port) == command:
            return Wrapped(match["line"], match["program"], shell if match["shell"] else None, port)
    return None


def unwrap_by_hand(command: str) -> Wrapped | None:
    """Return what people put under a Defender by hand, as the vendor's page tells them to; None for other commands."""
    match = _BY_HAND.fullmatch(command)
    return Wrapped(match["line"], match["program"], None) if match else None
