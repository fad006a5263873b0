"""What people who are limited to collections see: only what belongs to workloads in them."""

from collections.abc import Callable

from starlette.requests import Request

from bartizan.api.context import services_of
from bartizan.policy.model import Within
from bartizan.services.collections import workloads_of
from bartizan.services.interfaces import DefenderRecord
from bartizan.services.rights import Permission, User


def visible_defenders(request: Request, user: User, permission: Permission) -> Callable[[DefenderRecord], bool] | None:
    """Return which Defenders a user may see: those with a workload in their collections; None is all."""
    limits = user.limits(permission)
    if limits is None:
        return None
    collections = services_of(request).collections
    return lambda record: any(collections.covers_any(limits, workload) for workload in workloads_of(record))


def within(request: Request, user: User, permission: Permission) -> Within:
    """Return the collections whose workloads a user may see; None is all. Raises ForbiddenError for too many."""
    limits = user.limits(permission)
    return None if limits is None else services_of(request).collections.limits(limits)
