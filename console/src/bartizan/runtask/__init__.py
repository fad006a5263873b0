"""Run an ECS task definition on this machine, the way Fargate would."""

from bartizan.runtask.container import Event, Executed
from bartizan.runtask.definition import TaskDefinition, parse_definition
from bartizan.runtask.errors import TaskError
from bartizan.runtask.platform_check import check_platform
from bartizan.runtask.run import TaskRun

__all__ = ["Event", "Executed", "TaskDefinition", "TaskError", "TaskRun", "check_platform", "parse_definition"]
