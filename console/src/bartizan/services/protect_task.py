"""A task definition comes in over the API and goes out protected."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from bartizan.services.bundles import Bundles


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectRequest:
    """What the transform is told beside the definition; `version` is that of Console and Defender."""

    install_bundle: str
    ws_address: str
    defender_image: str
    version: str
    image_pull_secret: str | None
    filesystem_monitoring: bool


class Embedder(Protocol):
    """The transform."""

    def __call__(self, definition: bytes, request: ProtectRequest) -> bytes:
        """Return the protected definition; raise InvalidError with the reason for a refusal."""
        ...


class ProtectTask:
    """Protects task definitions with this Console's install bundle."""

    def __init__(self, bundles: Bundles, embedder: Embedder, *, defender_image: str, version: str) -> None:
        self._bundles = bundles
        self._embedder = embedder
        self.defender_image = defender_image
        self._version = version

    async def protect(
        self,
        definition: bytes,
        *,
        console: str,
        defender_image: str | None,
        image_pull_secret: str | None,
        filesystem_monitoring: bool,
    ) -> bytes:
        """Return the protected definition. Raises InvalidError with the reason for a refusal."""
        bundle = self._bundles.install_bundle(console)
        request = ProtectRequest(
            install_bundle=bundle.text,
            ws_address=bundle.ws_address,
            defender_image=defender_image or self.defender_image,
            version=self._version,
            image_pull_secret=image_pull_secret,
            filesystem_monitoring=filesystem_monitoring,
        )
        return await asyncio.to_thread(self._embedder, definition, request)
