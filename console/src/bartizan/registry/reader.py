"""Registries as the Console asks them: implements `RegistryReader` of its use-cases."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from bartizan.registry.access import Access, Credential, Kind
from bartizan.registry.assumed_role import assume_role
from bartizan.registry.errors import BusyError, ImageError, RegistryFaultError, UnreachableError
from bartizan.registry.layers import Limits
from bartizan.registry.lookup import look_up
from bartizan.registry.platforms import parse_platform
from bartizan.registry.privileged import privileged_files
from bartizan.registry.reference import parse_reference
from bartizan.registry.sources import open_image
from bartizan.services.errors import (
    InvalidError,
    ServiceError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from bartizan.services.image_lookup import Ask, ImageRecord
from bartizan.services.registries import ImageName
from bartizan.services.registry_hosts import normal_host

if TYPE_CHECKING:
    from bartizan.registry.image import Layer

# What a Console fetches and unpacks of one layer on somebody's behalf; larger images are looked through by the CLI.
_LARGEST_LAYER = 1 << 30
_LARGEST_UNPACKED = 4 << 30
_KINDS: dict[str, Kind] = {"basic": "basic", "token": "token", "ecr": "ecr", "jfrog": "jfrog"}


class RegistryReader:
    """
    Implements `RegistryReader`.

    `access` is what all look-ups have in common, by default with private addresses forbidden; `sts_endpoint` replaces
    the address of AWS STS.
    """

    def __init__(self, access: Access | None = None, *, sts_endpoint: str | None = None) -> None:
        self._access = access or Access(allow_private=False)
        self._sts_endpoint = sts_endpoint

    def name(self, reference: str) -> ImageName:
        """Return a reference in its parts. Raises InvalidError."""
        try:
            found = parse_reference(reference)
        except ImageError as error:
            raise InvalidError(str(error)) from None
        host, colon, port = found.registry.rpartition(":")
        home = normal_host(host, int(port)) if colon and port.isdecimal() else found.registry
        # Beside a digest a tag is an ornament: nothing says that it stands for that digest, now or ever.
        tag, digest = ("", found.digest) if found.digest else (found.tag, "")
        return ImageName(host=home, repository=found.repository, tag=tag, digest=digest)

    def look_up(self, ask: Ask) -> ImageRecord:
        """Return what the registry says. Raises as the Protocol has it."""
        try:
            found = look_up(ask.reference, access=self._prepared(ask), architecture=ask.architecture)
        except ImageError as error:
            raise _told(error) from None
        return ImageRecord(
            reference=ask.reference,
            name=self.name(ask.reference),
            architecture=ask.architecture,
            digest=found.digest or "",
            manifest_digest=found.manifest_digest or "",
            entrypoint=found.config.entrypoint,
            cmd=found.config.cmd,
            user=found.config.user,
            shell=found.config.shell,
            origin=f"registry `{ask.host}`",
        )

    def privileged(self, ask: Ask) -> tuple[str, ...]:
        """Return the programs that gain rights. Raises as the Protocol has it.

        One image is as good as another: those of all architectures bring the same programs.
        """
        ends = time.monotonic() + ask.seconds
        access = replace(self._prepared(ask), largest_blob=_LARGEST_LAYER)
        access = replace(access, patience=replace(access.patience, layer=ask.seconds))
        failures: list[ImageError] = []
        for architecture in (ask.architecture, "arm64" if ask.architecture == "amd64" else "amd64"):
            try:
                image = open_image(f"docker://{ask.reference}", access=access, platform=parse_platform(architecture))
                image = replace(image, layers=tuple(_until(ends, layer) for layer in image.layers))
                files = privileged_files(image, limits=Limits(size=_LARGEST_UNPACKED))
                return tuple(f"{file.path} ({file.by})" for file in files if not file.is_stock)
            except ImageError as error:
                failures.append(error)
        raise _told(failures[0])

    def _prepared(self, ask: Ask) -> Access:
        """Return the access for one look-up."""
        home = parse_reference(ask.reference).registry
        patience = replace(self._access.patience, total=ask.seconds)
        access = replace(self._access, private_hosts=ask.private_hosts, patience=patience, ca_pem=ask.ca_cert)
        credential = self._credential(ask, access)
        return access.with_credentials(lambda host: credential if host == home else None)

    def _credential(self, ask: Ask, access: Access) -> Credential | None:
        if ask.credential is None:
            return None
        known = ask.credential.credential
        made = Credential(kind=_KINDS[ask.kind], user=known.account, secret=ask.credential.secret, region=known.region)
        if not known.role_arn:
            return made
        return assume_role(made, known.role_arn, host=ask.host, access=access, endpoint=self._sts_endpoint)


def _until(ends: float, layer: Layer) -> Layer:
    """Return a layer that is not opened any more after a time (of `time.monotonic`)."""

    def opened() -> BinaryIO:
        if time.monotonic() > ends:
            raise UnreachableError("its layers took too long", timed_out=True)
        return layer.open()

    return replace(layer, open=opened)


def _told(error: ImageError) -> ServiceError:
    """Return the error of the use-case: whether it helps to try again decides its kind."""
    message = str(error)
    match error:
        case UnreachableError(distrusted=True):
            return InvalidError(f"{message}; give its authority in `caCert` of POST /api/v1/settings/registry")
        case UnreachableError(timed_out=True):
            return UpstreamTimeoutError(message)
        case BusyError():
            return UnavailableError(message, retry_after=math.ceil(error.retry_after) if error.retry_after else None)
        case RegistryFaultError():
            return UpstreamError(message)
    return InvalidError(message)
