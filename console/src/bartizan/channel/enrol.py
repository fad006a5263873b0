"""The exchange on `/enrol`: one request, one answer, and the connection ends."""

import asyncio
import contextlib
import logging

import msgspec

from bartizan.channel.connection import Connection, ConnectionClosedError
from bartizan.channel.messages import Enrol, Enrolled, Error, ErrorCode, Message, encode, enrol_decoder
from bartizan.services.enrolment import Enrolment
from bartizan.services.errors import (
    ConflictError,
    InvalidError,
    ServiceError,
    TooManyAttemptsError,
    UnauthorizedError,
    misfit,
)

_log = logging.getLogger(__name__)
_CODES: dict[type[ServiceError], ErrorCode] = {
    UnauthorizedError: ErrorCode.UNAUTHORIZED,
    InvalidError: ErrorCode.BAD_MESSAGE,
    ConflictError: ErrorCode.CONFLICT,
    TooManyAttemptsError: ErrorCode.RATE_LIMITED,
}


async def serve_enrolment(connection: Connection, enrolment: Enrolment, *, request_seconds: float) -> None:
    """Answer one enrolment and close."""
    with contextlib.suppress(ConnectionClosedError, TimeoutError):
        async with asyncio.timeout(request_seconds):
            frame = await connection.receive()
        answer = await _answer(frame, enrolment, connection.address)
        async with asyncio.timeout(request_seconds):
            await connection.send(encode(answer))
            await connection.close()


async def _answer(frame: str | bytes, enrolment: Enrolment, address: str) -> Message:
    try:
        request = _decode(frame)
        certificate = await enrolment.enrol(
            bundle=request.bundle, secret=request.secret, csr=request.csr, instance=request.instance, address=address
        )
    except ServiceError as error:
        _log.warning("enrolment from %s refused: %s", address, error)
        retry = error.retry_after if isinstance(error, TooManyAttemptsError) else None
        return Error(code=_CODES.get(type(error), ErrorCode.UNAVAILABLE), message=str(error), retry_after_seconds=retry)
    _log.info("defender %s enrolled from %s with bundle %s", request.instance, address, request.bundle)
    return Enrolled(certificate=certificate.pem, ca=certificate.ca, not_after=certificate.not_after)


def _decode(frame: str | bytes) -> Enrol:
    try:
        return enrol_decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise InvalidError(f"the message does not fit the contract: {misfit(error)}") from None
    except (msgspec.DecodeError, RecursionError):
        raise InvalidError("the message is not JSON") from None
