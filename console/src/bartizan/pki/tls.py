"""TLS contexts of the two ports: TLS 1.3 alone, no session tickets (they cost more than they save here)."""

import re
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----.+?-----END ([A-Z]+ )*PRIVATE KEY-----", re.DOTALL)


def api_context(server: Path) -> ssl.SSLContext:
    """Return the context of the API's port; `server` holds key and certificate chain."""
    return _context(server)


def channel_context(server: Path, authority: Path) -> ssl.SSLContext:
    """
    Return the context of the channel's port: a client certificate is verified when there is one.

    Enrolment comes without one; who may do what is decided by path, after the handshake.
    """
    context = _context(server)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def swap_certificate(context: ssl.SSLContext, server: Path) -> None:
    """Use a new server certificate for all later handshakes; open connections stay."""
    context.load_cert_chain(server)


def _context(server: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(server)
    return context


def check_certificates(pem: str) -> None:
    """Raise ValueError for a text that does not hold certificates in PEM form, which could be trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, TypeError):  # the latter for what is not ASCII
        raise ValueError("no certificates in PEM form") from None
    if not context.get_ca_certs() and not context.cert_store_stats()["x509"]:
        raise ValueError("no certificates in PEM form")


def check_pair(pem: str) -> None:
    """
    Raise ValueError when this is no certificate with its private key, both as PEM without a passphrase.

    The messages never hold the key.
    """
    try:
        certificate = x509.load_pem_x509_certificates("\n".join(_CERTIFICATE.findall(pem)).encode())[0]
    except ValueError:
        raise ValueError("the certificate cannot be read: PEM is expected") from None
    found = _KEY.search(pem)
    try:
        key = load_pem_private_key(found[0].encode() if found else b"", password=None)
    except TypeError:
        raise ValueError("the private key has a passphrase: take it off") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the private key cannot be read: PEM is expected") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ValueError("the private key is not that of the first certificate")


def facts_of(pem: str) -> tuple[str, tuple[str, ...], int]:
    """
    Return of the first certificate: its subject, the names that it is for, and its end (unix milliseconds).

    Raises ValueError when there is none.
    """
    certificate = x509.load_pem_x509_certificates(pem.encode())[0]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(found.get_values_for_type(x509.DNSName)) + tuple(
            str(address) for address in found.get_values_for_type(x509.IPAddress)
        )
    except x509.ExtensionNotFound:
        names = ()
    return certificate.subject.rfc4514_string(), names, int(certificate.not_valid_after_utc.timestamp() * 1000)
