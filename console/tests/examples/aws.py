"""Stands in for the `aws` command: the two calls that the examples make.

A task definition has to pass the validation of AWS's own command line (botocore's), a template has to pass cfn-lint.
What was deployed is written to $REGISTERED: of each task definition its family and its containers' names.
"""

import argparse
import json
import os
import sys
from pathlib import Path

Task = dict[str, str | list[str]]


def main(words: list[str]) -> None:
    """Do what `aws` would before it talks to AWS, and note what it would have told it."""
    options = argparse.ArgumentParser(prog="aws", allow_abbrev=False)
    options.add_argument("service", choices=["ecs", "cloudformation"])
    options.add_argument("operation", choices=["register-task-definition", "deploy"])
    for name in ("--cli-input-json", "--stack-name", "--template-file", "--capabilities"):
        options.add_argument(name)
    given = options.parse_args(words)
    known = _registered(given.cli_input_json) if given.service == "ecs" else _deployed(Path(given.template_file))
    Path(os.environ["REGISTERED"]).write_text(json.dumps(known))


def _registered(address: str) -> list[Task]:
    from botocore.loaders import Loader  # noqa: PLC0415 - not needed for templates
    from botocore.model import ServiceModel  # noqa: PLC0415
    from botocore.validate import ParamValidator  # noqa: PLC0415

    definition = json.loads(Path(address.removeprefix("file://")).read_text())
    model = ServiceModel(Loader().load_service_model("ecs", "service-2"))
    report = ParamValidator().validate(definition, model.operation_model("RegisterTaskDefinition").input_shape)
    if report.has_errors():
        raise SystemExit(f"aws: parameter validation failed: {report.generate_report()}")
    return [_shown(definition["family"], [item["name"] for item in definition["containerDefinitions"]])]


def _deployed(path: Path) -> list[Task]:
    from cfnlint.api import lint_file  # noqa: PLC0415
    from cfnlint.decode import decode  # noqa: PLC0415

    if findings := lint_file(path):
        raise SystemExit(f"aws: the template is not valid: {findings}")
    template, _ = decode(str(path))
    resources = template["Resources"].values()
    known = [each["Properties"] for each in resources if each["Type"] == "AWS::ECS::TaskDefinition"]
    return [
        _shown(each["Family"]["Fn::Sub"], [item["Name"] for item in each["ContainerDefinitions"] if "Name" in item])
        for each in known
    ]


def _shown(family: str, containers: list[str]) -> Task:
    return {"family": family, "containers": containers}


if __name__ == "__main__":
    main(sys.argv[1:])
