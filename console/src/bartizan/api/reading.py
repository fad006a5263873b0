"""Reading what a request says, strictly."""

from typing import TypeVar

import msgspec
from starlette.requests import Request

from bartizan.services.errors import InvalidError, misfit

_T = TypeVar("_T")


async def read_body(request: Request, shape: type[_T]) -> _T:
    """Return the JSON body as this shape. Raises InvalidError, which never repeats a value."""
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except msgspec.ValidationError as error:
        raise InvalidError(f"the body does not fit: {misfit(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidError("the body is not JSON") from None


def only_known_parameters(request: Request, known: frozenset[str]) -> None:
    """Raise InvalidError for query parameters that nobody reads: a filter that is ignored would give wrong answers."""
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        names = ", ".join(f"`{name[:64]}`" for name in unknown[:10])
        raise InvalidError(f"unknown query parameter {names}; possible are {', '.join(sorted(known))}")


def values(given: list[str] | None) -> tuple[str, ...]:
    """Return the values of a parameter that may be repeated or hold several, separated by commas."""
    return tuple(part for item in given or () for part in item.split(",") if part)
