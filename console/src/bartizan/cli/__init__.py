"""The command line: `bartizan …`. Thin: each command reads its input, calls one thing, and prints."""

from bartizan.cli.main import main

__all__ = ["main"]
