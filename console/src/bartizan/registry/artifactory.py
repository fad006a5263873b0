"""JFrog Artifactory: where it answers, and how its keys and tokens are sent (pure).

By the repository-path method the first part of an image's name is the key of an Artifactory repository, and the API is
at `/artifactory/api/docker/<key>/v2/`; by the sub-domain and port methods (and behind a reverse proxy) it is at `/v2/`
like any registry's (JFrog, "Docker registry", "Get started with Artifactory as a Docker registry").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bartizan.registry.access import Credential

_API_KEY = "AKC"


def artifactory_roots(repository: str) -> tuple[tuple[str, str], ...]:
    """Return where to ask for a repository, in this order: the root of the API and the repository's name below it."""
    key, slash, rest = repository.partition("/")
    plain = ("/v2/", repository)
    return ((f"/artifactory/api/docker/{key}/v2/", rest), plain) if slash else (plain,)


def artifactory_headers(credential: Credential) -> dict[str, str]:
    """Return the header for a key or token that stands alone; empty when a user name says that it is a password.

    API keys begin with `AKC` and have a header of their own; everything else is an access or identity token.
    """
    if credential.user:
        return {}
    if credential.secret.startswith(_API_KEY):
        return {"x-jfrog-art-api": credential.secret}
    return {"authorization": f"Bearer {credential.secret}"}
