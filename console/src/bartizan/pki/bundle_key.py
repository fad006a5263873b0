"""
The enrolment secret of an install bundle.

It is derived from a key file, so that the same bundle comes out each time: a definition that is protected twice stays
the same, byte for byte.
"""

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from bartizan.pki.files import read_private, write_atomically

_KEY_BYTES = 32


class BundleKey:
    """Derives and checks enrolment secrets with the key of one file, which is made when it is missing."""

    def __init__(self, path: Path) -> None:
        key = read_private(path)
        if key is None:
            key = secrets.token_bytes(_KEY_BYTES)
            write_atomically(path, key)
        if len(key) != _KEY_BYTES:
            raise ValueError(f"`{path}` is damaged: it has to hold {_KEY_BYTES} bytes")
        self._key = key

    def secret(self, bundle: str) -> str:
        """Return the secret of the bundle with this id: 43 characters of base64url."""
        digest = hmac.new(self._key, b"bundle\0" + bundle.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def matches(self, bundle: str, secret: str) -> bool:
        """Return whether the secret is this bundle's, in constant time."""
        return hmac.compare_digest(self.secret(bundle).encode(), secret.encode())
