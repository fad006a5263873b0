"""
Every refusal of the API is `{"err": "…"}`.

That of a policy has its `problems` one by one, too; that of a change that came too late what was `changed` meanwhile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bartizan.policy import PolicyError
from bartizan.services.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    MissingError,
    ServiceError,
    StaleError,
    TooLargeError,
    TooManyAttemptsError,
    UnauthorizedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)

_STATUS: dict[type[ServiceError], int] = {
    InvalidError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    MissingError: 404,
    ConflictError: 409,
    StaleError: 412,
    TooLargeError: 413,
    TooManyAttemptsError: 429,
    UpstreamError: 502,
    UnavailableError: 503,
    UpstreamTimeoutError: 504,
}
_SENTENCES = {404: "there is nothing at this path", 405: "this path does not take this method"}


def problem(
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
    *,
    problems: Sequence[str] = (),
    changed: Mapping[str, Any] | None = None,
) -> Response:
    """
    Return the response for a refusal; `problems` are its reasons one by one, where there may be several.

    `changed` is what somebody else did meanwhile.
    """
    body: dict[str, Any] = {"err": message}
    if problems:
        body["problems"] = problems
    if changed is not None:
        body["changed"] = changed
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers)


def install(app: FastAPI) -> None:
    """Let the application answer all exceptions this way."""

    @app.exception_handler(ServiceError)
    async def refused(request: Request, error: ServiceError) -> Response:
        headers = {}
        # To a page's script it would open the browser's own dialogue.
        if isinstance(error, UnauthorizedError) and request.headers.get("sec-fetch-mode", "navigate") == "navigate":
            headers["WWW-Authenticate"] = 'Basic realm="Bartizan", charset="UTF-8"'
        if isinstance(error, TooManyAttemptsError | UnavailableError) and error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, StaleError):
            return problem(412, str(error), changed=error.changed)
        return problem(_status(error), str(error), headers)

    @app.exception_handler(PolicyError)
    async def bad_policy(_request: Request, error: PolicyError) -> Response:
        return problem(400, str(error), problems=error.shown)

    @app.exception_handler(RequestValidationError)
    async def bad_parameters(_request: Request, error: RequestValidationError) -> Response:
        found = [f"`{item['loc'][-1]}`: {item['msg'][:1].lower()}{item['msg'][1:]}" for item in error.errors()]
        return problem(422, "; ".join(found))

    @app.exception_handler(HTTPException)
    async def http_problem(_request: Request, error: HTTPException) -> Response:
        message = _SENTENCES.get(error.status_code, str(error.detail).lower())
        return problem(error.status_code, message, dict(error.headers) if error.headers else None)


def _status(error: ServiceError) -> int:
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
