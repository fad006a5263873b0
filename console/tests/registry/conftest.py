"""Registries that live as long as the session: starting one takes a moment, and no test changes what another reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.registry.servers import (
    HTPASSWD,
    HUB_TOKENS,
    LOGIN,
    Registry,
    TokenService,
    basic,
    certificate,
    docker_registry,
    push_family,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate and its key; it is its own CA."""
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, pem: Path) -> Iterator[Registry]:
    """Run a docker-registry with TLS and passwords."""
    home = tmp_path_factory.mktemp("registry")
    (home / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(home / "htpasswd")}}
    with docker_registry(home, pem, auth=auth, push_headers=lambda _repository: basic(*LOGIN)) as running:
        yield running


@pytest.fixture(scope="session")
def family(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Push `team/tool` for two platforms in that registry, by its digests."""
    return push_family(registry, "team/tool", tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="session")
def tokens(pem: Path) -> Iterator[TokenService]:
    """Run a token service with TLS."""
    service = TokenService(pem)
    with service.server:
        yield service


def token_auth(realm: str, tokens: TokenService, pem: Path) -> dict[str, object]:
    """Return the settings of docker-registry for a token service."""
    about = {"realm": realm, "service": tokens.service, "issuer": tokens.issuer, "rootcertbundle": str(pem)}
    return {"token": about}


@pytest.fixture(scope="session")
def token_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the images of the registries with tokens are."""
    return tmp_path_factory.mktemp("token-data")


@pytest.fixture(scope="session")
def token_registry(
    tmp_path_factory: pytest.TempPathFactory, pem: Path, tokens: TokenService, token_data: Path
) -> Iterator[Registry]:
    """Run a docker-registry that wants the tokens of that service, with `…/tool` of `public`, `library` and `team`."""
    home = tmp_path_factory.mktemp("token-registry")
    auth = token_auth(f"https://{tokens.server.host}/token", tokens, pem)

    def push_headers(repository: str) -> dict[str, str]:
        return {"authorization": "Bearer " + tokens.token(f"repository:{repository}:push", ("pull", "push"))}

    with docker_registry(home, pem, auth=auth, push_headers=push_headers, data=token_data) as running:
        for repository in ("public/tool", "library/tool", "team/tool"):
            push_family(running, repository, home)
        yield running


@pytest.fixture(scope="session")
def hub(
    tmp_path_factory: pytest.TempPathFactory, tokens: TokenService, token_registry: Registry, token_data: Path
) -> Iterator[Registry]:
    """Serve the same images under the names of Docker Hub: its token service is on another host."""
    home = tmp_path_factory.mktemp("hub")
    auth = token_auth(f"https://{HUB_TOKENS}/token", tokens, token_registry.ca)
    with docker_registry(
        home, token_registry.ca, auth=auth, push_headers=token_registry.push_headers, data=token_data
    ) as running:
        yield running
