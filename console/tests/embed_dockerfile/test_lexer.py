"""Lines into instructions, by BuildKit's rules."""

import pytest

from bartizan.embed import EmbedError
from bartizan.embed.dockerfile.lexer import LINE_LIMIT, Instruction, scan


def _one(text: str) -> Instruction:
    (item,) = scan(text).instructions
    return item


def _said(text: str) -> list[tuple[str, str]]:
    return [(item.keyword, item.arguments) for item in scan(text).instructions]


def _refusal(text: str) -> str:
    with pytest.raises(EmbedError) as caught:
        scan(text)
    return str(caught.value)


def test_keywords_are_read_in_any_case() -> None:
    """Instructions are known in small and mixed letters, and blanks around them do not count."""
    assert _said("from a\n  \tCmD\t x  y \n") == [("FROM", "a"), ("CMD", "x  y")]


def test_continued_lines_are_joined_without_comments_and_blank_lines() -> None:
    """A backslash at the end goes on with the next line that is neither blank nor a comment; blanks before it stay."""
    assert _said("RUN a \\\n# no\n\n   # no\n  b\\  \n c\n") == [("RUN", "a   b c")]


def test_a_doubled_escape_does_not_continue() -> None:
    """Two escape characters at the end of a line are no continuation."""
    assert _said("RUN a \\\\\nCMD b") == [("RUN", "a \\\\"), ("CMD", "b")]


def test_a_continuation_at_the_end_of_the_file_is_seen() -> None:
    """An instruction that the file ends in is dangling and ends with the file."""
    item = _one("RUN a \\\n\n# b\n")
    assert (item.dangling, item.end, item.arguments) == (True, 13, "a")


def test_spans_lead_back_to_the_text() -> None:
    """Start and end of an instruction and of its arguments stand where they are written, over continued lines."""
    text = '\ufeff# c\r\n  CMD \\\r\n # x\r\n  ["a", \\\r\n "b"]  \r\nRUN x'
    item = scan(text).instructions[0]
    assert text[item.start : item.end] == 'CMD \\\r\n # x\r\n  ["a", \\\r\n "b"]  '
    assert text[item.arguments_start : item.arguments_end] == '["a", \\\r\n "b"]'
    assert item.arguments == '["a",  "b"]'


def test_the_escape_directive_changes_the_continuation() -> None:
    """With a backquote as escape character a backslash at the end of a line is one."""
    assert _said("# escape=`\nRUN a\\\nRUN b `\n c") == [("RUN", "a\\"), ("RUN", "b  c")]


@pytest.mark.parametrize("head", ["\n", "# a comment\n", "FROM x\n", "# unknown=1\n"])
def test_directives_end_with_the_first_other_line(head: str) -> None:
    """A blank line, a comment, an instruction or an unknown directive ends the directives."""
    source = scan(f"{head}# escape=`\nRUN a \\\n b")
    assert (source.escape, source.instructions[-1].arguments) == ("\\", "a  b")


@pytest.mark.parametrize("head", ["# syntax=x\n", "#check=skip=all\n", " \t# SYNTAX = x\n", "\ufeff# syntax=x\n"])
def test_directives_may_follow_each_other(head: str) -> None:
    """After another directive the escape directive still counts."""
    assert scan(f"{head}#  Escape = ` \nRUN a").escape == "`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# escape=`\n# escape=`\n", "line 2, column 1: the directive `escape` is given twice: keep one"),
        ("# escape=x\n", "line 1, column 1: the escape character `x` is neither a backslash nor a backquote"),
        ("FROM a\nFOO b", "line 2, column 1: `FOO` is no instruction of a Dockerfile"),
        (
            "FROM a\n  RUN <<E\nx\n",
            "line 2, column 3: the here-document `E` does not end: put `E` on a line of its own",
        ),
        ("FROM a\nRUN \0", "line 2, column 5: there is a NUL character: this is no Dockerfile"),
    ],
)
def test_what_builders_refuse_is_refused_with_its_place(text: str, message: str) -> None:
    """Each fault gets one error that says where."""
    assert _refusal(text).startswith(message)


def test_a_line_may_be_as_long_as_builders_read() -> None:
    """Lines up to the limit are read, in bytes and not in characters; longer ones are refused with their place."""
    assert len(_one("RUN " + "x" * (LINE_LIMIT - 4)).arguments) == LINE_LIMIT - 4
    assert _refusal("FROM a\nRUN " + "x" * (LINE_LIMIT - 3)).startswith("line 2, column 1: this line is longer than")
    assert _refusal("RUN " + "ü" * (LINE_LIMIT // 2)).startswith("line 1, column 1")
    assert "65,535 bytes" in _refusal("RUN " + "x" * 1_000_000)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("RUN <<EOF", "CMD x\nEOF"),
        ("run cat <<'EOF' > /x", "FROM y\nEOF"),
        ('COPY <<"A" <<-B /x/', "CMD x\nA\n\tCMD y\n\t\tB"),
        ("RUN 3<<E x", "a\n E\nE"),
        ("ONBUILD RUN <<E", "CMD x\nE"),
        ("RUN --mount=type=cache,target=/x <<E", "CMD x\nE"),
        ("RUN a <<E \\\n && b", "CMD x\nE"),
        ("RUN <<E\\ F", "E F"),
    ],
)
def test_here_documents_belong_to_their_instruction(line: str, body: str) -> None:
    """What is in a here-document is no instruction, for all ways to announce one."""
    text = f"{line}\n{body}\nCMD z"
    first, second = scan(text).instructions
    assert text[first.start : first.end] == f"{line}\n{body}"
    assert second.arguments == "z"


@pytest.mark.parametrize(
    "line",
    [
        "CMD cat <<EOF",
        'RUN ["x", "<<EOF"]',
        "RUN echo $((1 << 2)) <<<x",
        "RUN echo '<<EOF'",
        "RUN a << EOF",
        "RUN x' <<E",
    ],
)
def test_what_only_looks_like_a_here_document_is_none(line: str) -> None:
    """Other instructions, exec form, here-strings, quoted marks and shifts announce no here-document."""
    assert [item.keyword for item in scan(f"{line}\nUSER x").instructions][-1] == "USER"


@pytest.mark.parametrize(
    ("line", "flags", "arguments"),
    [
        ("COPY --from=a --chown=1:1 x y", ("--from=a", "--chown=1:1"), "x y"),
        ('RUN --mount=type=bind,"source=a b" x', ("--mount=type=bind,source=a b",), "x"),
        ("HEALTHCHECK --interval=5s \\\n --retries=3 \\\n CMD x", ("--interval=5s", "--retries=3"), "CMD x"),
        ("COPY --link -- --x y", ("--link",), "--x y"),
        ("RUN -x --y", (), "-x --y"),
        ("RUN --a\\ b=c x", ("--a b=c",), "x"),
    ],
)
def test_flags_stand_before_the_arguments(line: str, flags: tuple[str, ...], arguments: str) -> None:
    """Words that begin with two dashes are flags up to the first other word."""
    item = _one(line)
    assert (item.flags, item.arguments) == (flags, arguments)


def test_a_hundred_thousand_lines_are_read() -> None:
    """Size alone is no fault, and time grows with it only."""
    text = "FROM a\n" + "RUN x\n# c\n" * 50_000
    assert len(scan(text).instructions) == 50_001
