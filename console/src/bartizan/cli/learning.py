"""`bartizan profiles`, `bartizan policy suggest`, `bartizan policy learned` and `bartizan policy promote`."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bartizan.cli.connection import Connection, connects
from bartizan.cli.failure import Failure
from bartizan.cli.files import write_text
from bartizan.cli.terminal import Json, aligned, counted, local, say, say_rest, shown, write_json, write_table

_PROFILES = "profiles/app-embedded"
_LEARNED = "policies/runtime/app-embedded/learned"


@connects
def profiles(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List what was learned of workloads, the latest first."""
    found, total = connection.client().page(_PROFILES, query={"limit": "250"})
    if raw:
        write_json(found)
        return
    rows = [
        (item["_id"], local(item["startTime"]), local(item["lastTime"]), _whose(item), _seen(item)) for item in found
    ]
    nothing = "nothing was learned yet: Defenders tell once a minute what they saw"
    write_table(("ID", "SINCE", "LAST", "WORKLOAD", "SEEN"), rows, nothing=nothing)
    say_rest(len(found), total, "profile")


@connects
def suggest(  # noqa: PLR0913, PLR0917 - the options of the command
    connection: Connection,
    image: Annotated[str, typer.Option(help="The image as the task definition names it.")] = "",
    container: Annotated[str, typer.Option(help="The container, if the image has several.")] = "",
    app_id: Annotated[str, typer.Option("--app-id", help="The application, for a Defender in its own image.")] = "",
    adopt: Annotated[bool, typer.Option("--adopt", help="Put the rule into the policy.")] = False,  # noqa: FBT002
    stage: Annotated[str, typer.Option(help="With --adopt: begin with discover or alert.")] = "alert",
    quiet_days: Annotated[
        int, typer.Option(help="With --adopt: go on to the next stage after so many quiet days; 0 is never.", min=0)
    ] = 0,
    output_file: Annotated[str, typer.Option(help="Where the rule goes; - is standard output.")] = "-",
    raw: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="The rule with its evidence, as JSON, instead of the rule alone.")
    ] = False,
) -> None:
    """Make a rule of what a workload was seen to do; the evidence for each line goes to standard error."""
    client = connection.client()
    query = {name: text for name, text in (("image", image), ("container", container), ("appID", app_id)) if text}
    if not query:
        raise Failure("name the workload by --image (and --container), or by --app-id")
    found = client.call("GET", _PROFILES, query=query)
    if not found:
        raise Failure("nothing was learned of this workload; `bartizan profiles` lists what was")
    if len(found) > 1:
        names = ", ".join(f"`{shown(_whose(profile))}`" for profile in found)
        raise Failure(f"several are meant: {names}; name the --container")
    number = found[0]["_id"]
    suggestion = client.call("GET", f"{_PROFILES}/{number}/suggestion")
    if raw:
        write_text(output_file, json.dumps(suggestion, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write("".join(f"{line}\n" for line in evidence(suggestion)))
    if not adopt:
        if not raw:
            write_text(output_file, json.dumps(suggestion["rule"], indent=2, ensure_ascii=False) + "\n")
            say("--adopt puts this rule into the policy, in alert: nothing is stopped until `bartizan policy promote`")
        return
    body = {"stage": stage, **({"quietDays": quiet_days} if quiet_days else {})}
    learned = client.call("POST", f"{_PROFILES}/{number}/rule", body=body)
    sys.stdout.write(f"the rule `{shown(learned['rule'])}` is in force, in {learned['stage']}\n")


@connects
def learned(connection: Connection, raw: Json = False) -> None:  # noqa: FBT002
    """List the learned rules with their stages."""
    found = connection.client().call("GET", _LEARNED)
    if raw:
        write_json(found)
        return
    rows = [
        (
            item["stage"],
            local(item["since"]),
            f"after {counted(item['quietDays'], 'quiet day')}" if item["quietDays"] else "by hand",
            item["rule"],
        )
        for item in found
    ]
    write_table(("STAGE", "SINCE", "GOES ON", "RULE"), rows, nothing="no rule of the policy was learned")


@connects
def promote(
    connection: Connection,
    rule: Annotated[str, typer.Argument(help="The rule's name.")],
) -> None:
    """Take a learned rule to its next stage: discover, alert, prevent."""
    client = connection.client()
    item = client.call("POST", f"{_LEARNED}/promote", body={"rule": rule})
    sys.stdout.write(f"the rule `{shown(item['rule'])}` is in {item['stage']} now\n")


def evidence(suggestion: dict[str, Any]) -> list[str]:
    """Return the evidence of a suggestion as lines for people: what each entry rests on, and what was left out."""
    lines = [
        (
            line["field"],
            shown(line["entry"]),
            counted(line["covers"], "thing"),
            counted(line["count"], "time"),
            f"{local(line['first'])} to {local(line['last'])}" + (f"; {line['warning']}" if line["warning"] else ""),
        )
        for line in suggestion["evidence"]
    ]
    left_out = [
        (item["kind"], shown(item["value"]), counted(item["count"], "time"), shown(item["reason"]))
        for item in suggestion["leftOut"]
    ]
    told = ["allowed, and what speaks for it:", *_indented(lines)] if lines else ["nothing is allowed by it"]
    return [*told, "", *(["left out, and why:", *_indented(left_out), ""] if left_out else [])]


def _indented(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"  {line}" for line in aligned(rows)]


def _seen(profile: dict[str, Any]) -> str:
    names = {"process": "program", "name": "name", "address": "address", "listen": "listening port", "file": "file"}
    many = {"address": "addresses"}
    counts = profile["counts"].items()
    told = [counted(count, names.get(kind, kind), many.get(kind, "")) for kind, count in counts if count]
    return ", ".join(told) or "nothing"


def _whose(profile: dict[str, Any]) -> str:
    return f"{profile['image']} {profile['container']}".strip() or str(profile["appID"])
