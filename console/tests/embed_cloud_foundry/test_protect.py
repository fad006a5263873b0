"""What protecting a manifest does, and that its way back leads back."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as configure
from hypothesis import strategies as st
from tests.embed_cloud_foundry.manifests import BUNDLE, OWN, corpus, dumped, loaded, manifests, settings

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.cloud_foundry import ManifestProtection, explain_protection, protect, unprotect, verify
from bartizan.embed.cloud_foundry.manifest import read
from bartizan.embed.cloud_foundry.start_command import unwrap, wrap

SIMPLE = "applications:\n- name: shop # c\n  command: npm start\n"


def changed(text: str, **changes: Any) -> Any:
    """Return the first app of a protected manifest."""
    return loaded(protect(text, settings=settings(**changes)).text)["applications"][0]


def everything(text: str) -> dict[str, str]:
    """Return a command for all that has none."""
    return {start.key: "java -jar 'a b'" for app in read(text).apps for start in app.starts if start.line is None}


def test_a_simple_app() -> None:
    """Command and environment are as the vendor's page has them, and the rest keeps its bytes."""
    text = protect(SIMPLE, settings=settings()).text

    assert text.startswith(
        "applications:\n- name: shop # c\n  command: exec ./defender app-embedded npm start\n  env:\n"
    )
    assert loaded(text)["applications"][0]["env"] == OWN
    assert f"    INSTALL_BUNDLE: {BUNDLE}\n" in text
    assert "'" not in text
    assert '"' not in text


def _holds(text: str, protection: ManifestProtection) -> None:
    """Assert what every protection must keep; `text` is what was protected."""
    again = protect(protection.text, settings=settings())
    assert (again.edits, again.text) == ((), protection.text)
    assert unprotect(protection.text) == text
    assert verify(protection.text, version="0.1.0", settings=settings()) == []
    assert _bare(loaded(protection.text)) == _bare(loaded(text))
    assert explain_protection(protection.text)


def _bare(value: Any) -> Any:
    """Return a manifest without what is planned: the Defender's variables, and commands."""
    value = _without_commands(value)
    for app in value.get("applications", [value]):
        env = {key: item for key, item in app.pop("env", {}).items() if key not in OWN}
        if env:
            app["env"] = env
    return value


