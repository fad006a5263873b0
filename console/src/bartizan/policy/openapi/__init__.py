"""OpenAPI documents: what an application's API takes, and what is careless in one. Pure."""

from bartizan.policy.openapi.checks import Issue, scan
from bartizan.policy.openapi.convert import api_spec_of
from bartizan.policy.openapi.reading import Spec, read_spec

__all__ = ["Issue", "Spec", "api_spec_of", "read_spec", "scan"]
