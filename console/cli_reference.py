"""The page `docs/reference/cli.md`, made from the commands themselves and an example for each."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import typer.main

from bartizan.cli.main import app

_HEAD = """# Command line

Made by `make gen` from the commands; do not edit.

A command that fails says why in one line on standard error and ends with 1; wrong usage ends with 2. `-` as a file name
is standard input or output. A file is written whole or not at all.
"""
_CONNECTION = ("address", "user", "password", "token", "ca_file", "insecure")
_CONNECTION_TEXT = """
## Reaching the Console

Commands that talk to a Console take these options, or the environment variables. A secret belongs into a variable: a
command line can be read by every user of the machine.

| option | variable | |
|---|---|---|
"""
EXAMPLES = {
    "console": "bartizan console --data-dir ./console-data --san console.example.com",
    "signup": "bartizan signup --address https://localhost:8083 --ca-file ./console-data/ca.pem --token 4wk…",
    "backup": "bartizan backup --output-file console.backup --passphrase-file /etc/bartizan/backup-passphrase",
    "restore": "bartizan restore console.backup --data-dir ./console-data --passphrase-file backup-passphrase",
    "app-embedded generate-fargate-task": (
        "bartizan app-embedded generate-fargate-task --console-host console.example.com --output-file protected.json "
        "task.json\n"
        "bartizan app-embedded generate-fargate-task --bundle bundle.json --parameter ImageTag=1.4.2 --diff "
        "service.yaml"
    ),
    "app-embedded unprotect": "bartizan app-embedded unprotect --output-file task.json protected.json",
    "app-embedded explain": "bartizan app-embedded explain protected.json",
    "app-embedded embed": (
        "bartizan app-embedded embed --app-id shop --console-host console.example.com --data-folder /bartizan/ "
        "Dockerfile"
    ),
    "app-embedded embed-manifest": (
        "bartizan app-embedded embed-manifest --console-host console.example.com --output-file protected.yml "
        "manifest.yml"
    ),
    "app-embedded verify": "bartizan app-embedded verify protected.json",
    "waf policy get": "bartizan waf policy get --output-file waas.json",
    "waf policy set": "bartizan waf policy set waas.json",
    "waf policy check": "bartizan waf policy check waas.json",
    "waf test": "bartizan waf test --policy waas.json request.http",
    "waf events": "bartizan waf events --app-id shop --type sqli,xss --since 2026-11-21T00:00:00Z",
    "waf except": "bartizan waf except 1042 --dry-run",
    "waf api-spec": "bartizan waf api-spec openapi.yaml --internal-port 8080 --output-file api-spec.json",
    "waf discovery list": "bartizan waf discovery list --app-id shop:1 --shadow",
    "waf discovery export": (
        "bartizan waf discovery export --app-id shop:1 --application storefront --output-file openapi.json"
    ),
    "waf discovery forget": "bartizan waf discovery forget --app-id shop:1 --application storefront",
    "waf rules import": "bartizan waf rules import coreruleset-4.25.0.zip",
    "waf rules use": "bartizan waf rules use aecd811b\nbartizan waf rules use built-in",
    "waf rules list": "bartizan waf rules list",
    "policy get": "bartizan policy get --output-file policy.json",
    "policy put": "bartizan policy put policy.json",
    "policy check": "bartizan policy check policy.json",
    "policy pull": "bartizan policy pull policy.yaml",
    "policy plan": "bartizan policy plan policy.yaml",
    "policy apply": "bartizan policy apply policy.yaml --revision 12 --comment 'no curl in the shop'",
    "policy suggest": (
        "bartizan policy suggest --image shop:1.4 --container web --output-file rule.json\n"
        "bartizan policy suggest --image shop:1.4 --adopt --quiet-days 14"
    ),
    "policy learned": "bartizan policy learned",
    "policy promote": "bartizan policy promote 'learned: shop:1.4 web'",
    "profiles": "bartizan profiles",
    "audits": "bartizan audits --follow --json",
    "incidents list": "bartizan incidents list --category cryptoMiner,reverseShell",
    "incidents show": "bartizan incidents show 17",
    "incidents acknowledge": "bartizan incidents acknowledge 17",
    "incidents download": "bartizan incidents download --output-file incidents.csv",
    "forensics list": "bartizan forensics list",
    "forensics fetch": "bartizan forensics fetch --app-id shop --container web",
    "forensics show": "bartizan forensics show 3 --format csv --output-file record.csv",
    "custom-rules list": "bartizan custom-rules list",
    "custom-rules put": "bartizan custom-rules put shells.json",
    "custom-rules delete": "bartizan custom-rules delete 12",
    "defenders": "bartizan defenders",
    "registry add": "bartizan registry add https://harbor.example.com --credential harbor --ca-cert corp-ca.pem",
    "registry list": "bartizan registry list",
    "registry delete": "bartizan registry delete harbor.example.com",
    "registry credential add": (
        "bartizan registry credential add harbor --account 'robot$shop' --registry https://harbor.example.com "
        "--secret-file password"
    ),
    "registry credential list": "bartizan registry credential list",
    "registry credential delete": "bartizan registry credential delete harbor",
    "registry credential rotate-key": "bartizan registry credential rotate-key",
    "run-task": (
        "bartizan run-task protected.json --image bartizan/defender:0.1.0=oci:./images/defender "
        "--image nginx:1.27=archive:nginx.tar"
    ),
    "defender-image": "bartizan defender-image --binary ./defender --output ./images/defender",
}
"""One or more lines for each command, as they are typed."""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield the commands by what is typed after `bartizan`, in the order of `--help`."""

    def walk(group: Any, before: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own copy of click
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, f"{before}{name} ")
            else:
                yield before + name, command

    yield from walk(typer.main.get_command(app), "")


