"""What a protected file starts: Docker's rules about ENTRYPOINT, CMD and SHELL."""

import pytest
from tests.embed_dockerfile.samples import ASH, NGINX, lines, protected, refusal, settings

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.dockerfile import needed_image, protect

_WRAP = '"/bartizan/defender", "app-embedded"'
_ADD = ["ARG TARGETARCH", "ADD bartizan/defender-${TARGETARCH:-amd64}.tar /"]


def test_exec_form_gets_two_arguments_more() -> None:
    """The wrapper is put in front of an array; what is in it stays as written."""
    text = 'FROM a\nENTRYPOINT ["/app",  "\\u0041"]\nCMD ["x"]\n'
    assert lines(protected(text).text) == ["FROM a", f'ENTRYPOINT [{_WRAP}, "/app",  "\\u0041"]', 'CMD ["x"]', *_ADD]


def test_shell_form_becomes_what_docker_makes_of_it() -> None:
    """A shell form is given to the shell as one argument, never split."""
    text = "FROM scratch\nENTRYPOINT exec 'a b' \\\n  \"$C\" \\x\n"
    wrapped = f'ENTRYPOINT [{_WRAP}, "/bin/sh", "-c", "exec \'a b\'   \\"$C\\" \\\\x"]'
    assert lines(protected(text).text) == ["FROM scratch", wrapped, *_ADD]


def test_the_shell_in_force_is_used() -> None:
    """SHELL counts from where it stands on, and a later one does not change an ENTRYPOINT before it."""
    text = 'FROM scratch\nSHELL ["/bin/bash", "-ec"]\nENTRYPOINT a\nSHELL ["/bin/zsh"]\n'
    assert protected(text).report.arguments == ("/bin/bash", "-ec", "a")


def test_the_shell_of_the_image_is_used() -> None:
    """Without SHELL the base image's counts; it is asked for, and without an answer the default is taken and said."""
    text = "FROM a\nENTRYPOINT b\n"
    assert needed_image(text, settings=settings()) == "a"
    known = protected(text, image=ASH)
    assert known.report.arguments == ("/bin/ash", "-c", "b")
    assumed = protected(text)
    assert assumed.report.arguments == ("/bin/sh", "-c", "b")
    assert "the image `a` was not looked at: its `SHELL` is taken to be `/bin/sh -c`" in assumed.report.warnings


def test_the_last_of_each_counts() -> None:
    """Of several ENTRYPOINTs only the last is changed."""
    text = 'FROM a\nENTRYPOINT ["x"]\nENTRYPOINT ["y"]\nCMD z\nCMD ["w"]\n'
    protection = protected(text)
    assert lines(protection.text)[1:3] == ['ENTRYPOINT ["x"]', f'ENTRYPOINT [{_WRAP}, "y"]']
    assert protection.report.arguments == ("y", "w")


def test_an_inherited_cmd_is_written_out_again() -> None:
    """The stage says nothing: entrypoint and command of the image are written, for the new ENTRYPOINT resets CMD."""
    text = "FROM nginx:1\nCOPY . .\n"
    assert needed_image(text, settings=settings()) == "nginx:1"
    assert lines(protected(text, image=NGINX).text)[-2:] == [
        f'ENTRYPOINT [{_WRAP}, "/docker-entrypoint.sh"]',
        'CMD ["nginx", "-g", "daemon off;"]',
    ]


def test_a_cmd_of_the_stage_is_left_alone() -> None:
    """A CMD of the same stage is not reset, so it is not written again, in shell form neither."""
    text = "FROM nginx\nCMD serve $X\n"
    protection = protected(text, image=NGINX)
    assert lines(protection.text) == [
        "FROM nginx",
        "CMD serve $X",
        *_ADD,
        f'ENTRYPOINT [{_WRAP}, "/docker-entrypoint.sh"]',
    ]
    assert protection.report.arguments == ("/docker-entrypoint.sh", "/bin/sh", "-c", "serve $X")


def test_a_cmd_of_an_image_without_entrypoint_is_started() -> None:
    """With no entrypoint anywhere the Defender alone is the ENTRYPOINT."""
    protection = protected("FROM a\n", image=ImageConfig((), ("python3",)))
    assert lines(protection.text)[-2:] == [f"ENTRYPOINT [{_WRAP}]", 'CMD ["python3"]']


