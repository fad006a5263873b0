"""Secrets at rest: who can open them, and who cannot."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.pki import LooseModeError, SealError, SecretBox

SECRET = "correct horse battery staple"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name the key file."""
    return tmp_path / "secrets.key"


def test_the_key_is_private_and_stays(path: Path) -> None:
    """The file has mode 0600, and another start opens what the first one sealed."""
    sealed = SecretBox(path).seal(SECRET, belongs_to="a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SecretBox(path).open(sealed, belongs_to="a") == SECRET
    assert [item.name for item in path.parent.iterdir()] == ["secrets.key"]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> SecretBox:
    """Make one box for the properties."""
    return SecretBox(tmp_path_factory.mktemp("box") / "secrets.key")


@given(text=st.text(max_size=200), place=st.text(max_size=50))
def test_what_was_sealed_opens_at_its_place(box: SecretBox, text: str, place: str) -> None:
    """Every text comes back, and no two sealed forms are equal."""
    sealed = box.seal(text, belongs_to=place)
    assert box.open(sealed, belongs_to=place) == text
    assert sealed != box.seal(text, belongs_to=place)


def test_it_opens_nowhere_else(path: Path) -> None:
    """A sealed text that was moved to another place is refused."""
    box = SecretBox(path)
    sealed = box.seal(SECRET, belongs_to="a")
    with pytest.raises(SealError, match="another place"):
        box.open(sealed, belongs_to="b")


@given(data=st.data())
def test_a_changed_byte_is_seen(box: SecretBox, data: st.DataObject) -> None:
    """Whatever bit is turned over, nothing opens."""
    sealed = bytearray(box.seal(SECRET, belongs_to="a"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealError):
        box.open(bytes(sealed), belongs_to="a")


@given(sealed=st.binary(max_size=60))
def test_garbage_does_not_open(box: SecretBox, sealed: bytes) -> None:
    """Any bytes but ours are refused, with the one error."""
    with pytest.raises(SealError):
        box.open(sealed, belongs_to="a")


def test_a_key_is_rotated(path: Path) -> None:
    """A new key seals, the old one opens until it is dropped, over a restart too."""
    box = SecretBox(path)
    old = box.seal(SECRET, belongs_to="a")
    box.add_key()
    assert not box.is_current(old)
    again = SecretBox(path)
    new = again.seal(again.open(old, belongs_to="a"), belongs_to="a")
    assert again.is_current(new)
    again.drop_old_keys()
    last = SecretBox(path)
    assert last.open(new, belongs_to="a") == SECRET
    with pytest.raises(SealError, match=r"secrets\.key"):
        last.open(old, belongs_to="a")


def test_another_consoles_key_opens_nothing(path: Path, tmp_path: Path) -> None:
    """The database alone, without its key file, gives no secret."""
    sealed = SecretBox(path).seal(SECRET, belongs_to="a")
    with pytest.raises(SealError) as refusal:
        SecretBox(tmp_path / "other.key").open(sealed, belongs_to="a")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"garbage\n", b"0123456789abcdef AAAA=\n", b"0123456789abcdef " + b"A" * 43 + b"=\nx\n", b"\xff\xfe"],
)
def test_a_damaged_file_is_told_and_kept(path: Path, content: bytes) -> None:
    """A damaged key file is named and never written over: it may be the only copy."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"secrets\.key"):
        SecretBox(path)
    assert path.read_bytes() == content


def test_a_key_that_others_can_read_is_refused(path: Path) -> None:
    """A loose mode is an error that says what to do."""
    SecretBox(path)
    path.chmod(0o644)
    with pytest.raises(LooseModeError, match="chmod 600"):
        SecretBox(path)
