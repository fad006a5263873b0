"""The one error type of the package, and the place in the user's text it points at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the input: line and column count from 1, in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        """Return the place the way a person reads it out."""
        return f"line {self.line}, column {self.column}"


class EmbedError(Exception):
    """The input cannot be protected, restored or read.

    `message` is one sentence that says what is wrong and what to do; `where` is the place in the input, or None when
    the fault is not at one place.
    """

    def __init__(self, message: str, where: Where | None = None) -> None:
        super().__init__(message, where)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        """Return the message with its place in front."""
        return self.message if self.where is None else f"{self.where}: {self.message}"
