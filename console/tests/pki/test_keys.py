"""Keys on disk, the authority's certificates, and the bundle's secret."""

import datetime as dt
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.channel.running import csr_of, new_key

from bartizan import pki

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
MILLISECONDS = int(NOW.timestamp() * 1000)


def test_secrets_are_private_from_their_first_byte(tmp_path: Path) -> None:
    """Keys have mode 0600, no temporary file is left, and the authority is the same when it is opened again."""
    first = pki.Authority(tmp_path)
    first.server_certificate(["localhost"], now=NOW)
    pki.BundleKey(tmp_path / "bundle.key")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"ca-key.pem": 0o600, "ca.pem": 0o644, "server.pem": 0o600, "bundle.key": 0o600}
    assert pki.Authority(tmp_path).pin == first.pin


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
@pytest.mark.parametrize("name", ["ca-key.pem", "bundle.key"])
def test_a_loose_secret_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    """A secret that others can use is not used, and the error says what to do."""
    pki.Authority(tmp_path)
    pki.BundleKey(tmp_path / "bundle.key")
    (tmp_path / name).chmod(mode)
    with pytest.raises(pki.LooseModeError, match=f"chmod 600 {tmp_path / name}"):
        pki.BundleKey(tmp_path / name) if name == "bundle.key" else pki.Authority(tmp_path)


def test_a_link_in_place_of_a_secret_is_refused(tmp_path: Path) -> None:
    """Somebody else's file is not taken for ours."""
    (tmp_path / "elsewhere").write_bytes(bytes(32))
    (tmp_path / "bundle.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        pki.BundleKey(tmp_path / "bundle.key")


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_key_is_told(tmp_path: Path, content: bytes) -> None:
    """Damaged files are named, never overwritten."""
    pki.Authority(tmp_path)
    (tmp_path / "ca-key.pem").write_bytes(content)
    with pytest.raises(ValueError, match=r"ca-key\.pem"):
        pki.Authority(tmp_path)
    assert (tmp_path / "ca-key.pem").read_bytes() == content


def test_a_missing_key_is_not_made_anew(tmp_path: Path) -> None:
    """A new authority in silence would lock out every Defender there is."""
    pki.Authority(tmp_path)
    (tmp_path / "ca-key.pem").unlink()
    with pytest.raises(ValueError, match="restore"):
        pki.Authority(tmp_path)


def test_the_server_certificate_has_the_names_and_is_kept(tmp_path: Path) -> None:
    """It is issued anew for other names and near its end, and not otherwise."""
    authority = pki.Authority(tmp_path)
    path = authority.server_certificate(["console.test", "127.0.0.1", "::1"], now=NOW)
    first = path.read_bytes()
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["console.test"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    later = NOW + dt.timedelta(days=300)
    assert authority.server_certificate(["console.test", "127.0.0.1", "::1"], now=later).read_bytes() == first
    near = NOW + dt.timedelta(days=380)
    assert authority.server_certificate(["console.test", "127.0.0.1", "::1"], now=near).read_bytes() != first
    second = path.read_bytes()
    assert authority.server_certificate(["other.test"], now=near).read_bytes() != second


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_damaged_server_certificate_is_replaced(tmp_path: Path, content: bytes) -> None:
    """It can be made anew at any time, so a damaged one keeps nobody from starting."""
    authority = pki.Authority(tmp_path)
    pki.write_atomically(tmp_path / "server.pem", content)
    pem = authority.server_certificate(["localhost"], now=NOW).read_bytes()
    assert x509.load_pem_x509_certificate(pem)


def test_an_identity_is_read_from_client_certificates_alone(tmp_path: Path) -> None:
    """What was issued to a Defender reads back; a server's or the authority's certificate is refused."""
    authority = pki.Authority(tmp_path)
    pem, identity = authority.issue_client(
        csr_of(new_key()), instance="a" * 32, bundle="b", now=MILLISECONDS, life=3_600_000
    )
    der = x509.load_pem_x509_certificate(pem.encode())
    assert pki.identity_of(der.public_bytes(Encoding.DER)) == identity
    assert (identity.instance, identity.bundle, identity.not_after) == ("a" * 32, "b", MILLISECONDS + 3_600_000)
    server = x509.load_pem_x509_certificate(authority.server_certificate(["localhost"], now=NOW).read_bytes())
    for other in (server, x509.load_pem_x509_certificate(authority.ca_pem.encode())):
        with pytest.raises(ValueError, match="certificate"):
            pki.identity_of(other.public_bytes(Encoding.DER))


def test_bundle_secrets_are_stable_and_apart(tmp_path: Path) -> None:
    """The same key file gives the same secret for an id; other ids and other files give others."""
    one = pki.BundleKey(tmp_path / "one")
    assert one.secret("a") == pki.BundleKey(tmp_path / "one").secret("a")
    assert len({one.secret("a"), one.secret("b"), pki.BundleKey(tmp_path / "two").secret("a")}) == 3
    assert one.matches("a", one.secret("a"))
    assert not one.matches("a", one.secret("b"))
    assert not one.matches("a", "ü")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """Nothing half-written stays."""
    path = tmp_path / "file"
    pki.write_atomically(path, b"old")
    with pytest.raises(TypeError):
        pki.write_atomically(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_names_of_this_machine_are_usable() -> None:
    """Host name and addresses come first, loopback last, nothing twice."""
    names = pki.machine_names()
    assert names[-3:] == ("localhost", "127.0.0.1", "::1")
    assert len(set(names)) == len(names)


def test_the_authority_signs_with_p256(tmp_path: Path) -> None:
    """ECDSA P-256, and it may sign certificates of one level only."""
    certificate = x509.load_pem_x509_certificate(pki.Authority(tmp_path).ca_pem.encode())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
