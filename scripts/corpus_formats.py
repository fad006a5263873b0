"""The ways in, as scripts/corpus.py runs them: what is given, what is promised, and who else judges the result."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from bartizan.embed import (
    EmbedError,
    ImageConfig,
    ProtectSettings,
    cloud_foundry,
    dockerfile,
    needed_images,
    protect,
    unprotect,
    verify,
)
from bartizan.embed.definition import READ_ONLY
from bartizan.embed.reading import read

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.1.0"
BUNDLE = base64.b64encode(
    json.dumps(
        {
            "v": 1,
            "id": "corpus",
            "secret": "s" * 43,
            "pins": ["0" * 64],
            "addresses": ["wss://console.example.com:8084"],
        }
    ).encode()
).decode()
STAND_IN = ImageConfig(("/docker-entrypoint.sh",), ("nginx", "-g", "daemon off;"), "registry", "sha256:" + "a" * 64)
PROCFILE = "web: ./serve\nworker: ./work\n"
SETTINGS = ProtectSettings(
    defender_image="registry.example.com/bartizan/defender:0.1.0", version=VERSION, install_bundle=BUNDLE
)
DOCKERFILE_SETTINGS = dockerfile.DockerfileSettings(
    app_id="corpus", install_bundle=BUNDLE, version=VERSION, ws_address="wss://console.example.com:8084"
)
MANIFEST_SETTINGS = cloud_foundry.ManifestSettings(
    version=VERSION, install_bundle=BUNDLE, image_defender="/bartizan/defender"
)

_REASONS = (
    ("an image has to be looked up", r"nothing is known about the image|what the image .* starts is not known"),
    ("the buildpack chooses the command", r"so the buildpack chooses"),
    ("nothing to protect", r"no container is left to protect"),
    ("Windows", r"is Windows, and the Defender runs on Linux|runs on `windows"),
    ("starts nothing", r"starts nothing: neither it nor"),
    (
        "an unfilled template",
        r"fill in the template first|stands before the first `FROM`|is no instruction of a Dockerfile",
    ),
    ("needs a build argument", r"as a build argument|gives .* no value"),
    ("an app without a name", r"this app has no name"),
    ("not a definition of this kind", r"this is not a task definition"),
    ("malformed", r"a comma is missing|malformed|takes no flags"),
)


def reason(message: str) -> str | None:
    """Return to which group the message of a refusal belongs; None when it is a new one."""
    return next((name for name, pattern in _REASONS if re.search(pattern, message)), None)


@dataclass(frozen=True, slots=True)
class Made:
    """A protected text, how many definitions the text has, and how many of them were left alone."""

    text: str
    definitions: int = 1
    left_alone: int = 0


class LookUps(Enum):
    """Whether what only images and Procfiles say can be had."""

    NONE = auto()
    ANSWERED = auto()


class Outside(Enum):
    """Who else is asked, beyond what each promise says itself."""

    NOBODY = auto()
    CFN_LINT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way in."""

    name: str
    folder: str
    takes: Callable[[Path], bool]
    protect: Callable[[str, LookUps], Made]
    """protects a text, with or without look-ups; raises EmbedError"""
    prepared: Callable[[str], Callable[[], object]]
    """returns the protecting of a text alone, all look-ups done"""
    promises: Mapping[str, Callable[[str, Made], bool]]
    count: Callable[[str], int] = field(default=lambda _: 1)
    """how many definitions a text has that is refused"""
    outside: Outside = Outside.NOBODY


def _is_text(path: Path) -> bool:
    return path.is_file() and path.suffix in {".json", ".yaml", ".yml", ".template"}


# Task definitions, bare or in templates.


def _images(text: str) -> dict[str, ImageConfig]:
    return {image.expression: STAND_IN for image in needed_images(text, settings=SETTINGS)}


