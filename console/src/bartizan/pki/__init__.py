"""The Console's keys: the private certificate authority, the server's certificate and the install bundle's secret."""

from bartizan.pki.authority import Authority, CertificateRequestError, Identity, identity_of
from bartizan.pki.bundle_key import BundleKey
from bartizan.pki.files import LooseModeError, key_file, read_private, write_atomically
from bartizan.pki.secret_box import SealError, SecretBox
from bartizan.pki.server_names import machine_names
from bartizan.pki.tls import api_context, channel_context, check_certificates, check_pair, facts_of, swap_certificate

__all__ = [
    "Authority",
    "BundleKey",
    "CertificateRequestError",
    "Identity",
    "LooseModeError",
    "SealError",
    "SecretBox",
    "api_context",
    "channel_context",
    "check_certificates",
    "check_pair",
    "facts_of",
    "identity_of",
    "key_file",
    "machine_names",
    "read_private",
    "swap_certificate",
    "write_atomically",
]
