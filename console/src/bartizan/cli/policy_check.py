"""`bartizan policy check`."""

import sys
from typing import Annotated

import typer

from bartizan.cli.failure import Failure
from bartizan.cli.files import read_text


def check_policy(file: Annotated[str, typer.Argument(help="The policy as JSON; - is standard input.")]) -> None:
    """Check a runtime policy without a Console: every problem is a line. Custom rules are not looked up."""
    from bartizan.policy import PolicyError, parse_policy  # noqa: PLC0415 - keeps `--help` quick

    try:
        rules = parse_policy(read_text(file)).rules
    except PolicyError as error:
        for problem in error.problems:
            sys.stdout.write(f"{problem}\n")
        count = len(error.problems)
        raise Failure(f"`{file}` has {count} {'problem' if count == 1 else 'problems'}") from None
    sys.stdout.write(f"`{file}` is a runtime policy of {len(rules)} {'rule' if len(rules) == 1 else 'rules'}\n")
