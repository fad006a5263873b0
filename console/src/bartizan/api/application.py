"""The ASGI application."""

from typing import Any

from fastapi import FastAPI

from bartizan.api import document, errors
from bartizan.api.context import ApiServices
from bartizan.api.limits import Limits
from bartizan.api.pages import Pages
from bartizan.api.recording import Recording
from bartizan.api.routes import (
    alerts,
    audits,
    backups,
    browser_session,
    changes,
    collections,
    credentials,
    custom_rules,
    defenders,
    deployed_defenders,
    discoveries,
    dockerfile,
    events,
    firewall,
    firewall_audits,
    firewall_revisions,
    forensics,
    images,
    incidents,
    investigation,
    known_images,
    oidc,
    openapi_specs,
    overview,
    policies,
    policy_revisions,
    policy_trials,
    profiles,
    proxy,
    registries,
    rulesets,
    scrubbing,
    session,
    settings,
    system,
    tokens,
    users,
)

# Of the API, not of the product.
_VERSION = "1"
_ROUTES = (
    session,
    overview,
    browser_session,
    users,
    oidc,
    tokens,
    changes,
    policies,
    policy_revisions,
    policy_trials,
    firewall_revisions,
    firewall,
    openapi_specs,
    discoveries,
    rulesets,
    scrubbing,
    audits,
    firewall_audits,
    events,
    incidents,
    # Behind the others: one of its paths ends in any word.
    investigation,
    forensics,
    profiles,
    defenders,
    dockerfile,
    # Behind the others: one of its paths ends in any word.
    deployed_defenders,
    images,
    settings,
    system,
    backups,
    credentials,
    custom_rules,
    collections,
    registries,
    known_images,
    alerts,
    proxy,
)
_ABOUT = "The API of the Bartizan Console. Paths and names are those that existing pipelines use."


def create_api(services: ApiServices | None) -> FastAPI:
    """Return the application; without services it can only be described (for `make gen`)."""
    app = FastAPI(
        redirect_slashes=False,
        title="Bartizan Console",
        version=_VERSION,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    for routes in _ROUTES:
        app.router.routes.extend(routes.router.routes)
    errors.install(app)
    app.add_middleware(Recording, api=app)
    app.add_middleware(Pages)
    app.add_middleware(Limits)
    cached: dict[str, Any] = {}

    def describe() -> dict[str, Any]:
        if not cached:
            cached.update(document.build(app))
        return cached

    app.openapi = describe  # type: ignore[method-assign]
    document.permissions(app)
    return app


__all__ = ["ApiServices", "create_api"]
