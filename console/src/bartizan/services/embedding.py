"""The transform as the Console uses it: `bartizan.embed`, with its errors told to the users of the API."""

from collections.abc import Mapping, Sequence

from bartizan.embed import EmbedError, ImageConfig, ProtectSettings, needed_images, protect, settings_of
from bartizan.services.errors import InvalidError
from bartizan.services.image_lookup import ImageRecord, WantedImage
from bartizan.services.protect_task import ProtectedTask, ProtectRequest


class TaskEmbedder:
    """Implements `Embedder`."""

    def needed_images(self, definition: bytes, request: ProtectRequest) -> Sequence[WantedImage]:
        """
        Return the images that say what containers start. Raises InvalidError with the reason for a refusal.

        An image whose name only a deployment knows is left out: `protect` refuses its container in its own words.
        """
        try:
            needed = needed_images(_text(definition), settings=_settings(request))
        except EmbedError as error:
            raise InvalidError(str(error)) from None
        users: dict[tuple[str, str], list[str]] = {}
        for image in needed:
            if image.reference is not None:
                users.setdefault((image.reference, image.architecture), []).append(image.container)
        return [
            WantedImage(reference=reference, architecture=architecture, containers=tuple(containers))
            for (reference, architecture), containers in users.items()
        ]

    def protect(
        self, definition: bytes, request: ProtectRequest, images: Mapping[WantedImage, ImageRecord]
    ) -> ProtectedTask:
        """Return the protected definition. Raises InvalidError with the reason for a refusal."""
        try:
            protection = protect(_text(definition), images=_configs(images), settings=_settings(request))
        except EmbedError as error:
            raise InvalidError(str(error)) from None
        return ProtectedTask(
            text=protection.text.encode(),
            warnings=tuple(warning for report in protection.reports for warning in report.warnings),
            containers=tuple(
                (container.name, container.image)
                for report in protection.reports
                for container in report.containers
                if container.skipped is None
            ),
        )


def _configs(images: Mapping[WantedImage, ImageRecord]) -> dict[str, ImageConfig]:
    """Return what images start, by reference. Raises InvalidError when that depends on the architecture."""
    found: dict[str, ImageConfig] = {}
    for image, record in images.items():
        config = ImageConfig(
            entrypoint=record.entrypoint, cmd=record.cmd, origin=record.origin, digest=record.digest or None
        )
        other = found.setdefault(image.reference, config)
        if (other.entrypoint, other.cmd) != (config.entrypoint, config.cmd):
            raise InvalidError(
                f"image `{image.reference}` starts something else on {image.architecture} than on the other "
                "architecture that the template asks for: give `entryPoint` and `command` for its containers"
            )
    return found


def _settings(request: ProtectRequest) -> ProtectSettings:
    return settings_of(
        request.choices,
        bundle=request.install_bundle,
        ws_address=request.ws_address,
        defender_image=request.defender_image,
        version=request.version,
    )


def _text(definition: bytes) -> str:
    try:
        return definition.decode()
    except UnicodeDecodeError as error:
        raise InvalidError(f"the task definition is not UTF-8: byte {error.start}") from None
