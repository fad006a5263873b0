"""The one error of this package."""


class TaskError(Exception):
    """A task cannot be run as asked; the message is one line that says what, where and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
