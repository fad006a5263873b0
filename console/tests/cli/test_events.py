"""What audits look like on a terminal."""

from bartizan.cli.events import describe
from bartizan.cli.terminal import shown


def test_an_attackers_words_cannot_steer_the_terminal() -> None:
    """Control characters of a process's name or arguments are shown, not obeyed."""
    audit = {
        "time": "t",
        "effect": "alert",
        "containerName": "web\x1b]0;x\x07",
        "msg": "\x1b[2Jgone\r\nfaked line\u202e",
    }

    line = describe(audit)

    assert line.isprintable()
    assert "\\x1b[2J" in line


def test_ordinary_words_stay_as_they_are() -> None:
    """Text of any language is left alone."""
    assert shown("Zwölf Bögen, 十二") == "Zwölf Bögen, 十二"
