"""
Files under a passphrase: AES-256-GCM with a key of scrypt.

The cost (N=2^16, r=8, p=1) takes 64 MiB and some tenths of a second for each guess (RFC 7914, section 2).
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32
_COST = 2**16


class PassphraseError(ValueError):
    """The passphrase is another one, or what it sealed was changed."""


def seal_with(passphrase: str, content: bytes, *, purpose: bytes) -> bytes:
    """Return the content sealed for one purpose."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    return salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, content, purpose)


def open_with(passphrase: str, sealed: bytes, *, purpose: bytes) -> bytes:
    """Return what was sealed. Raises PassphraseError."""
    salt, nonce = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed[_SALT_BYTES + _NONCE_BYTES :], purpose)
    except (InvalidTag, ValueError):
        raise PassphraseError("the passphrase is not the one that the keys were sealed with") from None


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=_COST, r=8, p=1).derive(passphrase.encode())
