"""`app-embedded embed-manifest`, as a user types it: real processes, real folders, no Console needed."""

import base64
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from bartizan.registry import ImageConfig, write_image

BARTIZAN = [sys.executable, "-m", "bartizan.cli", "app-embedded"]
SECRET = "a-secret-that-must-not-show"
BUNDLE = {"v": 1, "id": "b1", "secret": SECRET, "pins": ["0" * 64], "addresses": ["wss://console.test:8084"]}
MANIFEST = "applications:\n- name: shop # ours\n  path: app\n  command: npm start\n"
# The first bytes of a program for x86-64 (elf(5)): enough to be told from other files.
DEFENDER = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + b"the Defender"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a manifest, an app, a Defender and an install bundle."""
    text = base64.b64encode(json.dumps(BUNDLE).encode()).decode()
    (tmp_path / "bundle.json").write_text(json.dumps({"bundle": text}))
    (tmp_path / "manifest.yml").write_text(MANIFEST)
    (tmp_path / "app").mkdir()
    (tmp_path / "new-defender").write_bytes(DEFENDER)
    return tmp_path


def bartizan(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    return subprocess.run([*BARTIZAN, *words], cwd=folder, capture_output=True, text=True, check=False)


def embed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Protect a manifest offline."""
    given = ("--bundle", "bundle.json", "--defender", "amd64=new-defender")
    return bartizan(folder, "embed-manifest", *given, *words)


