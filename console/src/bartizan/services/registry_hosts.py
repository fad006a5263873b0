"""Hosts of registries, as people write them and as they are compared (pure)."""

import ipaddress
import re
from urllib.parse import urlsplit

from bartizan.services.errors import InvalidError

DOCKER_HUB = "docker.io"
_HUB_NAMES = frozenset(
    ("index.docker.io", "registry-1.docker.io", "hub.docker.com", "registry.hub.docker.com", DOCKER_HUB)
)
# ECR user guide, "Private registries"; "ECR FIPS endpoints"; China has its own suffix.
_ECR = re.compile(
    r"[0-9]{12}\.dkr(?:\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"|-ecr(?:-fips)?\.(?P<region2>[a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.com\.cn))"
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LONGEST = 253
_HIGHEST_PORT = 65535
_HTTPS = 443


def registry_host(text: str, *, where: str) -> str:
    """
    Return the host[:port] of `https://host[:port][/…]` or `host[:port]`, lower case; Docker Hub's names become one.

    `where` is the field that it came in. Raises InvalidError for what no registry can have, and for `http://`.
    """
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme == "http":
        raise InvalidError(f"`{where}`: `http://` would send the secret in the clear, registries are asked over TLS")
    if parts.scheme != "https" or parts.username is not None or parts.query or parts.fragment or not _is_host(host):
        raise InvalidError(f"`{where}`: not the address of a registry, such as `https://registry.example.com:5000`")
    return normal_host(f"[{host}]" if ":" in host else host, port)


def normal_host(host: str, port: int | None = None) -> str:
    """Return the one form of a host that hosts are compared in."""
    name = host.lower().removesuffix(".")
    if name in _HUB_NAMES:
        return DOCKER_HUB
    return name if port in (None, _HTTPS) else f"{name}:{port}"


def ecr_region(host: str) -> str | None:
    """Return the region of an Amazon ECR registry's host, None for another registry."""
    found = _ECR.fullmatch(host)
    return (found["region"] or found["region2"]) if found else None


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host) <= _LONGEST and all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))
    return True