@pytest.mark.parametrize("reset", ["[]", '[""]', "[ ]"])
def test_a_reset_entrypoint_stays_reset(reset: str) -> None:
    """`[]` and `[""]` drop the image's entrypoint, and CMD alone is started."""
    protection = protected(f'FROM nginx\nENTRYPOINT {reset}\nCMD ["x"]\n', image=NGINX)
    assert lines(protection.text)[1:3] == [f"ENTRYPOINT [{_WRAP}]", 'CMD ["x"]']
    assert protection.report.arguments == ("x",)


def test_an_entrypoint_resets_the_cmd_of_earlier_stages_only() -> None:
    """CMD of the stage before is gone where ENTRYPOINT is set anew, and kept where it is not."""
    head = 'FROM a AS b\nENTRYPOINT ["x"]\nCMD ["y"]\nFROM b\n'
    assert protected(head + 'ENTRYPOINT ["z"]\n').report.arguments == ("z",)
    inherited = protected(head + "USER 1\n")
    assert inherited.report.arguments == ("x", "y")
    assert lines(inherited.text)[-2:] == [f'ENTRYPOINT [{_WRAP}, "x"]', 'CMD ["y"]']
    assert lines(inherited.text)[:3] == head.splitlines()[:3]


def test_stages_are_found_by_name_in_any_case_and_the_nearest_counts() -> None:
    """`FROM` goes to the last earlier stage of that name; a later stage or itself is not meant."""
    text = 'FROM a AS x\nENTRYPOINT ["1"]\nFROM a AS X\nENTRYPOINT ["2"]\nFROM x AS x\n'
    assert protected(text).report.arguments == ("2",)
    assert needed_image("FROM x AS x\n", settings=settings()) == "x"


def test_triggers_run_in_the_stage_built_from_their_image() -> None:
    """CMD of ONBUILD belongs to the stage it runs in, so a new ENTRYPOINT does not reset it."""
    text = 'FROM a AS b\nENTRYPOINT ["x"]\nONBUILD CMD ["y"]\nFROM b\n'
    assert lines(protected(text).text)[-1] == f'ENTRYPOINT [{_WRAP}, "x"]'
    assert protected(text).report.arguments == ("x", "y")
    image = ImageConfig(("e",), ("c",), on_build=("RUN a", 'entrypoint ["t"]'))
    assert protected("FROM z\n", image=image).report.arguments == ("t",)


def test_a_trigger_that_cannot_be_read_is_refused() -> None:
    """The place is that of the trigger in the file, or of the image that has it."""
    why = "the trigger `ONBUILD CMD` cannot be read: `CMD` says nothing to start"
    assert refusal("FROM z\n", image=ImageConfig(("e",), on_build=("CMD",))) == f"line 1, column 1: {why}"
    assert refusal("FROM z AS a\nONBUILD CMD\nFROM a\n") == f"line 2, column 1: {why}"


def test_build_arguments_choose_the_base() -> None:
    """ARG before FROM, its default, a build argument over it, and substitutions lead to the image's name."""
    text = "ARG V=1\nARG N=app:${V}\nFROM ${N:-x}${E:+y} AS b\nFROM b\n"
    assert needed_image(text, settings=settings()) == "app:1"
    assert needed_image(text, settings=settings(build_args={"V": "2", "E": "no"})) == "app:2"
    assert needed_image('ARG A="a"\nFROM $A\n', settings=settings()) == "a"


def test_an_image_is_asked_for_only_when_it_matters() -> None:
    """Nothing is looked up for scratch, nor when the stages say all that is started."""
    for text in ('FROM a\nENTRYPOINT ["x"]\n', "FROM scratch\nCMD x\n", 'FROM a\nSHELL ["s"]\nENTRYPOINT x\n'):
        assert needed_image(text, settings=settings()) is None
    assert needed_image('FROM a AS b\nENTRYPOINT ["x"]\nFROM b\nCMD y\n', settings=settings()) is None


def test_a_target_is_protected_instead_of_the_last_stage() -> None:
    """A stage is chosen by name in any case, or by number; the block stands at its end."""
    text = 'FROM a AS one\nCMD ["x"]\n\n# two\nFROM b AS two\nENTRYPOINT ["y"]\n'
    for target in ("one", "ONE", "0"):
        protection = protected(text, image=ImageConfig(("e",)), target=target)
        assert protection.report.arguments == ("e", "x")
        assert protection.text.endswith('# bartizan:end\n\n# two\nFROM b AS two\nENTRYPOINT ["y"]\n')
    assert refusal(text, target="three") == "line 1, column 1: there is no stage `three`: choose one of `one`, `two`"
    assert "there is no stage `2`" in refusal(text, target="2")


def test_an_image_protected_already_is_not_wrapped_twice() -> None:
    """A Defender in front of the inherited entrypoint is left out."""
    image = ImageConfig(("/bartizan/defender", "app-embedded", "/app"), ("x",))
    protection = protected("FROM a\n", image=image)
    assert lines(protection.text)[-2:] == [f'ENTRYPOINT [{_WRAP}, "/app"]', 'CMD ["x"]']
    assert any("starts a Defender already" in warning for warning in protection.report.warnings)


def test_arrays_that_are_no_json_go_to_a_shell() -> None:
    """What only looks like exec form is shell form, and the report says so."""
    for arguments, fault in (
        ("['a', 'b']", "has single quotes"),
        ('["a", "b"', "is no JSON"),
        ('["a",]', "is no JSON"),
    ):
        protection = protected(f"FROM scratch\nENTRYPOINT {arguments}\n")
        assert protection.report.arguments == ("/bin/sh", "-c", arguments)
        warning = f"line 2: the array of `ENTRYPOINT` {fault}, so Docker gives all of it to a shell"
        assert warning in protection.report.warnings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM a\n", "line 1, column 1: what the image `a` starts is not known, and stage number 0 does not say all"),
        ("FROM scratch\nCOPY a /\n", "line 1, column 1: stage number 0 starts nothing: neither it nor the image"),
        ("FROM a\nENTRYPOINT []\n", "line 1, column 1: stage number 0 starts nothing"),
        ("FROM a\nENTRYPOINT\n", "line 2, column 1: `ENTRYPOINT` says nothing to start"),
        ("FROM a\nCMD --x\n", "line 2, column 1: `CMD` takes no flags: write it as a JSON array"),
        (
            'FROM a\nENTRYPOINT ["a", 1]\n',
            "line 2, column 12: the array of `ENTRYPOINT` has something else than strings",
        ),
        ("FROM a\nRUN " + "[" * 5000, "line 2, column 5: the array of `RUN` has something else than strings"),
        ("FROM a\nSHELL x\nENTRYPOINT y\n", "line 2, column 1: `SHELL` takes a JSON array of strings"),
        ("FROM a\nENV x\nCMD y\n", "line 2, column 5: `ENV` gives `x` no value: write `name=value`"),
        ("FROM a\nENV x=1 y\nCMD y\n", "line 2, column 5: `ENV` gives `y` no value"),
        ("FROM a\nLABEL\nCMD y\n", "line 2, column 1: `LABEL` names nothing"),
        ("", "line 1, column 1: there is no `FROM`"),
        ("# only\n", "line 1, column 1: there is no `FROM`"),
        ("RUN x\nFROM a\n", "line 1, column 1: `RUN` stands before the first `FROM`: only `ARG` may"),
        ("FROM a b\n", "line 1, column 1: `FROM` takes an image, or an image, `AS` and a name"),
        ("FROM --x=y a\n", "line 1, column 1: `FROM` has no flag `--x`"),
        ("ARG A\nFROM $A\n", "line 2, column 1: `FROM $A` names no image: give `A` as a build argument"),
        ("FROM ${A\n", "line 1, column 1: `${A` cannot be read"),
        ("FROM a \\\n", "line 1, column 1: this `FROM` ends in a line continuation: remove that"),
    ],
)
def test_what_cannot_be_protected_is_refused_in_one_sentence(text: str, message: str) -> None:
    """Each fault gets one error with its place."""
    given = ImageConfig(("/e",)) if text.startswith(("FROM a \\", "FROM a\nCMD --")) else None
    assert refusal(text, image=given).startswith(message)


def test_a_command_too_long_for_one_line_is_refused() -> None:
    """A shell form over many lines that would not fit in a line that builders read is refused with its place."""
    text = "FROM scratch\nENTRYPOINT " + ("x" * 1000 + " \\\n") * 100 + " y\n"
    assert refusal(text).startswith("line 2, column 12: it would take a line of more than 65,535 bytes")


def test_the_unknown_is_no_guess() -> None:
    """Without what the image says there is no result at all."""
    with pytest.raises(EmbedError, match="is not known"):
        protect("FROM a\nCMD x\n", image=None, settings=settings())
