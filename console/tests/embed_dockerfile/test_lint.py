"""What the report warns of."""

import pytest
from tests.embed_dockerfile.samples import protected

from bartizan.embed import ImageConfig
from bartizan.embed.dockerfile import verify

_BUNDLE = "the install bundle can be read by all who may read this file or the image: keep both private"
_END = 'USER 1\nENTRYPOINT ["/app"]\n'


def _warnings(text: str, image: ImageConfig | None = None, **changes: object) -> list[str]:
    first, *rest = protected(text, image=image, **changes).report.warnings
    assert first == _BUNDLE
    return rest


def test_a_plain_file_has_nothing_but_the_secret_to_mind() -> None:
    """A non-root exec-form image on scratch gets no warning more."""
    assert _warnings(f"FROM scratch\n{_END}") == []


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ('FROM scratch\nENTRYPOINT ["/a"]\n', "the program runs as root: set a `USER`"),
        ('FROM scratch\nUSER 0:0\nENTRYPOINT ["/a"]\n', "the program runs as root: set a `USER`"),
        ('FROM a\nENTRYPOINT ["/a"]\n', "no `USER` is set: the program runs as the image `a` says, mostly root"),
        ('FROM scratch\nUSER 1\nENTRYPOINT ["/init"]\n', "it starts `/init`: if that is s6-overlay or systemd"),
        ('FROM scratch\nUSER 1\nENTRYPOINT ["/a", ""]\n', "an argument of the program is empty"),
        (f"FROM scratch\nVOLUME /bartizan\n{_END}", "line 2 makes `/bartizan` a volume: where it starts empty"),
        (f'FROM scratch\nVOLUME ["/x", "/bartizan/"]\n{_END}', "line 2 makes `/bartizan/` a volume"),
        (f"FROM scratch\nVOLUME /\n{_END}", "line 2 makes `/` a volume"),
        (f"FROM scratch\nENV DATA_FOLDER=/x\n{_END}", "the file sets `DATA_FOLDER` itself"),
        (f"FROM scratch\nENV TARGETARCH=x\n{_END}", "the file sets `TARGETARCH` itself: that value decides"),
        (f"FROM scratch\nONBUILD CMD x\n{_END}", "`ONBUILD CMD` replaces what images built from this one start"),
        (f"FROM scratch\nARG TARGETARCH=amd64\n{_END}", "the file sets `TARGETARCH` itself: that value decides"),
        (f"FROM scratch\nRUN setcap cap_net_raw+ep /a\n{_END}", "line 2: `setcap cap_net_raw+ep` makes programs gain"),
        (f"FROM scratch\nRUN a && chmod -R u+s /a\n{_END}", "line 2: `chmod -R u+s` makes programs gain rights"),
        (f"FROM scratch\nRUN chmod 4755 /a\n{_END}", "line 2: `chmod 4755` makes programs gain rights"),
        (f"FROM scratch\nRUN apt-get install -y \\\n  sudo\n{_END}", "line 2: `apt-get install -y"),
        (f"FROM base-$TARGETARCH\n{_END}", "the base depends on `TARGETARCH`: what it starts was read for `amd64`"),
        (f"ARG P=linux/arm64\nFROM --platform=$P scratch\n{_END}", "`--platform=$P` was read as `linux/arm64`"),
    ],
)
def test_each_trap_is_named(text: str, warning: str) -> None:
    """Each thing that surprises people has its own sentence, and no other one comes with it."""
    (found,) = _warnings(text)
    assert found.startswith(warning)


@pytest.mark.parametrize("run", ["chmod 0755 /a", "chmod u+x /a", "echo sudo", "cat /etc/sudoers"])
def test_what_gains_no_rights_is_fine(run: str) -> None:
    """Modes and words that only look like it are not warned of; nothing is once the compat tier was chosen."""
    assert _warnings(f"FROM scratch\nRUN {run}\n{_END}") == []
    assert _warnings(f"FROM scratch\nRUN setcap a /a\n{_END}", compat=True) == []
    chosen = protected(f"FROM scratch\n{_END}", compat=True).text
    assert "DEFENDER_TIER=compat" in chosen
    assert not verify(chosen, version="0.1.0")


@pytest.mark.parametrize(
    ("folder", "warning"),
    [
        ("/run/b", "some platforms mount an empty `/run` at start, and the Defender in `/run/b/` is gone then"),
        ("/root/b", "`/root` is closed to other users in most images: `1` may not reach `/root/b/`"),
    ],
)
def test_bad_places_for_the_data_folder_are_named(folder: str, warning: str) -> None:
    """A folder that may be gone at start, or out of the user's reach, gets a sentence."""
    assert _warnings(f"FROM scratch\n{_END}", data_folder=folder) == [warning]


@pytest.mark.parametrize("volume", ["/bartizan/sub", "/bart", "/data", "$X/bartizan"])
def test_other_volumes_are_fine(volume: str) -> None:
    """A volume beside or below the data folder hides nothing; one whose name is not known is not guessed at."""
    assert _warnings(f"FROM scratch\nVOLUME {volume}/x\n{_END}") == []


def test_volumes_of_the_image_count() -> None:
    """A volume that the base image declares over the data folder is found."""
    image = ImageConfig(("/a",), volumes=("/bartizan",), user="1")
    (found,) = _warnings("FROM a\n", image)
    assert found.startswith("the image `a` makes `/bartizan` a volume")


def test_stages_built_from_the_protected_one_are_named() -> None:
    """With a target, later stages that start under the Defender as well are named."""
    (found,) = _warnings(f"FROM scratch AS a\n{_END}FROM A AS b\n", target="a")
    assert found == "stage `b` is built from `a` and starts under the Defender unless it says other"


def test_32_bit_programs_are_a_choice() -> None:
    """Only who asks for 32-bit programs gets the variable, and a check knows it for ours."""
    chosen = protected(f"FROM scratch\n{_END}", allow_32bit=True).text
    assert "DEFENDER_ALLOW_32BIT=true" in chosen
    assert "DEFENDER_ALLOW_32BIT" not in protected(f"FROM scratch\n{_END}").text
    assert verify(chosen, version="0.1.0") == []