def _without_commands(value: Any) -> Any:
    """Return a manifest without its commands and empty `env`, aliases written out."""
    if isinstance(value, list):
        return [_without_commands(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: _without_commands(v) for k, v in value.items() if k != "command" and not (k == "env" and not v)}


@configure(max_examples=100, deadline=None)
@given(manifests())
@example("applications:\n- name: shop\n  command: |+\n    a\n\n\n")
@example("applications: [{name: shop, command: x}]")
@example("--- # c\napplications:\n- name: shop\n  command: >-\n    a\n    b\n...\n")
@example("name: shop\ncommand: a 'b' && c")
def test_every_manifest_comes_back(text: str) -> None:
    """protect∘protect = protect, unprotect∘protect = bytes given, PyYAML reads what was planned and nothing else."""
    protection = protect(text, settings=settings(commands=everything(text)))
    _holds(text, protection)


@configure(max_examples=60, deadline=None)
@given(manifests(), st.booleans())
def test_a_manifest_changed_since_loses_the_protection_only(text: str, keeps_comment: bool) -> None:  # noqa: FBT001
    """What was changed after protecting stays, commands come back, and nothing of the Defender is left."""
    protected = protect(text, settings=settings(commands=everything(text))).text
    value = loaded(protected)
    value["added"] = "later"
    comment = protected[protected.rindex("# Bartizan") :].rstrip() + "\n" if keeps_comment else ""

    back = loaded(unprotect(dumped(value) + comment))

    assert back.pop("added") == "later"
    assert "defender" not in dumped(back)
    assert not any(name in dumped(back) for name in OWN)
    if keeps_comment:
        assert _commands(back) == _commands(loaded(text))


def _commands(value: Any) -> Any:
    """Return all commands that are real ones, in order."""
    if isinstance(value, dict):
        command = (value.get("command") or "").strip()
        own = [] if command in {"", "null", "default"} else [value["command"]]
        return own + [each for key in sorted(value) if key != "command" for each in _commands(value[key])]
    return [each for item in value for each in _commands(item)] if isinstance(value, list) else []


_FILES = list(corpus())


@pytest.mark.parametrize("path", _FILES, ids=[path.name for path in _FILES])
def test_real_manifests(path: Any) -> None:
    """Each manifest of the corpus is protected once its commands are given, and keeps all that is promised."""
    text = path.read_bytes().decode()
    only = "" if len(read(text).apps) == 1 and not read(text).apps[0].name else None
    app_ids = {} if only is None else {only: "unnamed"}
    _holds(text, protect(text, settings=settings(commands=everything(text), app_ids=app_ids)))


def test_the_corpus_is_there() -> None:
    """The files are found, so that their tests cannot pass by being none."""
    assert len(_FILES) >= 5


def test_each_process_and_sidecar_is_wrapped() -> None:
    """Processes and sidecars run in the app's container with its rights, so each gets its Defender."""
    text = (
        "applications:\n- name: shop\n  command: old\n  processes:\n  - type: web\n    command: new\n"
        "  - type: worker\n    command: work\n    instances: 0\n  sidecars:\n  - name: proxy\n"
        "    process_types: [web]\n    command: ./proxy\n"
    )
    app = changed(text)

    started = [app["command"], *(each["command"] for each in app["processes"] + app["sidecars"])]
    assert started == [wrap(line) for line in ("old", "new", "work", "./proxy")]
    assert app["processes"][1]["instances"] == 0


def test_fields_at_the_top_are_inherited() -> None:
    """A command at the top is that of the apps without one; what stands at the top stays, with a warning."""
    text = "command: npm start\nenv: {A: b}\napplications:\n- name: shop\n- name: other\n  command: x\n"
    protection = protect(text, settings=settings())
    value = loaded(protection.text)

    assert [app["command"] for app in value["applications"]] == [wrap("npm start"), wrap("x")]
    assert (value["command"], value["env"]) == ("npm start", {"A": "b"})
    assert any("version 6" in warning for warning in protection.report.warnings)


def test_anchors_and_merges_stay() -> None:
    """A merge stays a merge; the app says itself what is its own; the anchor is as it was."""
    text = (
        "x: &d\n  memory: 1G\n  command: a\n  env: {K: v}\napplications:\n- name: shop\n  <<: *d # merged\n"
        "- name: two\n  <<: *d\n  command: b\n"
    )
    protection = protect(text, settings=settings())
    value = loaded(protection.text)

    assert protection.text.count("<<: *d") == 2
    assert value["x"] == {"memory": "1G", "command": "a", "env": {"K": "v"}}
    assert [app["command"] for app in value["applications"]] == [wrap("a"), wrap("b")]
    assert all(app["env"]["K"] == "v" for app in value["applications"])


def test_a_command_is_taken_from_the_option_then_from_the_procfile() -> None:
    """Where the manifest is silent --command goes before the Procfile, and the report says where a line is from."""
    text = "applications:\n- name: shop\n  processes:\n  - type: worker\n"
    procfiles = {"shop": "web: npm start\nworker: work --slow\nrelease: migrate\n"}
    protection = protect(text, settings=settings(commands={"shop/worker": "work"}), procfiles=procfiles)
    app = loaded(protection.text)["applications"][0]

    assert (app["command"], app["processes"][0]["command"]) == (wrap("npm start"), wrap("work"))
    assert [start.origin for start in protection.report.apps[0].starts] == ["Procfile", "--command"]
    assert any("`shop/release`" in warning for warning in protection.report.warnings)


def test_apps_can_be_chosen() -> None:
    """What is excluded keeps its bytes, and is not missed by verify."""
    text = "applications:\n- name: shop\n  command: a\n- {name: other}\n"
    for choice in ({"exclude": ("other",)}, {"include": ("shop",)}):
        protected = protect(text, settings=settings(**choice)).text
        assert "- {name: other}\n" in protected
        assert verify(protected, version="0.1.0") == []
        assert unprotect(protected) == text


def test_an_image_is_wrapped_where_it_holds_the_defender() -> None:
    """An app that runs an image is started by sh, with the image's own arguments when the manifest names no command."""
    text = "applications:\n- name: shop\n  docker: {image: nginx}\n"
    images = {"nginx": ImageConfig(("/entry point",), ("-g", "it's"))}
    protection = protect(text, settings=settings(image_defender="/bartizan/defender"), images=images)
    command = loaded(protection.text)["applications"][0]["command"]

    found = unwrap(command)
    assert found is not None
    assert (found.program, found.shell) == ("/bartizan/defender", "/bin/sh")
    assert found.line == "'/entry point' -g 'it'\"'\"'s'"
    assert protection.folders == {}


def test_a_defender_put_there_by_hand_is_replaced() -> None:
    """What follows the vendor's page is migrated: the old wrap goes, the variables are set anew."""
    text = (
        "applications:\n- name: shop\n  command: defender app-embedded npm start -- --x\n  env:\n    A: b\n"
        "    DEFENDER_TYPE: appEmbedded\n    DEFENDER_ID: known\n    WS_ADDRESS: wss://old:8084\n"
        "    DATA_FOLDER: /tmp\n    INSTALL_BUNDLE: eyJvbGQ=\n"
    )
    protection = protect(text, settings=settings())
    app = loaded(protection.text)["applications"][0]

    assert app["command"] == wrap("npm start -- --x")
    assert app["env"] == {"A": "b", **OWN, "DEFENDER_ID": "known"}
    assert protection.report.migrated == ("shop",)
    assert unprotect(protection.text) == text


def test_an_upgrade_changes_what_is_new_only() -> None:
    """Another version, or other choices, change the protected manifest in place and keep the way back."""
    protected = protect(SIMPLE, settings=settings()).text
    upgraded = protect(protected, settings=settings(version="0.2.0", fail_mode="closed"))

    assert upgraded.report.upgraded_from == "0.1.0"
    assert upgraded.text == protect(SIMPLE, settings=settings(version="0.2.0", fail_mode="closed")).text
    assert {made.pointer for made in upgraded.edits} <= {"", "/applications/0/env"}
    assert unprotect(upgraded.text) == SIMPLE


def test_variables_are_never_written_out() -> None:
    """Values of ((variables)) help to know things; none of them, and no bundle, is in the output."""
    text = "applications:\n- name: ((name))\n  command: run ((secret))\n"
    given = {"name": "shop", "secret": "hunter2"}
    protection = protect(
        text,
        settings=settings(
            install_bundle=None, bundle_variable="B", bundle_id="b", ws_address="wss://c:8084", variables=given
        ),
    )

    assert "hunter2" not in protection.text
    assert BUNDLE not in protection.text
    assert "    INSTALL_BUNDLE: ((B))\n" in protection.text
    assert "    DEFENDER_ID: ((name))\n" in protection.text
    assert unprotect(protection.text) == text


def test_a_manifest_without_protection_has_no_way_back() -> None:
    """Unprotecting what is not protected says so."""
    with pytest.raises(EmbedError, match="carries no protection"):
        unprotect(SIMPLE)


def test_apps_can_have_the_compat_tier_and_32_bit_programs() -> None:
    """The tier is chosen by app and 32-bit programs for all; both are variables of the Defender and go away again."""
    text = "applications:\n- {name: shop, command: ./shop}\n- {name: jobs, command: ./jobs}\n"

    done = protect(text, settings=settings(compat=("jobs",), allow_32bit=True)).text

    shop, jobs = (app["env"] for app in loaded(done)["applications"])
    assert "DEFENDER_TIER" not in shop
    assert jobs["DEFENDER_TIER"] == "compat"
    assert shop["DEFENDER_ALLOW_32BIT"] is jobs["DEFENDER_ALLOW_32BIT"] is True
    assert unprotect(done) == text
    assert "DEFENDER_ALLOW_32BIT" not in protect(done, settings=settings()).text
    with pytest.raises(EmbedError, match="no app is called `jbos`"):
        protect(text, settings=settings(compat=("jbos",)))