def listing(folder: Path) -> list[str]:
    """Return all files beneath a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_manifest_and_the_defender_are_written(folder: Path) -> None:
    """The manifest goes to the output, the Defender beside the app, executable; nothing else is left."""
    before = listing(folder)
    done = embed(folder, "--output-file", "out.yml", "manifest.yml")

    assert done.returncode == 0, done.stderr
    assert "shop: protected" in done.stderr
    assert yaml.safe_load((folder / "out.yml").read_text())["applications"][0]["command"].endswith("npm start")
    assert (folder / "app" / "defender").read_bytes() == DEFENDER
    assert (folder / "app" / "defender").stat().st_mode & 0o777 == 0o755
    assert listing(folder) == sorted([*before, "app/defender", "out.yml"])
    assert SECRET not in done.stdout + done.stderr


def test_in_place_and_back(folder: Path) -> None:
    """The manifest may be its own output; running again changes nothing; unprotect restores manifest and folder."""
    before = {name: (folder / name).read_bytes() for name in listing(folder)}
    embed(folder, "--output-file", "manifest.yml", "manifest.yml")
    once = {name: (folder / name).read_bytes() for name in listing(folder)}
    again = embed(folder, "--output-file", "manifest.yml", "manifest.yml")

    assert "nothing changed" in again.stderr
    assert {name: (folder / name).read_bytes() for name in listing(folder)} == once
    assert bartizan(folder, "verify", "manifest.yml").returncode == 0
    assert "/applications/0/command: starts under" in bartizan(folder, "explain", "manifest.yml").stdout

    back = bartizan(folder, "unprotect", "--output-file", "manifest.yml", "manifest.yml")
    assert back.returncode == 0, back.stderr
    assert {name: (folder / name).read_bytes() for name in listing(folder)} == before


def test_a_firewall_stands_before_the_web_process(folder: Path) -> None:
    """`--waas-port` names the app where there are several, and is told; unprotect takes it out, too."""
    both = MANIFEST + "- name: admin\n  path: app\n  command: ./admin\n"
    (folder / "manifest.yml").write_text(both)
    refused = embed(folder, "--waas-port", "8080:8081", "manifest.yml")
    done = embed(folder, "--waas-port", "shop=8080:8081", "--output-file", "out.yml", "manifest.yml")

    assert "`8080:8081` does not name its app" in refused.stderr
    assert "the Defender of `shop` takes port 8080, its web process finds 8081 in $PORT" in done.stderr
    shop, admin = yaml.safe_load((folder / "out.yml").read_text())["applications"]
    assert "PORT=8081" in shop["command"]
    assert "PORT=8081" not in admin["command"]
    assert bartizan(folder, "unprotect", "out.yml").stdout == both


def test_another_file_of_that_name_is_left_alone(folder: Path) -> None:
    """A file called `defender` that is not ours is refused, and stays at unprotect; --force overwrites it."""
    mine = folder / "app" / "defender"
    mine.write_text("precious")
    refused = embed(folder, "--output-file", "out.yml", "manifest.yml")

    assert refused.returncode == 1
    assert "`app/defender` is another file" in refused.stderr
    assert mine.read_text() == "precious"
    assert not (folder / "out.yml").exists()

    assert embed(folder, "--force", "--output-file", "out.yml", "manifest.yml").returncode == 0
    assert mine.read_bytes() == DEFENDER
    mine.write_text("changed")
    assert bartizan(folder, "verify", "out.yml").returncode == 1
    back = bartizan(folder, "unprotect", "out.yml")
    assert "stays" in back.stderr
    assert mine.read_text() == "changed"


def test_a_newer_defender_takes_the_place_of_ours(folder: Path) -> None:
    """The Defender that an earlier run put there is replaced without --force."""
    embed(folder, "--output-file", "out.yml", "manifest.yml")
    (folder / "new-defender").write_bytes(DEFENDER + b"2")
    done = embed(folder, "--output-file", "out.yml", "out.yml")

    assert done.returncode == 0, done.stderr
    assert (folder / "app" / "defender").read_bytes() == DEFENDER + b"2"
    assert bartizan(folder, "unprotect", "out.yml").stdout == MANIFEST
    assert not (folder / "app" / "defender").exists()


@pytest.mark.parametrize("word", ["--dry-run", "--diff"])
def test_nothing_is_written_when_only_asked(folder: Path, word: str) -> None:
    """A dry run and a diff leave all files as they are, and need no Defender."""
    before = listing(folder)
    done = bartizan(
        folder, "embed-manifest", "--bundle", "bundle.json", word, "--output-file", "out.yml", "manifest.yml"
    )

    assert done.returncode == 0, done.stderr
    assert listing(folder) == before
    assert ("+  command: exec ./defender app-embedded npm start" in done.stdout) == (word == "--diff")


def test_the_report_for_programs(folder: Path) -> None:
    """`--format json` reports on standard output when that is free."""
    done = embed(folder, "--format", "json", "--output-file", "out.yml", "manifest.yml")
    report = json.loads(done.stdout)

    assert report["apps"][0]["appId"] == "shop"
    assert report["apps"][0]["starts"][0]["line"] == "npm start"


def test_the_bundle_can_stay_out_of_the_manifest(folder: Path) -> None:
    """With --bundle-var the manifest has a variable, and a file for `cf push --vars-file` that only its owner reads."""
    done = embed(
        folder, "--bundle-var", "B", "--bundle-vars-file", "vars.yml", "--output-file", "out.yml", "manifest.yml"
    )
    bundle = json.loads((folder / "bundle.json").read_text())["bundle"]

    assert "INSTALL_BUNDLE: ((B))\n" in (folder / "out.yml").read_text()
    assert bundle not in (folder / "out.yml").read_text() + done.stdout + done.stderr
    assert yaml.safe_load((folder / "vars.yml").read_text()) == {"B": bundle}
    assert (folder / "vars.yml").stat().st_mode & 0o777 == 0o600
    assert "cf push --vars-file vars.yml" in done.stderr


def test_the_procfile_beside_the_app_is_read(folder: Path) -> None:
    """Without a command in the manifest the Procfile of the app's folder says what starts."""
    (folder / "manifest.yml").write_text("applications:\n- name: shop\n  path: app\n")
    (folder / "app" / "Procfile").write_text("web: gunicorn shop\n")
    done = embed(folder, "manifest.yml")

    assert yaml.safe_load(done.stdout)["applications"][0]["command"] == "exec ./defender app-embedded gunicorn shop"


def test_apps_in_folders_of_their_own(folder: Path) -> None:
    """Each app gets its Defender: at its `path`, in a variable's, or where --app-dir says."""
    text = "applications:\n- {name: one, path: ../one, command: a}\n- {name: two, path: ((dir)), command: b}\n"
    text += "- {name: three, path: elsewhere, command: c}\n- {name: four, docker: {image: x}}\n"
    (folder / "cf").mkdir()
    (folder / "cf" / "m.yml").write_text(text)
    for name in ("one", "cf/two", "three"):
        (folder / name).mkdir()
    words = (
        "--var",
        "dir=two",
        "--app-dir",
        "three=three",
        "--exclude",
        "four",
        "--output-file",
        "out.yml",
        "cf/m.yml",
    )
    done = embed(folder, *words)

    assert done.returncode == 0, done.stderr
    assert all((folder / name / "defender").exists() for name in ("one", "cf/two", "three"))
    assert "path: ((dir)), command: " in (folder / "out.yml").read_text()


