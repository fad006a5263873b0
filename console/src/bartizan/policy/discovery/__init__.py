"""API discovery: what requests have shown applications to have, merged, compared with an `apiSpec`, exported. Pure."""

from bartizan.policy.discovery.document import openapi_of
from bartizan.policy.discovery.documented import Documented
from bartizan.policy.discovery.operations import (
    MOST_OPERATIONS,
    Discovered,
    Operation,
    OperationKey,
    combined,
)
from bartizan.policy.discovery.shape import Kind, Shape, names_in

__all__ = [
    "MOST_OPERATIONS",
    "Discovered",
    "Documented",
    "Kind",
    "Operation",
    "OperationKey",
    "Shape",
    "combined",
    "names_in",
    "openapi_of",
]
