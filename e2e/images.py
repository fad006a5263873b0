"""The images and definitions that the tests run; built once per session from this machine's own files."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from bartizan.registry import File, ImageConfig, Link, defender_image, write_image

ROOT = Path(__file__).resolve().parent.parent
DEFENDER = Path(os.environ.get("BARTIZAN_DEFENDER", ROOT / "defender/target/x86_64-unknown-linux-gnu/release/defender"))
DEFENDER_IMAGE = "bartizan/defender:0.1.0"
BUSYBOX_SHELL_PORT = 8099
SHOP_PORT = 8080

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
SCRATCH_DEFINITION: dict[str, Any] = SEED_DEFINITION | {
    "family": "scratch",
    "containerDefinitions": [
        {
            "name": "only",
            "image": "scratch:1",
            "entryPoint": ["/busybox", "nc", "-ll", "-p", str(BUSYBOX_SHELL_PORT), "-e", "/busybox", "sh"],
        }
    ],
}


def build_images(folder: Path) -> dict[str, str]:
    """Write all images below ``folder``; return image reference → source for `run-task`."""
    shop = ImageConfig(entrypoint=("/shop/shop.py",), working_dir="/shop", env=("PATH=/usr/bin:/bin",))
    write_image(
        folder / "shop", files=shop_image_files(), config=shop, reference="battlement/shop:1", architecture="amd64"
    )
    busybox = [File("/busybox", 0o755, Path("/bin/busybox").resolve())]
    scratch = ImageConfig(env=("PATH=/",))
    write_image(folder / "scratch", files=busybox, config=scratch, reference="scratch:1", architecture="amd64")
    defender_image(folder / "defender", binary=DEFENDER, architecture="amd64", reference=DEFENDER_IMAGE)
    shop_source = f"oci:{folder / 'shop'}"
    return {
        "nginx": shop_source,
        "battlement/shop:1": shop_source,
        "scratch:1": f"oci:{folder / 'scratch'}",
        DEFENDER_IMAGE: f"oci:{folder / 'defender'}",
    }


def shop_image_files() -> list[File]:
    """The shop's files, as the example's own image builder lists them."""
    path = ROOT / "examples/shop/image.py"
    spec = importlib.util.spec_from_file_location("shop_image", path)
    if spec is None or spec.loader is None:
        raise AssertionError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [
        File(name, mode, Link(content.removeprefix("link:")) if isinstance(content, str) else content)
        for name, mode, content in module.shop_files()
    ]
