"""Reading what a request says, strictly."""

from datetime import UTC, datetime
from typing import Any, TypeVar

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


def milliseconds(moment: datetime | None) -> int | None:
    """Return a time of a query as unix milliseconds; one without time zone is UTC."""
    if moment is None:
        return None
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000)


async def read_vendor_body(request: Request, shape: type[_T], *, ignored: frozenset[str] = frozenset()) -> _T:
    """
    Return the JSON body as this shape; fields of the vendor that we lack may come while they ask for nothing.

    `ignored` are fields that the server sets itself, whatever a client sends. Raises InvalidError, which names fields
    but never repeats a value.
    """
    body = await read_body(request, dict[str, Any])
    return fitted(body, shape, ignored=ignored)


def fitted(body: dict[str, Any], shape: type[_T], *, ignored: frozenset[str] = frozenset(), where: str = "") -> _T:
    """Return decoded JSON as this shape, as `read_vendor_body` does; `where` leads the messages."""
    known = {field.encode_name for field in msgspec.structs.fields(shape)} | ignored  # type: ignore[arg-type]
    asking = sorted(name for name, value in body.items() if name not in known and not _asks_nothing(value))
    if asking:
        names = ", ".join(f"`{name[:64]}`" for name in asking[:10])
        raise InvalidError(f"{where}{names}: this Console cannot do that, leave it out or empty")
    wanted = {name: value for name, value in body.items() if name in known - ignored and value is not None}
    try:
        return msgspec.convert(wanted, shape)
    except msgspec.ValidationError as error:
        raise InvalidError(f"{where}the body does not fit: {misfit(error)}") from None


def _asks_nothing(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_asks_nothing, value.values()))
    if isinstance(value, list):
        return all(map(_asks_nothing, value))
    # Go's zero time: what the vendor's clients send for a time that was never set.
    return value in (None, False, 0, "", "0001-01-01T00:00:00Z")
