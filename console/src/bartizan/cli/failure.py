"""The one error of the command line."""


class Failure(Exception):  # noqa: N818 - it says what happened to the command
    """A command could not do what it was asked; the message is one sentence for the person who asked."""
