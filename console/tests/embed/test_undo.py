"""The way back: byte for byte where it can be, by value where it must be, and safe whatever the label says."""

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.embed.samples import NGINX, definitions, images, layouts, settings, task, texts, web

from bartizan.embed import EmbedError, ImageConfig, protect, unprotect
from bartizan.embed.restore import record, restore
from bartizan.embed.rewrite import same
from bartizan.embed.undo import SIZE_LIMIT, decode
from bartizan.embed.wrap import UNDO_LABEL


def _protected(text: str, config: ImageConfig = NGINX) -> str | None:
    names = ("nginx", "app:1", "amazon/aws-xray-daemon", "r:5000/a/b@sha256:0")
    try:
        return protect(text, images=dict.fromkeys(names, config), settings=settings()).text
    except EmbedError:
        return None


def _value(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"))


def _labelled(label: str) -> str:
    sidecar = {"name": "BartizanDefender", "image": "x", "dockerLabels": {UNDO_LABEL: label}}
    return json.dumps(task(web(), sidecar))


def _packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


@given(texts(), images())
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
def test_unprotect_gives_the_bytes_back(text: str, config: ImageConfig) -> None:
    """Whatever the definition and its layout, unprotect∘protect is the identity, and protect∘protect is protect."""
    protected = _protected(text, config)
    if protected is not None:
        assert text == unprotect(protected)
        again = protect(protected, images={}, settings=settings())
        assert (again.edits, again.text) == ((), protected)


@given(texts(), images(), st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_reformatted_definition_is_restored_by_value(text: str, config: ImageConfig, data: st.DataObject) -> None:
    """A protected definition that was laid out anew gives the input's value back, and is up to date as it is."""
    protected = _protected(text, config)
    if protected is not None:
        anew = data.draw(st.sampled_from(layouts(_value(protected))))
        assert same(_value(text), _value(unprotect(anew)))
        assert protect(anew, images={}, settings=settings()).edits == ()


def test_later_changes_of_the_user_stay() -> None:
    """What the user changed after protecting survives unprotecting; only the protection leaves."""
    given_value = task({"name": "web", "image": "nginx"}, web(name="db", environment=[{"name": "A", "value": "1"}]))
    value = json.loads(protect(layouts(given_value)[0], images={"nginx": NGINX}, settings=settings()).text)
    web_container, db, sidecar = value["containerDefinitions"]
    web_container["environment"].insert(0, {"name": "NEW", "value": "1"})
    web_container["command"] = ["nginx", "-t"]
    web_container["linuxParameters"]["initProcessEnabled"] = True
    db["entryPoint"].append("--verbose")
    db["environment"].reverse()
    value["containerDefinitions"] = [sidecar, db, web_container, {"name": "new", "image": "x"}]
    value["cpu"] = "512"
    assert json.loads(unprotect(json.dumps(value))) == {
        **given_value,
        "cpu": "512",
        "containerDefinitions": [
            web(name="db", entryPoint=["/http_server", "--verbose"], environment=[{"name": "A", "value": "1"}]),
            {
                "name": "web",
                "image": "nginx",
                "environment": [{"name": "NEW", "value": "1"}],
                "command": ["nginx", "-t"],
                "linuxParameters": {"initProcessEnabled": True},
            },
            {"name": "new", "image": "x"},
        ],
    }


def test_what_aws_gives_back_is_restored() -> None:
    """A protected definition as describe-task-definition prints it keeps the wrapper and loses the protection."""
    original = task(web())
    value = json.loads(protect(layouts(original)[0], images={}, settings=settings()).text)
    for container in value["containerDefinitions"]:
        container |= {
            key: container.get(key, []) for key in ("portMappings", "mountPoints", "environment", "volumesFrom")
        }
        container["environment"] = sorted(container["environment"], key=lambda item: item["name"])
        container["cpu"] = 0
    described = {"taskDefinition": {**value, "revision": 8, "status": "ACTIVE"}, "tags": []}
    restored = json.loads(unprotect(layouts(described)[0]))
    assert restored["taskDefinition"]["containerDefinitions"] == [web(cpu=0, portMappings=[], mountPoints=[])]
    assert restored["taskDefinition"]["revision"] == 8
    again = protect(layouts(described)[0], images={}, settings=settings())
    assert again.report.removed_fields == ("revision", "status", "tags")
    assert layouts(described)[0] != again.text


def test_a_changed_byte_is_noticed() -> None:
    """The exact way back is only taken for the very text it was made for."""
    protected = protect(layouts(task(web()))[0], images={}, settings=settings()).text
    changed = protected.replace('"cpu": "256"', '"cpu": "512"')
    assert json.loads(unprotect(changed)) == {**task(web()), "cpu": "512"}


@given(definitions(), definitions())
def test_recorded_steps_lead_back(old: Any, new: Any) -> None:
    """Recorded steps never raise, and lead back whenever lists know their items by unique names."""
    restored = restore(new, record(old, new))
    if _unique(old) and _unique(new) and _plain(old) and _plain(new):
        assert same(_sorted(old), _sorted(restored))


def _plain(value: dict[str, Any]) -> bool:
    return "taskDefinition" not in value and not any(key in value for key in ("zUnknown", "volumes", "taskRoleArn"))


def _unique(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_unique, value.values())) and "xUnknown" not in value
    if not isinstance(value, list):
        return True
    names = [item["name"] if isinstance(item, dict) and "name" in item else str(item) for item in value]
    return len(set(names)) == len(names) and all(map(_unique, value))


def _sorted(value: Any) -> Any:
    """Order lists of named objects, whose order the steps keep only as far as they can."""
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=json.dumps) if any(isinstance(item, dict) for item in value) else value
    return value


