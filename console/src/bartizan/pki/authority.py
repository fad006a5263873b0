"""
The private certificate authority: it signs the server's certificate and short-lived ones for Defenders.

Keys are ECDSA P-256. What a Defender's CSR asks for is ignored but its public key: the subject, the purpose and the
life are ours to say (RFC 5280, section 4.2.1.12 for the purposes).
"""

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bartizan.pki.files import PUBLIC, read_private, write_atomically

_CA_DAYS = 3650
_SERVER_DAYS = 397
_RENEW_SERVER_BEFORE = dt.timedelta(days=30)
_SKEW = dt.timedelta(minutes=5)
_NAME_BOUND = 64  # RFC 5280, upper bound of a common name


class CertificateRequestError(ValueError):
    """A CSR that is none, or has the wrong kind of key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a Defender's certificate says: its instance, its bundle, its key (hex SHA-256) and its end (unix ms)."""

    instance: str
    bundle: str
    key: str
    not_after: int


class Authority:
    """The authority of one data directory; made on first use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ca_path = directory / "ca.pem"
        key = read_private(directory / "ca-key.pem")
        if key is None or not self.ca_path.exists():
            if self.ca_path.exists():
                raise ValueError(
                    f"`{directory / 'ca-key.pem'}` is missing, but `{self.ca_path}` is there: restore both"
                )
            self._create()
            key = read_private(directory / "ca-key.pem") or b""
        self._key = _load_key(key, directory / "ca-key.pem")
        try:
            self._certificate = x509.load_pem_x509_certificate(self.ca_path.read_bytes())
        except ValueError:
            raise ValueError(f"`{self.ca_path}` is damaged: it holds no certificate") from None
        if self._certificate.public_key() != self._key.public_key():
            raise ValueError(f"`{self.ca_path}` and `{directory / 'ca-key.pem'}` do not belong together")

    @property
    def ca_pem(self) -> str:
        """The authority's certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def pin(self) -> str:
        """Lower-case hex SHA-256 of the authority's certificate in DER: what install bundles carry."""
        return hashlib.sha256(self._certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    @property
    def ca_expiration(self) -> int:
        """The end of the authority's certificate, unix milliseconds."""
        return int(self._certificate.not_valid_after_utc.timestamp() * 1000)

    @property
    def server_expiration(self) -> int:
        """The end of the server's certificate, unix milliseconds; 0 while there is none."""
        pem = read_private(self._directory / "server.pem")
        certificate = x509.load_pem_x509_certificate(pem) if pem else None
        return int(certificate.not_valid_after_utc.timestamp() * 1000) if certificate else 0

    def server_certificate(self, names: Sequence[str], *, now: dt.datetime) -> Path:
        """
        Return the file with the server's key and certificate chain (PEM, 0600) for these DNS names and addresses.

        The present one is kept while it has exactly these names and more than 30 days to live.
        """
        path = self._directory / "server.pem"
        present = read_private(path)
        if present is None or not self._still_good(present, names, now):
            write_atomically(path, self._issue_server(names, now))
        return path

    def issue_client(self, csr: str, *, instance: str, bundle: str, now: int, life: int) -> tuple[str, Identity]:
        """
        Return a Defender's certificate (PEM) and what it says. `now` is unix milliseconds, `life` milliseconds.

        Raises CertificateRequestError when the CSR cannot be read, is not signed by its own key, or the key is not
        ECDSA P-256.
        """
        key = _requested_key(csr)
        start = dt.datetime.fromtimestamp(now // 1000, tz=dt.UTC)
        end = start + dt.timedelta(milliseconds=life)
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, bundle),
                x509.NameAttribute(NameOID.COMMON_NAME, instance),
            ]
        )
        certificate = self._sign(name, key, (start - _SKEW, end), ExtendedKeyUsageOID.CLIENT_AUTH, None)
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return pem, identity_of(certificate.public_bytes(serialization.Encoding.DER))

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"Bartizan CA {x509.random_serial_number():040x}"[:32])]
        )
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + dt.timedelta(days=_CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_atomically(self._directory / "ca-key.pem", _key_pem(key))
        write_atomically(self.ca_path, certificate.public_bytes(serialization.Encoding.PEM), mode=PUBLIC)

    def _issue_server(self, names: Sequence[str], now: dt.datetime) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_NAME_BOUND])])
        period = (now - _SKEW, now + dt.timedelta(days=_SERVER_DAYS))
        certificate = self._sign(subject, key.public_key(), period, ExtendedKeyUsageOID.SERVER_AUTH, names)
        return _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM) + self.ca_pem.encode()

    def _still_good(self, pem: bytes, names: Sequence[str], now: dt.datetime) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            certificate.verify_directly_issued_by(self._certificate)
            present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            _load_key(pem, self._directory / "server.pem")
        except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
            return False
        fresh = certificate.not_valid_after_utc - now > _RENEW_SERVER_BEFORE
        return fresh and list(present) == [_general_name(name) for name in names]

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        period: tuple[dt.datetime, dt.datetime],
        purpose: x509.ObjectIdentifier,
        names: Sequence[str] | None,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(period[0])
            .not_valid_after(period[1])
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names is not None:
            alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def identity_of(der: bytes) -> Identity:
    """
    Return what a peer's certificate (DER, its chain already verified) says.

    Raises ValueError when it is not for client authentication or lacks a name.
    """
    certificate = x509.load_der_x509_certificate(der)
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        raise ValueError("the certificate states no purpose") from None
    if list(purposes) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise ValueError("the certificate is not for client authentication alone")
    instances = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    bundles = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    if len(instances) != 1 or len(bundles) != 1:
        raise ValueError("the certificate does not name one instance and one bundle")
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Identity(
        instance=str(instances[0].value),
        bundle=str(bundles[0].value),
        key=hashlib.sha256(spki).hexdigest(),
        not_after=int(certificate.not_valid_after_utc.timestamp() * 1000),
    )


def _requested_key(csr: str) -> ec.EllipticCurvePublicKey:
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise CertificateRequestError("the certificate request cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateRequestError("the certificate request's key is not ECDSA P-256")
    if not signed:
        raise CertificateRequestError("the certificate request is not signed by its own key")
    return key


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(pem: bytes, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"`{path}` is damaged: it holds no private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"`{path}` holds no ECDSA key")  # noqa: TRY004 - the file is wrong, not a caller's type
    return key
