"""What to mind about a Dockerfile that is protected: sentences for its report."""

import posixpath
import re
from collections.abc import Iterator

from bartizan.embed.dockerfile import block, exposure, shell_words
from bartizan.embed.dockerfile.lexer import Instruction
from bartizan.embed.dockerfile.model import command_line, json_strings, pairs
from bartizan.embed.dockerfile.scope import BY_BUILDER, SCRATCH
from bartizan.embed.dockerfile.shell_words import SubstitutionError
from bartizan.embed.dockerfile.transform import Plan, is_wrapped
from bartizan.embed.launch import ImageConfig

# sudo(8) and doas(1) are installed setuid by their packages.
_GAINS_RIGHTS = re.compile(
    r"\bsetcap\s+\S+|\bchmod\s+(?:-\S+\s+)*(?:[ugoa]*\+[rwxX]*s|[2467][0-7]{3})\b\S*"
    r"|\b(?:apt-get|apt|apk|dnf|microdnf|yum)\b[^&|;]*\s(?:sudo|doas)\b"
).search
_ROOT = ("", "0", "root")
_WANT_PID_1 = ("/init", "/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd")


def warnings(plan: Plan, image: ImageConfig | None) -> Iterator[str]:
    """Yield what to mind about the protected stage, each a sentence without a full stop."""
    yield "the install bundle can be read by all who may read this file or the image: keep both private"
    yield from _start(plan, image)
    yield from exposure.warnings(plan.file, plan.line, plan.start.user, plan.settings.ports)
    yield from _rights(plan)
    yield from _folder(plan)
    yield from _shell_forms(plan)
    yield from _volumes(plan, image)
    yield from _variables(plan)
    yield from _other_stages(plan)
    yield from _platform(plan)


def _start(plan: Plan, image: ImageConfig | None) -> Iterator[str]:
    first = plan.arguments[0]
    if plan.start.entrypoint.assumes_shell or (plan.start.cmd_is_lost and plan.start.cmd.assumes_shell):
        yield f"the image `{plan.line.base}` was not looked at: its `SHELL` is taken to be `/bin/sh -c`"
    if image is not None and is_wrapped(image.entrypoint):
        yield f"the image `{plan.line.base}` starts a Defender already: that one is left out of the new entrypoint"
    if first in _WANT_PID_1:
        yield f"it starts `{first}`: if that is s6-overlay or systemd, it insists on being PID 1"
    if "" in plan.arguments:
        yield "an argument of the program is empty: Docker passes it on, or resets the entrypoint by it"
    user = plan.start.user
    if user is None:
        yield f"no `USER` is set: the program runs as the image `{plan.line.base}` says, mostly root"
    elif user.partition(":")[0].strip() in _ROOT:
        yield "the program runs as root: set a `USER`"


def _rights(plan: Plan) -> Iterator[str]:
    """Look for programs made to gain rights when they are started, which `no_new_privs` forbids (prctl(2))."""
    if plan.settings.compat:
        return
    for stage in plan.line.stages:
        for item in stage.every("RUN"):
            if found := _GAINS_RIGHTS(item.line):
                line = plan.file.source.where(item.start).line
                what = (
                    f"line {line}: `{found[0].strip()}` makes programs gain rights, and under the Defender they do not"
                )
                yield f"{what}: if the application needs one, choose the compat tier"


def _folder(plan: Plan) -> Iterator[str]:
    folder = plan.settings.data_folder
    top = folder.split("/")[1]
    if top in ("run", "tmp"):
        yield f"some platforms mount an empty `/{top}` at start, and the Defender in `{folder}` is gone then"
    if top == "root" and (plan.start.user or "").partition(":")[0].strip() not in _ROOT:
        yield f"`/root` is closed to other users in most images: `{plan.start.user}` may not reach `{folder}`"


def _shell_forms(plan: Plan) -> Iterator[str]:
    source = plan.file.source
    for item in (plan.start.entrypoint.by, plan.start.cmd.by):
        if item is None or not item.arguments.startswith("[") or command_line(source, item).argv is not None:
            continue
        fault = "has single quotes" if "'" in item.arguments else "is no JSON"
        line = source.where(item.start).line
        yield f"line {line}: the array of `{item.keyword}` {fault}, so Docker gives all of it to a shell"


def _volumes(plan: Plan, image: ImageConfig | None) -> Iterator[str]:
    """Look for volumes that hide the data folder where the runtime puts an empty folder in their place."""
    found = [(path, f"the image `{plan.line.base}`") for path in (image.volumes if image is not None else ())]
    for stage in plan.line.stages:
        for item in stage.every("VOLUME"):
            place = f"line {plan.file.source.where(item.start).line}"
            found += [(path, place) for path in _paths(plan, item)]
    for path, place in found:
        folder = posixpath.normpath(path)
        if f"{plan.settings.data_folder}".startswith(folder.rstrip("/") + "/"):
            yield f"{place} makes `{path}` a volume: where it starts empty the Defender in it is gone, so move one"


def _paths(plan: Plan, item: Instruction) -> list[str]:
    try:
        words = json_strings(item.arguments)
    except TypeError:
        return []
    paths = []
    for word in words if words is not None else item.arguments.split():
        try:
            paths.append(shell_words.expand(word, {}, escape=plan.file.source.escape))
        except SubstitutionError:
            continue
    return paths


def _variables(plan: Plan) -> Iterator[str]:
    escape = plan.file.source.escape
    own = {name for stage in plan.line.stages for item in stage.every("ENV") for name, _ in pairs(item, escape)}
    for name in sorted(own.intersection(block.VARIABLES)):
        yield f"the file sets `{name}` itself: the Defender's value takes its place, and the program does not see it"
    own |= {name for item in plan.line.stage.every("ARG") for name, value in pairs(item, escape) if value is not None}
    if plan.platform.variable in own:
        yield f"the file sets `{plan.platform.variable}` itself: that value decides which Defender is put in"


def _other_stages(plan: Plan) -> Iterator[str]:
    stage = plan.line.stage
    for item in stage.every("ONBUILD"):
        words = item.arguments.split(maxsplit=1)
        if words and words[0].upper() in ("ENTRYPOINT", "CMD"):
            keyword = words[0].upper()
            yield f"`ONBUILD {keyword}` replaces what images built from this one start: protect those as well"
    for later in plan.file.stages[stage.index + 1 :]:
        if stage.name is not None and later.base.lower() == stage.name:
            yield f"stage {later.label} is built from {stage.label} and starts under the Defender unless it says other"


def _platform(plan: Plan) -> Iterator[str]:
    used = sorted(plan.line.depends_on & BY_BUILDER)
    if used and plan.line.base != SCRATCH and any(name in plan.line.stage.base for name in used):
        yield f"the base depends on `{used[0]}`: what it starts was read for `{plan.platform.architectures[0]}`"
    written = plan.line.stages[0].platform or ""
    if "$" in written and plan.platform.variable is None and plan.settings.architecture is None:
        yield f"`--platform={written}` was read as `{plan.line.platform}`: protect again for another one"
