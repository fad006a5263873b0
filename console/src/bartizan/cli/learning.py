"""`bartizan profiles`, `bartizan policy suggest`, `bartizan policy learned` and `bartizan policy promote`."""

import json
import sys
from typing import Annotated, Any

import typer

from bartizan.cli.connection import client_for
from bartizan.cli.events import shown
from bartizan.cli.failure import Failure
from bartizan.cli.files import write_text
from bartizan.cli.options import Address, CaFile, Insecure, Password, Token, User

_PROFILES = "profiles/app-embedded"
_LEARNED = "policies/runtime/app-embedded/learned"


def profiles(
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """List what was learned of workloads, the latest first."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    for profile in client.call("GET", _PROFILES, query={"limit": "250"}):
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(profile["counts"].items()))
        sys.stdout.write(
            f"{profile['_id']:>6}  {profile['lastTime']}  {shown(_whose(profile))}: {counts or 'nothing'}\n"
        )


def suggest(  # noqa: PLR0913, PLR0917 - the options of the command
    image: Annotated[str, typer.Option(help="The image as the task definition names it.")] = "",
    container: Annotated[str, typer.Option(help="The container, if the image has several.")] = "",
    app_id: Annotated[str, typer.Option("--app-id", help="The application, for a Defender in its own image.")] = "",
    adopt: Annotated[bool, typer.Option("--adopt", help="Put the rule into the policy.")] = False,  # noqa: FBT002
    stage: Annotated[str, typer.Option(help="With --adopt: begin with discover or alert.")] = "alert",
    quiet_days: Annotated[
        int, typer.Option(help="With --adopt: go on to the next stage after so many quiet days; 0 is never.", min=0)
    ] = 0,
    output_file: Annotated[str, typer.Option(help="Where the rule goes; - is standard output.")] = "-",
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Make a rule of what a workload was seen to do; the evidence for each line goes to standard error."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
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
    sys.stderr.write("".join(f"{line}\n" for line in evidence(suggestion)))
    if not adopt:
        write_text(output_file, json.dumps(suggestion["rule"], indent=2, ensure_ascii=False) + "\n")
        return
    body = {"stage": stage, **({"quietDays": quiet_days} if quiet_days else {})}
    learned = client.call("POST", f"{_PROFILES}/{number}/rule", body=body)
    sys.stdout.write(f"the rule `{shown(learned['rule'])}` is in force, in {learned['stage']}\n")


def learned(
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """List the learned rules with their stages."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    for item in client.call("GET", _LEARNED):
        days = f", goes on after {item['quietDays']} quiet days" if item["quietDays"] else ""
        sys.stdout.write(f"{item['stage']:9} since {item['since']}  {shown(item['rule'])}{days}\n")


def promote(
    rule: Annotated[str, typer.Argument(help="The rule's name.")],
    address: Address = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = None,
    insecure: Insecure = False,  # noqa: FBT002
) -> None:
    """Take a learned rule to its next stage: discover, alert, prevent."""
    client = client_for(address=address, user=user, password=password, token=token, ca_file=ca_file, insecure=insecure)
    item = client.call("POST", f"{_LEARNED}/promote", body={"rule": rule})
    sys.stdout.write(f"the rule `{shown(item['rule'])}` is in {item['stage']} now\n")


def evidence(suggestion: dict[str, Any]) -> list[str]:
    """Return the evidence of a suggestion as lines for people."""
    lines = []
    for line in suggestion["evidence"]:
        things = f"{line['covers']} things, " if line["covers"] > 1 else ""
        times = f"{line['count']} times, {line['first']} to {line['last']}"
        warning = f"; {line['warning']}" if line["warning"] else ""
        lines.append(f"{line['field']}: {shown(line['entry'])}  ({things}{times}{warning})")
    lines.extend(
        f"left out: {item['kind']} {shown(item['value'])}  ({item['count']} times; {shown(item['reason'])})"
        for item in suggestion["leftOut"]
    )
    return lines


def _whose(profile: dict[str, Any]) -> str:
    return f"{profile['image']} {profile['container']}".strip() or str(profile["appID"])
