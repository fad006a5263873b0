"""What it costs to protect CloudFormation: a template of 500 containers, and all real definitions at hand."""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from bartizan.embed import EmbedError, ImageConfig, ProtectSettings, needed_images, protect
from embed import settings

TASKS = 50
CONTAINERS = 10
ROUNDS = 5
REPOSITORY = Path(__file__).resolve().parents[2]
NGINX = ImageConfig(("/docker-entrypoint.sh",), ("nginx", "-g", "daemon off;"))


def template() -> dict[str, Any]:
    """Return a template of 500 containers, as much in each as people write."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"Tag": {"Type": "String", "Default": "1.0"}},
        "Resources": {f"Task{number}": _task(number) for number in range(TASKS)},
    }


def _task(number: int) -> dict[str, Any]:
    return {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {
            "Family": f"service-{number}",
            "Cpu": "4096",
            "Memory": "8192",
            "NetworkMode": "awsvpc",
            "RequiresCompatibilities": ["FARGATE"],
            "ContainerDefinitions": [_container(number, index) for index in range(CONTAINERS)],
        },
    }


def _container(number: int, index: int) -> dict[str, Any]:
    return {
        "Name": f"part-{index}",
        "Image": {"Fn::Sub": f"registry.example.com/service-{number}/part-{index}:${{Tag}}"},
        "Essential": index == 0,
        "PortMappings": [{"ContainerPort": 8000 + index, "Protocol": "tcp"}],
        "Environment": [
            {"Name": "STAGE", "Value": {"Ref": "AWS::StackName"}},
            {"Name": "PART", "Value": f"part {index} of service {number}"},
        ],
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {"awslogs-group": {"Ref": "AWS::StackName"}, "awslogs-stream-prefix": f"part-{index}"},
        },
    }


def corpus() -> list[Path]:
    """Return the real definitions at hand; where there are none, the golden ones of this repository."""
    given = os.environ.get("BARTIZAN_CORPUS")
    root = Path(given) if given else REPOSITORY.parent / "shared" / "corpus"
    folders = [root / name for name in ("taskdefs", "cfn", "protected")]
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES]
    return found or sorted((REPOSITORY / "contract" / "vectors" / "protect").glob("*/input.*"))


_SUFFIXES = frozenset({".json", ".yaml", ".yml", ".template"})


def prepared(text: str, made_with: ProtectSettings) -> Callable[[], int] | None:
    """Return the protecting of a text, which gives how many definitions it has; None for one that is refused."""
    try:
        images = {image.expression: NGINX for image in needed_images(text, settings=made_with)}
        protect(text, images=images, settings=made_with)
    except EmbedError:
        return None
    return lambda: len(protect(text, images=images, settings=made_with).reports)


def cpu_s(work: Callable[[], object]) -> float:
    """Return the median CPU time of `work` in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - start) / 1e9)
    return statistics.median(times)


def large() -> None:
    """Print what a template of 500 containers costs, in both syntaxes."""
    value = template()
    texts = {"yaml": yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False), "json": json.dumps(value, indent=2)}
    for name, text in texts.items():
        work = prepared(text, settings())
        assert work is not None
        assert work() == TASKS
        print(f"templates.protect_500_{name}_cpu_s {cpu_s(work):.2f} bytes {len(text)} tasks {TASKS}")


def every() -> None:
    """Print how many of the real definitions are protected in a second."""
    works = [work for path in corpus() if (work := prepared(path.read_bytes().decode(), settings())) is not None]
    definitions = sum(work() for work in works)
    cost = cpu_s(lambda: [work() for work in works])
    rate, size = definitions / cost, f"definitions {definitions} files {len(works)}"
    print(f"templates.protect_definitions_per_second {rate:.0f} {size}")


def main() -> None:
    """Print one line per figure: name, value, size. Memory is that of a process which does nothing else."""
    steps = {"large": large, "every": every}
    if sys.argv[1:]:
        steps[sys.argv[1]]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"templates.peak_memory_{sys.argv[1]}_mb {peak:.0f}")
        return
    for step in steps:
        subprocess.run([sys.executable, __file__, step], check=True)


if __name__ == "__main__":
    main()
