"""The HTTP API (port 8083)."""

from bartizan.api.application import ApiServices, create_api

__all__ = ["ApiServices", "create_api"]
