"""The entries of a rule's lists: each function returns the normal form of one, or raises ValueError with why not."""

import ipaddress
import posixpath
import re

from bartizan.policy.reading import FutileError

_LONGEST_ENTRY = 4096
_LONGEST_NAME = 253
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_LONGEST_LABEL = 63
_LONGEST_COMPONENT = 255
_NUMBERS = re.compile(r"[0-9.:/-]+")
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
_NAME = re.compile(r"[a-z0-9_*?-]+(\.[a-z0-9_*?-]+)*")


def process_entry(text: str) -> str:
    """Return a glob on program names (no `/`) or on absolute paths, or `sha256:` with the digest of a program."""
    _printable(text)
    if text.lower().startswith("sha256:"):
        digest = text[len("sha256:") :].lower()
        if not _SHA256.fullmatch(digest):
            raise ValueError(f"`{text}` is no digest: `sha256:` is followed by 64 hex digits")
        return f"sha256:{digest}"
    if text.lower().startswith("md5:") or _MD5.fullmatch(text):
        raise ValueError(f"`{text}` is an MD5, which anybody can forge: give the SHA-256 as `sha256:…`")
    if _SHA256.fullmatch(text.lower()):
        raise ValueError(f"`{text}` is a digest: write `sha256:{text.lower()}`")
    if "/" not in text:
        return text
    if not text.startswith(("/", "*")):
        raise ValueError(f"`{text}` is neither a name nor an absolute path: {_absolute(text)}")
    if text == "/":
        raise FutileError(text, "`/` can never match: it is no program; `/*` is every program")
    if text.endswith("/"):
        raise ValueError(f"`{text}` can never match: write `{text.rstrip('/')}/*` for the programs of a folder")
    return _normal(text)


def file_entry(text: str) -> str:
    """Return a glob on absolute paths, without a slash at its end: it speaks of everything beneath it anyway."""
    _printable(text)
    if not text.startswith(("/", "*")):
        raise ValueError(f"`{text}` is no absolute path: {_absolute(text)}")
    return _normal(text.rstrip("/") or "/")


def domain_entry(text: str) -> str:
    """Return a glob on domain names, in lower case, without the trailing dot."""
    _printable(text)
    if not text.isascii():
        raise ValueError(f"`{text}` has to be written in its ASCII form (`{_in_ascii(text)}`)")
    name = text.lower().removesuffix(".")
    if "/" in name or ":" in name:
        raise ValueError(f"`{text}` is no domain name: give the name alone, without scheme, port or path")
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{text}` is no domain name")
    if _at_least(name) > _LONGEST_NAME or len(name) > _LONGEST_ENTRY:
        raise ValueError(f"`{text[:20]}…` is no domain name: those have at most {_LONGEST_NAME} characters (RFC 1035)")
    if any(_at_least(label) > _LONGEST_LABEL for label in name.split(".") if "*" not in label):
        raise FutileError(name, f"`{text}` can never match: a label has at most {_LONGEST_LABEL} characters (RFC 1035)")
    if _ADDRESS.fullmatch(name):
        raise FutileError(name, f"`{text}` can never match: it is an address, put it in a list of `network`")
    return name


def address_entry(text: str) -> str:
    """Return an IPv4 or IPv6 address, or a CIDR block, in its normal spelling."""
    _printable(text)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"`{text}` is not an IP address or a CIDR block{_instead(text)}") from None
    if isinstance(network, ipaddress.IPv6Network):
        if network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:  # noqa: PLR2004 - RFC 4291, 2.5.5.2
            raise ValueError(f"`{text}` has to be written as an IPv4 address: mapped addresses are compared as IPv4")
        if network.network_address.scope_id is not None:
            raise ValueError(f"`{text}` has a zone, which means nothing outside its host")
    if "/" not in text:
        return str(network.network_address)
    if ipaddress.ip_interface(text).ip != network.network_address:
        raise ValueError(f"`{text}` has bits set beyond its prefix, write `{network}`")
    return str(network)


def collection_pattern(text: str) -> str:
    """Return a pattern of a collection's field; a leading `-` excludes."""
    _printable(text)
    if text == "-":
        raise ValueError("`-` excludes nothing")
    return text


def label(text: str) -> str:
    """Return a name that people gave: of a rule, of a collection."""
    _printable(text)
    if len(text) > 256:  # noqa: PLR2004 - long enough for people, short enough for one line of a log
        raise ValueError("it is longer than 256 characters")
    return text


def _instead(text: str) -> str:
    """Return what to do with what is no address, as the end of a sentence."""
    if "-" in text and _NUMBERS.fullmatch(text):
        return ": write a range as CIDR blocks, such as `10.0.0.0/30`"
    if "*" in text:
        return ": write the prefix instead of `*`, such as `10.1.0.0/16`"
    if _NAME.fullmatch(text.lower()) and not _NUMBERS.fullmatch(text):
        return ": put a name in a list of `dns`"
    return ""


def _absolute(text: str) -> str:
    return f"write `/{text.lstrip('./~')}`, or `*/{text.lstrip('./~')}` for it in any folder"


def _in_ascii(text: str) -> str:
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        return "xn--…"


def _at_least(text: str) -> int:
    """Return the bytes of the shortest text that a glob matches."""
    return len(text.replace("*", "").encode())


def _normal(path: str) -> str:
    if "//" in path or "/../" in f"{path}/" or "/./" in f"{path}/":
        raise ValueError(f"`{path}` can never match: paths are compared in their normal form{_as_normal(path)}")
    if any(_at_least(part) > _LONGEST_COMPONENT for part in path.split("/") if "*" not in part):
        raise FutileError(path, f"`{path[:20]}…` can never match: a name has at most {_LONGEST_COMPONENT} bytes")
    return path


def _as_normal(path: str) -> str:
    # In a glob `*` may stand for several folders, so what `..` leads to is not known.
    return "" if "*" in path else f", write `{posixpath.normpath(path).replace('//', '/')}`"


def _printable(text: str) -> None:
    if not text:
        raise ValueError("it is empty")
    if len(text) > _LONGEST_ENTRY:
        raise ValueError(f"it is longer than {_LONGEST_ENTRY} characters")
    if text != text.strip():
        raise ValueError(f"`{text.strip()}` has blanks around it")
    if not text.isprintable():
        raise ValueError("it has characters that cannot be printed")