@pytest.mark.parametrize(
    ("change", "words", "told"),
    [
        ("path: nowhere", (), "there is no `nowhere`"),
        ("path: ((dir))", (), "the `path` of `shop` has a variable"),
        ("path: shop.jar", (), "cannot be put into `shop.jar`: it is no ZIP file"),
        ("path: ignoring", (), "`ignoring/.cfignore` keeps `defender` from being pushed"),
        ("path: app", ("--command", "shop"), "is not APP=LINE"),
        ("path: app", ("--app-dir", "a=b", "--app-dir", "c"), "there is no `c`"),
        ("path: app", ("--var", "x"), "a --var is not NAME=VALUE"),
        ("path: app", ("--defender", "amd64=bundle.json"), "is no Defender"),
        ("path: app", ("--vars-file", "bad.yml"), "`bad.yml` is no file of variables"),
    ],
)
def test_a_refusal_is_one_line_and_writes_nothing(folder: Path, change: str, words: tuple[str, ...], told: str) -> None:
    """What cannot be done ends with 1 and one line, and leaves all files as they were."""
    (folder / "manifest.yml").write_text(MANIFEST.replace("path: app", change))
    (folder / "shop.jar").write_bytes(b"PK")
    (folder / "bad.yml").write_text("- a\n")
    (folder / "ignoring").mkdir()
    (folder / "ignoring" / ".cfignore").write_text("# c\n!defender\ndef*\n")
    before = listing(folder)
    done = embed(folder, *words, "--output-file", "out.yml", "manifest.yml")

    assert done.returncode == 1
    assert done.stderr.startswith("bartizan: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert listing(folder) == before


def test_a_failure_to_write_takes_the_defender_away_again(folder: Path) -> None:
    """When the manifest cannot be written, what was put beside the app is gone too."""
    before = listing(folder)
    done = embed(folder, "--output-file", "nowhere/out.yml", "manifest.yml")

    assert done.returncode == 1
    assert "`nowhere/out.yml` cannot be written" in done.stderr
    assert listing(folder) == before


def test_an_image_gives_what_it_starts(folder: Path) -> None:
    """An app that runs an image is wrapped with the image's own arguments, its Defender being inside."""
    config = ImageConfig(entrypoint=("/entry",), cmd=("serve now",))
    write_image(folder / "layout", files=[], config=config, reference="nginx", architecture="amd64")
    (folder / "manifest.yml").write_text("applications:\n- name: shop\n  docker: {image: nginx}\n")
    done = bartizan(
        folder, "embed-manifest", "--bundle", "bundle.json", "--image", "nginx=oci:layout",
        "--image-defender", "/bartizan/defender", "manifest.yml",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    command = yaml.safe_load(done.stdout)["applications"][0]["command"]
    assert command == "exec /bartizan/defender app-embedded /entry 'serve now'"


def test_the_defender_goes_into_an_archive_and_out_again(folder: Path) -> None:
    """Of an app that is pushed as a JAR the Procfile inside is read; the Defender goes inside, and out."""
    jar = folder / "shop.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: Shop\n")
        archive.writestr("Procfile", "web: java Shop\n")
    before = jar.read_bytes()
    (folder / "manifest.yml").write_text("applications:\n- {name: shop, path: shop.jar}\n")
    done = embed(folder, "--output-file", "out.yml", "manifest.yml")

    assert done.returncode == 0, done.stderr
    assert "exec ./defender app-embedded java Shop" in (folder / "out.yml").read_text()
    with zipfile.ZipFile(jar) as archive:
        assert archive.testzip() is None
        assert archive.read("defender") == DEFENDER
        assert archive.getinfo("defender").external_attr >> 16 == 0o100755
    assert bartizan(folder, "verify", "out.yml").returncode == 0
    assert bartizan(folder, "unprotect", "out.yml").returncode == 0
    assert jar.read_bytes() == before


def test_what_is_missing_is_found_before_the_push(folder: Path) -> None:
    """A check finds a manifest without protection, and one whose Defender is not there or cannot be executed."""
    assert "unprotected: line 4, column 12" in bartizan(folder, "verify", "manifest.yml").stderr
    embed(folder, "--output-file", "out.yml", "manifest.yml")
    (folder / "app" / "defender").chmod(0o644)
    plain = bartizan(folder, "verify", "out.yml")
    (folder / "app" / "defender").unlink()
    gone = bartizan(folder, "verify", "out.yml")

    assert (plain.returncode, gone.returncode) == (1, 1)
    assert "cannot be executed" in plain.stderr
    assert "there is no `app/defender`" in gone.stderr
