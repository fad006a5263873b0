"""The commands put together. Modules of commands are imported by name only, so that `--help` is quick."""

import sys

import typer

from bartizan.cli import (
    app_embedded,
    backup,
    console,
    custom_rules,
    embed_dockerfile,
    embed_manifest,
    events,
    firewall,
    forensics,
    incidents,
    learning,
    policy_check,
    policy_code,
    registry,
    tasks,
    waf_discovery,
    waf_rules,
    waf_trial,
)
from bartizan.cli.failure import Failure
from bartizan.cli.streams import drop_output, is_of_output, open_closed_streams

_HELP = "Bartizan: an open App-Embedded Defender."

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("console")(console.run)
app.command("signup")(console.sign_up)
app.command("backup")(backup.back_up)
app.command("restore")(backup.put_back)
app_embedded.app.command("embed")(embed_dockerfile.embed)
app_embedded.app.command("embed-manifest")(embed_manifest.embed_manifest)
app.add_typer(app_embedded.app, name="app-embedded")
events.policy.command("check")(policy_check.check_policy)
events.policy.command("pull")(policy_code.pull)
events.policy.command("plan")(policy_code.plan)
events.policy.command("apply")(policy_code.apply)
events.policy.command("suggest")(learning.suggest)
events.policy.command("learned")(learning.learned)
events.policy.command("promote")(learning.promote)
app.add_typer(events.policy, name="policy")
app.add_typer(custom_rules.app, name="custom-rules")
app.add_typer(registry.app, name="registry")
app.command("audits")(events.audits)
app.add_typer(incidents.app, name="incidents")
app.add_typer(forensics.app, name="forensics")
firewall.app.command("test")(waf_trial.try_request)
firewall.app.add_typer(waf_rules.app, name="rules")
firewall.app.add_typer(waf_discovery.app, name="discovery")
app.add_typer(firewall.app, name="waf")
app.command("profiles")(learning.profiles)
app.command("defenders")(events.defenders)
app.command("run-task")(tasks.run_task)
app.command("defender-image")(tasks.defender_image)


def main() -> None:
    """Run the command line; a failure is one line on standard error and exit code 1."""
    open_closed_streams()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except Failure as failure:
        sys.stderr.write("".join(f"{line}\n" for line in (*failure.problems, f"bartizan: {failure}")))
        sys.exit(1)
    except BrokenPipeError:
        # The reader (`head`, `less`) has seen enough; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(1)
    except MemoryError:
        sys.stderr.write("bartizan: there is not enough memory for this: give smaller files, or more memory\n")
        sys.exit(1)
    except OSError as error:
        if not is_of_output(error):
            raise
        drop_output()
        sys.stderr.write(f"bartizan: standard output cannot be written: {error.strerror}\n")
        sys.exit(1)
