"""Why a use-case refuses. The message is one sentence for the person who asked; it never holds a secret."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_PLACE = re.compile(r" - at `(\$[A-Za-z0-9_.\[\]]*)`$")


class ServiceError(Exception):
    """Base of all refusals."""


class InvalidError(ServiceError):
    """The request cannot be right."""


class TooLargeError(ServiceError):
    """More was sent than is read."""


class UnauthorizedError(ServiceError):
    """It is not known who asks."""


class ForbiddenError(ServiceError):
    """It is known who asks, and they may not."""


class ConflictError(ServiceError):
    """The request does not fit the present state."""


class StaleError(ServiceError):
    """What the request was made from has changed since; `changed` says to what, by whom and when."""

    def __init__(self, message: str, *, changed: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.changed = changed


class MissingError(ServiceError):
    """What was asked for is not here."""


class TooManyAttemptsError(ServiceError):
    """Too many failures; `retry_after` seconds have to pass."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(ServiceError):
    """It could not be done now, and may succeed later: after `retry_after` seconds, if that is known."""

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamError(ServiceError):
    """Somebody whom we had to ask, a registry, did not answer as it should; it may later."""


class UpstreamTimeoutError(ServiceError):
    """Somebody whom we had to ask did not answer in time."""


def misfit(error: msgspec.ValidationError) -> str:
    """Return what is wrong with a JSON value and where, without the value: it may be a secret in the wrong place."""
    text = str(error)
    if not text.startswith("Invalid"):
        return text[:1].lower() + text[1:]
    place = _PLACE.search(text)
    return f"invalid value at `{place.group(1)}`" if place else "invalid value"