def _protect(text: str, looking: LookUps) -> Made:
    protection = protect(text, images=_images(text) if looking is LookUps.ANSWERED else {}, settings=SETTINGS)
    left_alone = sum(report.skipped is not None for report in protection.reports)
    return Made(protection.text, len(protection.reports), left_alone)


def _prepared(text: str) -> Callable[[], object]:
    images = _images(text)
    return lambda: protect(text, images=images, settings=SETTINGS)


def _count(text: str) -> int:
    try:
        return len(read(text).definitions)
    except EmbedError:
        return 0


def _passes_the_gate(_: str, made: Made) -> bool:
    """Return whether `verify` finds nothing, or only that those left alone are not protected."""
    codes = Counter(finding.code for finding in verify(made.text, version=VERSION, settings=SETTINGS))
    expected = {"missingSidecar", "unprotected"} if made.left_alone else set[str]()
    return codes["missingSidecar"] <= made.left_alone and codes.keys() <= expected


def _reads_again(_: str, made: Made) -> bool:
    return len(read(made.text).definitions) == made.definitions


@cache
def _request() -> tuple[Any, Any]:
    import botocore.loaders  # noqa: PLC0415 - the other formats do without
    from botocore.model import ServiceModel  # noqa: PLC0415
    from botocore.validate import ParamValidator  # noqa: PLC0415

    model = ServiceModel(botocore.loaders.Loader().load_service_model("ecs", "service-2"), "ecs")
    return ParamValidator(), model.operation_model("RegisterTaskDefinition").input_shape


def _is_registrable(text: str, made: Made) -> bool:
    """Return whether RegisterTaskDefinition takes the result, at least whenever it took the input."""
    validator, shape = _request()

    def is_valid(value: Any) -> bool:
        inner = value.get("taskDefinition", value)
        bare = {key: item for key, item in inner.items() if key not in READ_ONLY}
        return not validator.validate(bare, shape).has_errors()

    return is_valid(_loaded(made.text)) or not is_valid(_loaded(text))


