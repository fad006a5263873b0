"""What it costs to protect a task definition of 64 KiB: CPU time, and as a ratio to json.loads + json.dumps of it."""

import base64
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from bartizan.embed import ImageConfig, ProtectSettings, protect

SIZE = 65_536
ROUNDS = 31


def settings() -> ProtectSettings:
    """Return settings like those of a real Console."""
    bundle = {
        "v": 1,
        "id": "bench",
        "secret": "s" * 43,
        "pins": ["0" * 64],
        "addresses": ["wss://console.example.com:8084"],
    }
    return ProtectSettings(
        defender_image="registry.example.com/bartizan/defender:0.1.0",
        version="0.1.0",
        install_bundle=base64.b64encode(json.dumps(bundle).encode()).decode(),
    )


def definition() -> str:
    """Return a definition of ten containers, the most that AWS takes, in 64 KiB of indented JSON."""
    containers: list[dict[str, Any]] = [
        {
            "name": f"service-{index}",
            "image": f"registry.example.com/shop/service-{index}:1.0",
            "essential": True,
            "portMappings": [{"containerPort": 8000 + index, "protocol": "tcp"}],
            "environment": [],
        }
        for index in range(10)
    ]
    task = {"family": "bench", "networkMode": "awsvpc", "cpu": "4096", "memory": "8192"}
    text, variable = "", 0
    while len(text) < SIZE - 200:
        for container in containers:
            container["environment"].append({"name": f"VARIABLE_{variable}", "value": f"value of number {variable}"})
            variable += 1
        text = json.dumps({**task, "containerDefinitions": containers}, indent=2)
    return text


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the median CPU time of `work` in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - start) / 1e6)
    return statistics.median(times)


def main() -> None:
    """Print one line per figure: name, value, ratio to the plain round trip through the standard library."""
    text, made_with = definition(), settings()
    images = {
        f"registry.example.com/shop/service-{index}:1.0": ImageConfig(entrypoint=("/entry.sh",), cmd=("serve",))
        for index in range(10)
    }
    protected = protect(text, images=images, settings=made_with).text
    plain = cpu_ms(lambda: json.dumps(json.loads(text)))
    fresh = cpu_ms(lambda: protect(text, images=images, settings=made_with))
    again = cpu_ms(lambda: protect(protected, images=images, settings=made_with))
    print(f"embed.protect_64k_cpu_ms {fresh:.2f} ratio {fresh / plain:.1f} bytes {len(text)}")
    print(f"embed.protect_again_64k_cpu_ms {again:.2f} ratio {again / plain:.1f} bytes {len(protected)}")


if __name__ == "__main__":
    main()
