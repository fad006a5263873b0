"""
Secrets at rest: AES-256-GCM under a key of one file.

The file has one line for each key, `<id, 16 hex digits> <key, base64>`, the newest first. The newest seals, all open;
so a key is rotated by adding one, sealing everything anew, and dropping the others. What a sealed text belongs to (its
row and its field) is authenticated with it: one that was moved to another place does not open there.
"""

import base64
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bartizan.pki.files import read_private, write_atomically

_FORMAT = b"\x01"
_ID_BYTES = 8
_KEY_BYTES = 32
# NIST SP 800-38D, section 8.2: 96 random bits, good for 2^32 messages of one key.
_NONCE_BYTES = 12
_HEAD = len(_FORMAT) + _ID_BYTES
_LINE = re.compile(r"([0-9a-f]{16}) ([A-Za-z0-9+/]{43}=)")


class SealError(Exception):
    """A sealed text cannot be opened; the message never holds a secret."""


class SecretBox:
    """
    Seals and opens texts. The key file is made when it is missing; the instance keeps the keys in memory.

    Raises ValueError for a damaged key file, LooseModeError for one that others can read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        content = read_private(path)
        if content is None:
            self._keys = _with_new_key({})
            self._write()
        else:
            self._keys = _parse(content, path)

    @property
    def key(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._keys))

    def seal(self, text: str, *, belongs_to: str) -> bytes:
        """Return the text sealed for one place."""
        head = _FORMAT + bytes.fromhex(self.key)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._keys[self.key]).encrypt(nonce, text.encode(), head + belongs_to.encode())
        return head + nonce + sealed

    def open(self, sealed: bytes, *, belongs_to: str) -> str:
        """Return the text. Raises SealError when it is of another place, another key, or was changed."""
        head = sealed[:_HEAD]
        key = self._keys.get(key_of(sealed))
        if key is None:
            raise SealError(f"it was sealed with the key `{key_of(sealed)}`, which `{self._path.name}` does not hold")
        nonce = sealed[_HEAD : _HEAD + _NONCE_BYTES]
        try:
            opened = AESGCM(key).decrypt(nonce, sealed[_HEAD + _NONCE_BYTES :], head + belongs_to.encode())
        except (InvalidTag, ValueError):
            raise SealError("it was changed, or moved here from another place") from None
        return opened.decode()

    def is_current(self, sealed: bytes) -> bool:
        """Return whether the newest key sealed this."""
        return key_of(sealed) == self.key

    def add_key(self) -> None:
        """Make a new key, on disk before it is used; the others go on to open."""
        self._keys = _with_new_key(self._keys)
        self._write()

    def drop_old_keys(self) -> None:
        """Forget all keys but the newest: what they sealed opens no more."""
        self._keys = {self.key: self._keys[self.key]}
        self._write()

    def _write(self) -> None:
        lines = (f"{name} {base64.b64encode(key).decode()}\n" for name, key in self._keys.items())
        write_atomically(self._path, "".join(lines).encode())


def key_of(sealed: bytes) -> str:
    """Return the id of the key that sealed this, empty when it is no sealed text."""
    return sealed[len(_FORMAT) : _HEAD].hex() if sealed[: len(_FORMAT)] == _FORMAT else ""


def _with_new_key(keys: Mapping[str, bytes]) -> dict[str, bytes]:
    return {secrets.token_hex(_ID_BYTES): secrets.token_bytes(_KEY_BYTES), **keys}


def _parse(content: bytes, path: Path) -> dict[str, bytes]:
    lines = [_LINE.fullmatch(line) for line in content.decode("latin-1").splitlines()]
    found = {line[1]: base64.b64decode(line[2]) for line in lines if line is not None}
    if not found or len(found) != len(lines) or any(len(key) != _KEY_BYTES for key in found.values()):
        raise ValueError(f"`{path}` is damaged: each of its lines has to hold a key's id and the key")
    return found