def _loaded(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"))


_DEFINITION_PROMISES: dict[str, Callable[[str, Made], bool]] = {
    "protecting again, without any look-up, changes no byte": lambda _, made: (
        _protect(made.text, LookUps.NONE).text == made.text
    ),
    "unprotecting gives the input back, byte for byte": lambda text, made: unprotect(made.text) == text,
    "`verify` passes, with the same settings": _passes_the_gate,
    "the result reads again, with as many definitions": _reads_again,
}


# Dockerfiles.


def _protect_dockerfile(text: str, looking: LookUps) -> Made:
    needed = looking is LookUps.ANSWERED and dockerfile.needed_image(text, settings=DOCKERFILE_SETTINGS) is not None
    return Made(dockerfile.protect(text, image=STAND_IN if needed else None, settings=DOCKERFILE_SETTINGS).text)


def _prepared_dockerfile(text: str) -> Callable[[], object]:
    image = STAND_IN if dockerfile.needed_image(text, settings=DOCKERFILE_SETTINGS) is not None else None
    return lambda: dockerfile.protect(text, image=image, settings=DOCKERFILE_SETTINGS)


def _reads_the_same(text: str, made: Made) -> bool:
    """Return whether a second parser still finds all it found in the input, in the same order, but for the ENTRYPOINT.

    `dockerfile-parse` knows no here-documents and no other escape character than the backslash, in both texts alike.
    """
    before, after = _instructions(text), _instructions(made.text)
    lost = Counter(before) - Counter(after)
    rest = iter(after)
    kept = all(item in rest for item in before if item[0] != "ENTRYPOINT")
    return kept and lost.total() <= 1


def _instructions(text: str) -> list[tuple[str, str]]:
    from dockerfile_parse import DockerfileParser  # noqa: PLC0415 - the other formats do without

    found = DockerfileParser(fileobj=io.BytesIO(text.encode())).structure
    return [(item["instruction"].upper(), item["value"]) for item in found if item["instruction"] != "COMMENT"]


_DOCKERFILE_PROMISES: dict[str, Callable[[str, Made], bool]] = {
    "protecting again, without any look-up, changes no byte": lambda _, made: (
        _protect_dockerfile(made.text, LookUps.NONE).text == made.text
    ),
    "unprotecting gives the input back, byte for byte": lambda text, made: dockerfile.unprotect(made.text) == text,
    "`verify` passes, with the same settings": lambda _, made: (
        dockerfile.verify(made.text, version=VERSION, settings=DOCKERFILE_SETTINGS) == []
    ),
    "`dockerfile-parse` reads what it read before, but for the ENTRYPOINT": _reads_the_same,
}


# Manifests of Cloud Foundry.


def _known(text: str) -> dict[str, Any]:
    apps = cloud_foundry.app_folders(text)
    return {
        "procfiles": {app.name: PROCFILE for app in apps},
        "images": {app.image: STAND_IN for app in apps if app.image is not None},
    }


def _protect_manifest(text: str, looking: LookUps) -> Made:
    given = _known(text) if looking is LookUps.ANSWERED else {}
    made = cloud_foundry.protect(text, settings=MANIFEST_SETTINGS, **given)
    return Made(made.text, len(made.report.apps), sum(not app.app_id for app in made.report.apps))


def _prepared_manifest(text: str) -> Callable[[], object]:
    given = _known(text)
    return lambda: cloud_foundry.protect(text, settings=MANIFEST_SETTINGS, **given)


def _says_the_same(text: str, made: Made) -> bool:
    """Return whether PyYAML reads the same apps, but for what they start and the variables they get."""
    before, after = yaml.safe_load(text), yaml.safe_load(made.text)
    ours = ("command", "env", "processes", "sidecars")

    def others(value: Any) -> Any:
        apps = [{key: item for key, item in app.items() if key not in ours} for app in value["applications"]]
        return {**{key: item for key, item in value.items() if key not in ours}, "applications": apps}

    kept = [(app.get("env") or {}).items() for app in before["applications"]]
    given = [(app.get("env") or {}).items() for app in after["applications"]]
    return others(before) == others(after) and all(old <= new for old, new in zip(kept, given, strict=True))


_MANIFEST_PROMISES: dict[str, Callable[[str, Made], bool]] = {
    "protecting again changes no byte": lambda _, made: (
        _protect_manifest(made.text, LookUps.ANSWERED).text == made.text
    ),
    "unprotecting gives the input back, byte for byte": lambda text, made: cloud_foundry.unprotect(made.text) == text,
    "`verify` passes": lambda _, made: cloud_foundry.verify(made.text, version=VERSION) == [],
    "PyYAML reads the same apps, but for what they start and the variables added": _says_the_same,
}

FORMATS = (
    Format(
        name="Amazon ECS",
        folder="taskdefs",
        takes=_is_text,
        protect=_protect,
        prepared=_prepared,
        count=_count,
        promises={
            **_DEFINITION_PROMISES,
            "botocore's model takes the result whenever it took the input": _is_registrable,
        },
    ),
    Format(
        name="CloudFormation",
        folder="cfn",
        takes=_is_text,
        protect=_protect,
        prepared=_prepared,
        count=_count,
        promises=_DEFINITION_PROMISES,
        outside=Outside.CFN_LINT,
    ),
    Format(
        name="with another vendor's agent",
        folder="protected",
        takes=_is_text,
        protect=_protect,
        prepared=_prepared,
        count=_count,
        promises=_DEFINITION_PROMISES,
    ),
    Format(
        name="Dockerfile",
        folder="dockerfiles",
        takes=lambda path: path.is_file(),
        protect=_protect_dockerfile,
        prepared=_prepared_dockerfile,
        promises=_DOCKERFILE_PROMISES,
    ),
    Format(
        name="Cloud Foundry",
        folder="cf-manifests",
        takes=_is_text,
        protect=_protect_manifest,
        prepared=_prepared_manifest,
        promises=_MANIFEST_PROMISES,
    ),
)
