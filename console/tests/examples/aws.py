"""Stands in for the `aws` command: the two calls that the examples make.

A task definition is registered with moto, AWS's faithful fake, behind botocore's own validation. A template has to pass
cfn-lint. What was deployed is written to $REGISTERED: of each task definition its family and its containers' names.
"""

import argparse
import json
import os
import sys
from pathlib import Path

Task = dict[str, str | list[str]]
_REGION = "eu-west-1"


def main(words: list[str]) -> None:
    """Do what `aws` would, in an account that is empty before and gone afterwards."""
    options = argparse.ArgumentParser(prog="aws", allow_abbrev=False)
    options.add_argument("service", choices=["ecs", "cloudformation"])
    options.add_argument("operation", choices=["register-task-definition", "deploy"])
    for name in ("--cli-input-json", "--stack-name", "--template-file", "--capabilities"):
        options.add_argument(name)
    given = options.parse_args(words)
    known = _registered(given.cli_input_json) if given.service == "ecs" else _deployed(Path(given.template_file))
    Path(os.environ["REGISTERED"]).write_text(json.dumps(known))


def _registered(address: str) -> list[Task]:
    import boto3  # noqa: PLC0415 - slow to load, and not needed for templates
    from moto import mock_aws  # noqa: PLC0415

    os.environ.update({"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"})
    with mock_aws():
        ecs = boto3.client("ecs", region_name=_REGION)
        ecs.register_task_definition(**json.loads(Path(address.removeprefix("file://")).read_text()))
        arns = ecs.list_task_definitions()["taskDefinitionArns"]
        known = [ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"] for arn in arns]
    return [_shown(each["family"], [item["name"] for item in each["containerDefinitions"]]) for each in known]


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
