"""Images: looked up and opened in registries, layouts, archives, directories; unpacked safely; written too."""

from bartizan.registry.access import Access, Credential, Patience
from bartizan.registry.docker_config import docker_config_credentials, run_credential_helper
from bartizan.registry.errors import BusyError, ImageError, RegistryFaultError, UnreachableError
from bartizan.registry.image import Image, ImageConfig, Layer
from bartizan.registry.layers import Limits, unpack_layer
from bartizan.registry.lookup import LookUp, look_up, look_up_all, look_up_source
from bartizan.registry.platforms import Platform, parse_platform
from bartizan.registry.privileged import PrivilegedFile, privileged_files
from bartizan.registry.reference import Reference, parse_reference, registry_name
from bartizan.registry.sources import open_image
from bartizan.registry.writer import File, Link, defender_image, write_image

__all__ = [
    "Access",
    "BusyError",
    "Credential",
    "File",
    "Image",
    "ImageConfig",
    "ImageError",
    "Layer",
    "Limits",
    "Link",
    "LookUp",
    "Patience",
    "Platform",
    "PrivilegedFile",
    "Reference",
    "RegistryFaultError",
    "UnreachableError",
    "defender_image",
    "docker_config_credentials",
    "look_up",
    "look_up_all",
    "look_up_source",
    "open_image",
    "parse_platform",
    "parse_reference",
    "privileged_files",
    "registry_name",
    "run_credential_helper",
    "unpack_layer",
    "write_image",
]
