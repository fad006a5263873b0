"""One Console for the tests of events."""

from tests.api.conftest import console

__all__ = ["console"]
