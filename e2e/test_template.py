"""A CloudFormation template: protected as it stands, deployed with parameters, attacked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from console import BARTIZAN, Console
from images import SHOP_PORT
from task import CONSOLE_NAME, Task
from test_spine import rule

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Stage: {Type: String}
  ShopImage: {Type: String, Default: "battlement/shop:1"}
Conditions:
  IsLive: !Equals [!Ref Stage, live]
Resources:
  Log:
    Type: AWS::Logs::LogGroup
  ShopTask:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: !Sub "${Stage}-shop"
      Cpu: "256"
      Memory: "512"
      NetworkMode: awsvpc
      RequiresCompatibilities: [FARGATE]
      ExecutionRoleArn: !GetAtt Role.Arn
      ContainerDefinitions:
        - Name: !Sub "${Stage}-web"   # only the deployment knows it
          Image: !Ref ShopImage
        - !If
          - IsLive
          - !Ref AWS::NoValue
          - Name: debug
            Image: !Ref ShopImage
  OtherTask:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - {Name: other, Image: other, EntryPoint: [/other]}
"""


@pytest.fixture
def task(console: Console, images: dict[str, str], tmp_path: Path) -> Task:
    """The shop of the template, protected without knowing its stage, deployed as `live`."""
    console.put_policy(rule("prevent", processes={"blacklist": ["sh"]}))
    given, protected, bundle = tmp_path / "service.yaml", tmp_path / "protected.yaml", tmp_path / "bundle.json"
    given.write_text(TEMPLATE)
    answer = console.request("GET", "defenders/install-bundle", params={"consoleaddr": CONSOLE_NAME})
    bundle.write_text(answer.text)
    command = [*BARTIZAN, "app-embedded", "generate-fargate-task", "--bundle", str(bundle)]
    command += ["--image", f"battlement/shop:1={images['battlement/shop:1']}", "--output-file", str(protected)]
    subprocess.run([*command, str(given)], check=True)
    return Task(protected, images, {"Stage": "live"}, "ShopTask")


def test_a_container_that_the_deployment_names_is_defended(console: Console, task: Task) -> None:
    """Name, image and entrypoint come together at deployment; the sidecar knows the container, the policy holds."""
    try:
        task.wait_until_serving(SHOP_PORT)
        task.wait_for_policy(console)
        assert "uid=" not in task.track("BTZ-1 -exec sh -c id ;")
        seen = console.wait_for_audit(lambda audit: audit["effect"] == "prevent", what="the shell, stopped")
        assert (seen["containerName"], seen["imageName"]) == ("live-web", "battlement/shop:1")
        assert seen["appID"].startswith("ShopTask:")
        assert "BTZ-1" in task.track("BTZ-1"), "the application itself goes on"
    finally:
        task.close()
