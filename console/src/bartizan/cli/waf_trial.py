"""`bartizan waf test`: what the firewall would do with one request, and why; nothing is sent anywhere."""

import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bartizan.cli.failure import Failure
from bartizan.cli.files import read_bytes, read_text
from bartizan.cli.terminal import shown
from bartizan.cli.waf_request import on_the_wire

if TYPE_CHECKING:
    from bartizan.policy.firewall import FirewallPolicy

_T = TypeVar("_T")
STOPPED = 3
"""The exit code for a request that would not be let through."""
_SECONDS = 120
_LARGEST_REQUEST = 64 << 20
_VALUE = 200


def try_request(  # noqa: PLR0913, PLR0917 - one for each option
    request: Annotated[
        str, typer.Argument(help="The request as HTTP/1.1 has it, with CRLF or LF; - is standard input.")
    ],
    policy: Annotated[str, typer.Option("--policy", help="The WAAS policy as JSON; - is standard input.")],
    app_id: Annotated[str, typer.Option("--app-id", help="Take the rule that covers this App ID.")] = "",
    rule: Annotated[str, typer.Option(help="Take the rule of this name, whatever it covers.")] = "",
    rules: Annotated[
        Path | None, typer.Option(help="A folder of rules in place of those that are built in.", metavar="FOLDER")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port that it comes to; else the policy's first.", min=1, max=65535)
    ] = None,
    source: Annotated[str, typer.Option("--from", help="Whom it comes from.", metavar="ADDRESS")] = "127.0.0.1",
    networks: Annotated[
        str, typer.Option(help="The network lists as the API gives them, if the policy names any.", metavar="FILE")
    ] = "",
    countries: Annotated[str, typer.Option(help="The table of countries, if the policy has any.", metavar="FILE")] = "",
    defender: Annotated[
        Path | None, typer.Option(help="The Defender's binary; else BARTIZAN_DEFENDER, or `defender` on the PATH.")
    ] = None,
    raw: Annotated[bool, typer.Option("--json", help="All that the Defender says, as one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """
    Say what the firewall would do with one request, and why, without a Console and without sending anything.

    Ends with 0 when the request would be let through, and with 3 when it would not. The policy is resolved as the
    Console does it; without --app-id and --rule its first rule that is not disabled counts.
    """
    if policy == "-" and request == "-":
        raise Failure("policy and request cannot both come from standard input")
    binary = _binary(defender)
    resolved = _resolved(policy, _chosen(app_id, rule), networks, countries)
    wire = on_the_wire(read_bytes(request, largest=_LARGEST_REQUEST))
    if not wire.strip():
        raise Failure(f"`{request}` is empty: a request begins with a line such as `GET / HTTP/1.1`")
    words = ["--from", source, *(("--port", str(port)) if port else ()), *(("--rules", str(rules)) if rules else ())]
    answer = _asked(binary, resolved, words, wire)
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n" if raw else told(answer, resolved))
    if answer["outcome"] != "pass":
        raise typer.Exit(STOPPED)


def told(answer: Mapping[str, Any], policy: Mapping[str, Any]) -> str:
    """Return what the Defender says of a request as lines for people."""
    if answer["outcome"] == "malformed":
        return f"refused with 400: this is no request that is passed on: {shown(answer['problem'])}\n"
    lines = ["let through\n"]
    if answer["outcome"] == "refused":
        part = {"head": "its head", "body": "its body"}.get(answer["stage"], answer["stage"])
        lines = [f"refused with {answer['status']}, when {part} was read\n"]
    application = answer.get("application")
    if policy["rule"] is None:
        lines.append("no rule of the policy covers it: nothing is looked at\n")
    elif application is None:
        lines.append(
            f"rule `{shown(policy['rule'])}`: no application of it takes the request, or its client is excepted\n"
        )
    else:
        lines.append(f"rule `{shown(policy['rule'])}`, application `{shown(application)}`\n")
    if not answer["reports"] and application is not None:
        lines.append("nothing was found\n")
    lines += [_report(item) for item in answer["reports"]]
    if left_out := answer.get("rulesLeftOut"):
        lines.append(f"{len(left_out)} of the rules are not judged:\n")
        places = (f"{item['rule']}  {shown(item['file'])}:{item['line']}" for item in left_out)
        lines += [f"  {place}: {shown(item['reason'])}\n" for place, item in zip(places, left_out, strict=True)]
    return "".join(lines)


def _report(item: Mapping[str, Any]) -> str:
    lines = [f"{shown(item['effect'])} {shown(item['type'])}: {shown(item['message'])}"]
    place = item.get("field") or {}
    if place.get("value"):
        value = place["value"] if len(place["value"]) <= _VALUE else place["value"][: _VALUE - 1] + "…"
        named = f" `{shown(place['key'])}`" if place.get("key") else ""
        lines.append(f"  in {shown(place['type'])}{named}: {shown(value)}")
    if item["rules"]:
        lines.append(f"  score {item['score']}")
    messages = item.get("messages") or [""] * len(item["rules"])
    lines += [f"  {number}  {shown(text)}".rstrip() for number, text in zip(item["rules"], messages, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def _chosen(app_id: str, rule: str) -> tuple[str, str]:
    if app_id and rule:
        raise Failure("give --app-id or --rule, not both")
    return app_id, rule


def _resolved(name: str, chosen: tuple[str, str], networks: str, countries: str) -> dict[str, Any]:
    """Return what a Defender would get. Raises Failure with each problem and its place."""
    from bartizan.policy import Workload  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.policy.firewall import (  # noqa: PLC0415
        Surroundings,
        country_table,
        parse_firewall,
        reference_problems,
        resolve_firewall,
    )

    app_id, wanted = chosen
    policy = _without_keys(_read(name, parse_firewall))
    lists = _read(networks, _network_lists) if networks else {}
    table = _read(countries, lambda text: country_table(text.encode())) if countries else ""
    around = Surroundings(networks=lists, scrubbing=(), certificates={}, countries=table)
    if problems := reference_problems(policy, around):
        raise Failure(f"`{name}` names what is not there: see --networks and --countries", problems=tuple(problems))
    if not app_id:
        policy = _only(policy, wanted)
    return resolve_firewall(policy, [Workload(app_id=app_id or "*")], revision=0, around=around).policy


def _read(name: str, parse: Callable[[str], _T]) -> _T:
    from bartizan.policy import PolicyError  # noqa: PLC0415 - keeps `--help` quick

    try:
        return parse(read_text(name))
    except PolicyError as error:
        raise Failure(f"`{name}` is not taken", problems=error.shown) from None


def _only(policy: "FirewallPolicy", wanted: str) -> "FirewallPolicy":
    """Return the policy with one rule, for everybody. Raises Failure when there is none of that name."""
    from bartizan.policy.model import EVERYTHING  # noqa: PLC0415 - keeps `--help` quick

    found = next((item for item in policy.rules if (item.name == wanted if wanted else not item.disabled)), None)
    if found is None:
        names = ", ".join(f"`{item.name}`" for item in policy.rules) or "none"
        what = f"no rule `{wanted}`" if wanted else "no rule that is not disabled"
        raise Failure(f"the policy has {what}; its rules: {names}")
    return dataclasses.replace(policy, rules=(dataclasses.replace(found, collections=(EVERYTHING,), disabled=False),))


def _without_keys(policy: "FirewallPolicy") -> "FirewallPolicy":
    """Return the policy without private keys, which no test needs."""
    rules = tuple(
        dataclasses.replace(
            rule,
            applications=tuple(dataclasses.replace(item, certificate="", given="") for item in rule.applications),
        )
        for rule in policy.rules
    )
    return dataclasses.replace(policy, rules=rules)


def _network_lists(text: str) -> dict[str, Any]:
    from bartizan.policy import PolicyError  # noqa: PLC0415 - keeps `--help` quick
    from bartizan.policy.firewall import parse_network_list  # noqa: PLC0415

    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError([f"this is no JSON: {error}"]) from None
    documents = given if isinstance(given, list) else [given]
    found = [parse_network_list(json.dumps(item)) for item in documents]
    return {item.name: item for item in found}


def _binary(given: Path | None) -> str:
    from bartizan.settings import read_client_settings  # noqa: PLC0415 - keeps `--help` quick

    named = given or read_client_settings().defender
    if named is not None:
        if not named.is_file():
            raise Failure(f"there is no Defender `{named}`: give its binary with --defender, or BARTIZAN_DEFENDER")
        return str(named)
    found = shutil.which("defender")
    if found is None:
        raise Failure("there is no Defender to ask: give its binary with --defender, or BARTIZAN_DEFENDER")
    return found


def _asked(binary: str, policy: Mapping[str, Any], words: list[str], wire: bytes) -> dict[str, Any]:
    """Return what the Defender says. Raises Failure with its own words when it says no more than that."""
    # Only its owner reads the file (mkstemp): a policy tells an attacker what is not looked at.
    with tempfile.NamedTemporaryFile(prefix="bartizan.", suffix=".json") as file:
        file.write(json.dumps(policy).encode())
        file.flush()
        command = [binary, "waf", "test", "--policy", file.name, *words]
        try:
            done = subprocess.run(command, input=wire, capture_output=True, check=False, timeout=_SECONDS)
        except OSError as error:
            raise Failure(f"the Defender `{binary}` cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise Failure(f"the Defender `{binary}` has not answered in {_SECONDS} seconds") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = None
    if done.returncode != 0 or not isinstance(answer, dict) or "outcome" not in answer:
        said = done.stderr.decode(errors="replace").strip().removeprefix("bartizan: ")
        said = shown(" ".join(said.replace(file.name, "the policy").split())) or f"it ended with {done.returncode}"
        raise Failure(f"the Defender cannot say: {said}")
    return answer
