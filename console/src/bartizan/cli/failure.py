"""The one error of the command line."""


class Failure(Exception):  # noqa: N818 - it says what happened to the command
    """
    A command could not do what it was asked; the message is one sentence for the person who asked.

    `problems` are the reasons, where there may be several: each is shown as a line before the message.
    """

    def __init__(self, message: str, *, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems
