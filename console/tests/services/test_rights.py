"""What roles give, and where it holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.services.rights import EVERYBODY, GRANTABLE, Grant, Permission, User
from bartizan.services.roles import SYSTEM_ROLES

WRITES = {permission for permission in GRANTABLE if not permission.reads}


def test_the_roles_are_those_that_pipelines_know() -> None:
    """Their names are a contract."""
    assert set(SYSTEM_ROLES) == {
        "Administrator", "Operator", "Auditor", "DevSecOps User", "Vulnerability Manager", "DevOps User",
        "Defender Manager", "CI User",
    }  # fmt: skip
    assert all(role.system for role in SYSTEM_ROLES.values())
    assert all(not EVERYBODY & role.permissions for role in SYSTEM_ROLES.values())


@pytest.mark.parametrize(
    ("role", "writes"),
    [
        ("Administrator", {permission.value for permission in WRITES}),
        ("Auditor", set()),
        ("DevSecOps User", {"incidentsAcknowledge"}),
        ("Vulnerability Manager", set()),
        ("DevOps User", set()),
        ("Defender Manager", {"defendersManage", "defendersEmbed"}),
        ("CI User", {"defendersEmbed"}),
        ("Operator", {permission.value for permission in WRITES} - {"accessWrite", "systemWrite"}),
    ],
)
def test_what_a_role_may_change(role: str, writes: set[str]) -> None:
    """Each role changes what the table says, and nothing else."""
    assert {permission.value for permission in SYSTEM_ROLES[role].permissions & WRITES} == writes


def test_people_without_a_grant_may_do_nothing() -> None:
    """What is not granted is denied."""
    nobody = User(name="a", role="Administrator")
    assert not any(nobody.allows(permission) for permission in GRANTABLE)
    assert nobody.allows(Permission.SIGNED_IN)


_GRANTS = st.builds(
    Grant,
    role=st.just("r"),
    permissions=st.frozensets(st.sampled_from(sorted(GRANTABLE, key=lambda item: item.value)), max_size=4),
    collections=st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
)


@settings(max_examples=50)
@given(st.lists(_GRANTS, max_size=4), st.sampled_from(sorted(GRANTABLE, key=lambda item: item.value)))
def test_limits_of_one_grant_do_not_widen_another(grants: list[Grant], permission: Permission) -> None:
    """A permission holds exactly where some single grant gives it: without limits, or in that grant's collections."""
    user = User(name="a", role="r", grants=tuple(grants))
    giving = [grant for grant in grants if permission in grant.permissions]
    assert user.allows(permission) == bool(giving)
    limits = user.limits(permission)
    for name in "abc":
        held = any(not grant.collections or name in grant.collections for grant in giving)
        assert (user.allows(permission) and (limits is None or name in limits)) == held