def cli_reference() -> str:
    """Return the page. Raises SystemExit for a command without an example."""
    found = list(commands())
    if bare := [name for name, _ in found if name not in EXAMPLES]:
        raise SystemExit(f"no example of `bartizan {bare[0]}`: give one in console/cli_reference.py")
    shared = {option.name: option for option in dict(found)["defenders"].params if option.name in _CONNECTION}
    rows = "".join(
        f"| {_spelled(shared[name])} | {_variable(name)} | {_cell(shared[name].help)} |\n" for name in _CONNECTION
    )
    return "".join([_HEAD, _CONNECTION_TEXT, rows, *(_section(*each, shared) for each in found)])


def _section(name: str, command: Any, shared: dict[str, Any]) -> str:  # noqa: ANN401 - as above
    connection = [item for item in command.params if item.name in shared and item.help == shared[item.name].help]
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    own = [item for item in command.params if item.param_type_name == "option" and item not in connection]
    usage = " ".join(["bartizan", name, "[OPTIONS]", *(item.name.upper() for item in arguments)])
    parts = [f"\n## `bartizan {name}`\n\n{command.help}\n\n```\n{usage}\n```\n"]
    if arguments or own:
        parts.append("\n| | | default |\n|---|---|---|\n")
        parts += [f"| `{item.name.upper()}` | {_cell(item.help)} | |\n" for item in arguments]
        parts += [f"| {_spelled(item)} | {_cell(item.help)} | {_default(item)} |\n" for item in own]
    if connection:
        taken = ", ".join(f"`{item.opts[0]}`" for item in connection)
        which = "" if len(connection) == len(shared) else f": {taken}"
        parts.append(f"\nTakes the options of [Reaching the Console](#reaching-the-console){which}.\n")
    example = "".join(f"$ {line}\n" for line in EXAMPLES[name].splitlines())
    parts.append(f"\n```\n{example}```\n")
    return "".join(parts)


def _spelled(option: Any) -> str:  # noqa: ANN401 - as above
    names = sorted(option.opts, key=len, reverse=True)
    value = "" if option.is_flag else f" {_value(option)}"
    return ", ".join(f"`{name}{value if name == names[0] else ''}`" for name in names).replace("|", r"\|")


def _value(option: Any) -> str:  # noqa: ANN401 - as above
    kind = option.type_descriptor.annotation
    inner = get_args(kind)[0] if get_origin(kind) is list else kind
    if option.metavar:
        return str(option.metavar)
    if get_origin(inner) is Literal:
        return "|".join(map(str, get_args(inner)))
    return {"Path": "PATH", "int": "NUMBER", "float": "NUMBER"}.get(getattr(inner, "__name__", ""), "TEXT")


def _default(option: Any) -> str:  # noqa: ANN401 - as above
    if option.required:
        return "needed"
    return "" if option.is_flag or option.default in (None, "", []) else f"`{option.default}`"


def _variable(name: str) -> str:
    return "" if name == "insecure" else f"`BARTIZAN_{name.upper()}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", r"\|")
