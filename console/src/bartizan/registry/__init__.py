"""Images: opened from layouts, archives, directories and registries; unpacked safely; written without a base."""

from bartizan.registry.errors import ImageError
from bartizan.registry.image import Image, ImageConfig, Layer
from bartizan.registry.layers import Limits, unpack_layer
from bartizan.registry.sources import open_image
from bartizan.registry.writer import File, Link, defender_image, write_image

__all__ = [
    "File",
    "Image",
    "ImageConfig",
    "ImageError",
    "Layer",
    "Limits",
    "Link",
    "defender_image",
    "open_image",
    "unpack_layer",
    "write_image",
]
