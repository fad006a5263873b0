"""A Defender gets its first certificate for the secret of an install bundle, and later ones for the one it has."""

import asyncio
from dataclasses import dataclass

from bartizan.services.bundles import Bundles
from bartizan.services.defenders import Defenders
from bartizan.services.errors import ConflictError, InvalidError, UnauthorizedError
from bartizan.services.failure_limit import FailureLimit
from bartizan.services.interfaces import CertificateIssuer, ClientIdentity, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A Defender's certificate and the authority's (both PEM), and the first one's end (unix milliseconds)."""

    pem: str
    ca: str
    not_after: int


class Enrolment:
    """Issues Defenders' certificates; `life` is in milliseconds."""

    def __init__(
        self, bundles: Bundles, defenders: Defenders, issuer: CertificateIssuer, *, life: int, clock: Clock
    ) -> None:
        self._bundles = bundles
        self._defenders = defenders
        self._issuer = issuer
        self._life = life
        self._clock = clock
        self._limit = FailureLimit(clock=clock)

    async def enrol(self, *, bundle: str, secret: str, csr: str, instance: str, address: str) -> Certificate:
        """
        Return a certificate for an instance.

        Raises UnauthorizedError for a wrong or revoked bundle or instance, TooManyAttemptsError for an address that
        guesses, InvalidError for a CSR that will not do, ConflictError when the instance belongs to another key.
        """
        if not self._bundles.opens(bundle, secret):
            # Only failures wait: Defenders with a good bundle may share an address with one that has a bad one.
            self._limit.check(address)
            self._limit.failed(address)
            raise UnauthorizedError("the install bundle is not valid, or was revoked")
        if self._defenders.is_revoked(instance):
            raise UnauthorizedError("this Defender was shut out")
        certificate, identity = await self._issue(csr, instance, bundle)
        if not self._defenders.admits(identity):
            raise ConflictError("this instance is bound to another key, start with a new instance")
        return certificate

    async def renew(self, present: ClientIdentity, csr: str) -> tuple[Certificate, ClientIdentity]:
        """Return a new certificate for the holder of the present one. Raises InvalidError or UnauthorizedError."""
        if not self._bundles.is_live(present.bundle):
            raise UnauthorizedError("the install bundle was revoked")
        certificate, identity = await self._issue(csr, present.instance, present.bundle)
        self._defenders.renewed(identity)
        return certificate, identity

    async def _issue(self, csr: str, instance: str, bundle: str) -> tuple[Certificate, ClientIdentity]:
        try:
            pem, identity = await asyncio.to_thread(
                self._issuer.issue_client, csr, instance=instance, bundle=bundle, now=self._clock(), life=self._life
            )
        except ValueError as error:
            raise InvalidError(str(error)) from None
        return Certificate(pem=pem, ca=self._issuer.ca_pem, not_after=identity.not_after), identity