def test_a_bomb_is_refused() -> None:
    """A label that unpacks to more than the limit is refused without being unpacked."""
    bomb = base64.b64encode(zlib.compress(b"[" + b" " * (64 * SIZE_LIMIT) + b"]", 9)).decode()
    with pytest.raises(EmbedError, match="unpacks to more"):
        decode(bomb)


def test_a_way_back_too_long_to_read_is_not_written() -> None:
    """What `unprotect` would refuse to unpack, `protect` refuses to pack."""
    described = {**task(web()), "requiresAttributes": [{"name": "x" * (SIZE_LIMIT + 1)}]}
    with pytest.raises(EmbedError, match="too large"):
        protect(json.dumps(described), images={}, settings=settings())


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("%", "not base64"),
        ("aGVsbG8=", "does not unpack"),
        (base64.b64encode(zlib.compress(b"{}")[:-2]).decode(), "cut off"),
        (base64.b64encode(zlib.compress(b"{")).decode(), "not JSON"),
        (base64.b64encode(zlib.compress(b"\xff")).decode(), "not JSON"),
        (base64.b64encode(zlib.compress(b"[" * 100_000)).decode(), "not JSON"),
        (_packed({}), "wrong shape"),
        (_packed({"digest": "", "edits": [[0, 1]]}), "wrong shape"),
        (_packed({"digest": "", "edits": [], "v": 2}), "newer release"),
        (_packed({"digest": "", "edits": [], "steps": [["drop", ["a"]]] * 5_001}), "more than"),
    ],
)
def test_a_damaged_label_is_refused(label: str, words: str) -> None:
    """A label that we would not have written is refused, with its place in the text."""
    with pytest.raises(EmbedError, match=words) as caught:
        unprotect(_labelled(label))
    assert caught.value.where is not None


def test_edits_that_do_not_fit_are_refused() -> None:
    """A label whose digest is right but whose edits leave the text is refused."""
    protected = protect(json.dumps(task(web())), images={}, settings=settings()).text
    label = json.loads(protected)["containerDefinitions"][-1]["dockerLabels"][UNDO_LABEL]
    packed = json.loads(zlib.decompress(base64.b64decode(label)))
    packed["edits"] = [[0, 10**9, ""]]
    with pytest.raises(EmbedError, match="do not fit"):
        unprotect(protected.replace(label, _packed(packed)))


_steps = st.tuples(
    st.sampled_from(["drop", "prune", "put", "insert", "reset", "other"]),
    st.lists(
        st.sampled_from(["containerDefinitions", "entryPoint", "family", ["name", "web"], ["", "x"], ["a", "b"]]),
        max_size=4,
    ),
    st.integers(-5, 5),
    st.booleans(),
    st.none() | st.just({"name": "x"}) | st.text(max_size=2),
)


@given(st.lists(_steps, max_size=6), st.none() | st.dictionaries(st.text(max_size=2), st.none(), max_size=2))
def test_hostile_steps_do_no_harm(steps: list[Any], wrapper: Any) -> None:
    """Whatever steps a label holds, unprotecting gives JSON or our error."""
    try:
        text = unprotect(_labelled(_packed({"digest": "", "edits": [], "steps": steps, "wrapper": wrapper})))
    except EmbedError:
        return
    assert json.loads(text) is not None


@given(st.text() | st.binary().map(lambda data: base64.b64encode(zlib.compress(data)).decode()))
def test_any_label(label: str) -> None:
    """Whatever a label is, nothing but our error comes of it."""
    with pytest.raises(EmbedError):
        unprotect(_labelled(label))


@pytest.mark.parametrize("label", [1, None, {}])
def test_a_label_of_another_type(label: Any) -> None:
    """A label that is no string is no protection of ours, or a refusal."""
    with pytest.raises(EmbedError):
        unprotect(_labelled(label))


def test_two_sidecars_are_refused() -> None:
    """Two containers with our label leave it open which is right."""
    value = json.loads(protect(json.dumps(task(web())), images={}, settings=settings()).text)
    value["containerDefinitions"].append({**value["containerDefinitions"][-1], "name": "Second"})
    with pytest.raises(EmbedError, match="both `BartizanDefender` and `Second`"):
        unprotect(json.dumps(value))


def test_a_renamed_sidecar_is_said() -> None:
    """A sidecar that was renamed since cannot be told from the user's containers, and is not silently left in."""
    text = protect(json.dumps(task(web())), images={}, settings=settings()).text
    renamed = text.replace('"BartizanDefender"', '"Renamed"')
    with pytest.raises(EmbedError, match="was the sidecar renamed"):
        unprotect(renamed)


def test_nothing_left_is_said() -> None:
    """A definition that is nothing but protection is refused with what is wrong with the rest."""
    value = json.loads(protect(json.dumps(task(web())), images={}, settings=settings()).text)
    value["containerDefinitions"] = value["containerDefinitions"][1:]
    with pytest.raises(EmbedError, match="without its protection this is no task definition"):
        unprotect(json.dumps(value))


def test_nothing_to_undo_is_said() -> None:
    """A definition without protection is refused by `unprotect`."""
    with pytest.raises(EmbedError, match="carries no protection"):
        unprotect(json.dumps(task(web())))
