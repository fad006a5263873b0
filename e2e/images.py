"""The images and definitions that the tests run; built once per session from this machine's own files."""

from __future__ import annotations

from typing import Any

# The sample of the vendor's documentation, as it stands there.
SEED_DEFINITION: dict[str, Any] = {
    "containerDefinitions": [{"name": "web", "image": "nginx", "entryPoint": ["/http_server"]}],
    "cpu": "256",
    "executionRoleArn": "arn:aws:iam::112233445566:role/ecsTaskExecutionRole",
    "family": "webserver",
    "memory": "512",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
}
BUSYBOX_SHELL_PORT = 8099
SCRATCH_DEFINITION: dict[str, Any] = SEED_DEFINITION | {
    "family": "scratch",
    "containerDefinitions": [
        {
            "name": "only",
            "image": "scratch:1",
            "entryPoint": ["/busybox", "nc", "-lk", "-p", str(BUSYBOX_SHELL_PORT), "-e", "/busybox", "sh"],
        }
    ],
}
