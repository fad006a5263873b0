"""The transform as the Console uses it: `bartizan.embed`, with its errors told to the users of the API."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bartizan.embed import EmbedError, ImageConfig, ProtectSettings, needed_images, protect
from bartizan.services.errors import InvalidError
from bartizan.services.image_lookup import ImageRecord, WantedImage
from bartizan.services.protect_task import ProtectRequest

_ARCHITECTURES = {"ARM64": "arm64", "X86_64": "amd64"}


class TaskEmbedder:
    """Implements `Embedder`."""

    def needed_images(self, definition: bytes, request: ProtectRequest) -> Sequence[WantedImage]:
        """Return the images that say what containers start. Raises InvalidError with the reason for a refusal."""
        text = _text(definition)
        try:
            references = needed_images(text, settings=_settings(request))
        except EmbedError as error:
            raise InvalidError(str(error)) from None
        document = _plain(text)
        architecture = _architecture(document)
        return [
            WantedImage(reference=reference, architecture=architecture, containers=_users(document, reference))
            for reference in references
        ]

    def protect(self, definition: bytes, request: ProtectRequest, images: Mapping[WantedImage, ImageRecord]) -> bytes:
        """Return the protected definition. Raises InvalidError with the reason for a refusal."""
        configs = {
            image.reference: ImageConfig(
                entrypoint=record.entrypoint, cmd=record.cmd, origin=record.origin, digest=record.digest
            )
            for image, record in images.items()
        }
        try:
            return protect(_text(definition), images=configs, settings=_settings(request)).text.encode()
        except EmbedError as error:
            raise InvalidError(str(error)) from None


def _settings(request: ProtectRequest) -> ProtectSettings:
    if request.cloud_formation:
        raise InvalidError("`cloudFormation`: CloudFormation templates are not supported yet, send the task definition")
    return ProtectSettings(
        defender_image=request.defender_image,
        version=request.version,
        install_bundle=request.install_bundle,
        ws_address=request.ws_address,
        image_pull_secret=request.image_pull_secret,
        filesystem_monitoring=request.filesystem_monitoring,
    )


def _text(definition: bytes) -> str:
    try:
        return definition.decode()
    except UnicodeDecodeError as error:
        raise InvalidError(f"the task definition is not UTF-8: byte {error.start}") from None


def _plain(text: str) -> object:
    """Return the definition as plain values; nothing for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _users(document: object, reference: str) -> tuple[str, ...]:
    """Return the names of the containers that run an image."""
    return tuple(
        str(item.get("name") or item.get("Name") or "")
        for item in _objects(document)
        if reference in (item.get("image"), item.get("Image"))
    )


def _architecture(document: object) -> str:
    """Return the architecture that the task asks for; Fargate's default is X86_64."""
    for item in _objects(document):
        named = item.get("cpuArchitecture") or item.get("CpuArchitecture")
        if isinstance(named, str):
            return _ARCHITECTURES.get(named.upper(), "amd64")
    return "amd64"


def _objects(document: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    left = [document]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            found.append(item)
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
    return found
