"""The gate in front of a build."""

import pytest
from tests.embed_dockerfile.samples import NGINX, protected, settings

from bartizan.embed import Finding
from bartizan.embed.dockerfile import verify

_TEXT = 'FROM scratch AS app\nENTRYPOINT ["/app"]\nUSER app\n'
_PROTECTED = protected(_TEXT).text


def _codes(text: str, **changes: object) -> list[str]:
    return [
        finding.code for finding in verify(text, version="0.1.0", settings=settings(**changes) if changes else None)
    ]


def test_a_protected_file_passes() -> None:
    """A file just protected passes with and without settings, inherited entrypoints and build arguments as well."""
    assert verify(_PROTECTED, version="0.1.0") == []
    assert verify(_PROTECTED, version="0.1.0", settings=settings()) == []
    assert verify(protected("FROM nginx\n", image=NGINX).text, version="0.1.0") == []
    with_arguments = protected('ARG V\nFROM a:$V\nENTRYPOINT ["x"]\n', build_args={"V": "1", "OTHER": "secret"}).text
    assert verify(with_arguments, version="0.1.0") == []
    for architecture in ("amd64", "arm64"):
        assert verify(protected(_TEXT, architecture=architecture).text, version="0.1.0") == []


def test_a_file_with_nothing_in_it_is_found() -> None:
    """An unprotected file is one finding, at the stage that is built."""
    (finding,) = verify(_TEXT, version="0.1.0")
    assert (finding.code, finding.container, str(finding.where)) == ("unprotected", "app", "line 1, column 1")
    assert finding.message == "stage `app` runs unprotected: protect the Dockerfile"


def test_an_old_version_is_stale() -> None:
    """What another version protected is to be protected again."""
    (finding,) = verify(_PROTECTED, version="0.2.0")
    assert (finding.code, finding.message) == (
        "stale",
        "protected by version `0.1.0`, not `0.2.0`: protect it again",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"/bartizan/defender", "app-embedded", "/app"', '"/app"'),
        ("ADD bartizan/defender-${TARGETARCH:-amd64}.tar /\n", ""),
        ("ADD bartizan/", "COPY bartizan/"),
        ("DEFENDER_TYPE=appEmbedded", "DEFENDER_TYPE=fargate"),
        ("    DEFENDER_APP_ID=shop \\\n", ""),
        ("DATA_FOLDER=/bartizan/", "DATA_FOLDER=/other/"),
        ("DEFENDER_FAIL_MODE=open", "DEFENDER_FAIL_MODE=ajar"),
        ("# bartizan:end", 'ENTRYPOINT ["/bin/sh"]\n# bartizan:end'),
        ("# bartizan:end", "# bartizan:end\nENTRYPOINT /bin/sh"),
        ("# bartizan:end", "# bartizan:end\nENV WS_ADDRESS=wss://evil"),
        ("# bartizan:end", "# bartizan:end\nCOPY sh /bartizan/defender"),
    ],
)
def test_what_was_tampered_with_is_found(old: str, new: str) -> None:
    """A wrap taken off, a variable changed, a Defender replaced, before, in or behind the block, is found."""
    assert old in _PROTECTED
    (finding,) = verify(_PROTECTED.replace(old, new), version="0.1.0")
    assert finding.code == "tampered"
    assert finding.message.endswith("protect it again")


def test_a_block_behind_which_a_stage_was_put_is_found() -> None:
    """A protected stage that is no longer the one that is built leaves the new one unprotected."""
    assert _codes(f'{_PROTECTED}FROM scratch\nENTRYPOINT ["/other"]\n') == ["tampered"]


def test_a_file_changed_elsewhere_still_passes() -> None:
    """Work on the rest of the file needs no new protection."""
    assert _codes(_PROTECTED.replace("USER app", "RUN make\nUSER other")) == []


def test_other_settings_are_stale() -> None:
    """With settings, a file that they would change is stale, and the line is named."""
    assert _codes(_PROTECTED, app_id="other") == ["stale"]
    assert _codes(_PROTECTED, data_folder="/opt/b") == ["stale"]
    assert _codes(_PROTECTED, target="none") == ["stale"]
    (finding,) = verify(_PROTECTED, version="0.1.0", settings=settings(app_id="other"))
    assert isinstance(finding, Finding)
    assert _PROTECTED.splitlines()[finding.where.line - 1] == "    DEFENDER_APP_ID=shop \\"
