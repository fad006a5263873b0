"""The API's description against the API: generated requests of every role and of nobody, to one real Console."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from tests.channel.running import DEADLINE, ConsoleUnderTest

from bartizan.services.rights import Permission
from bartizan.services.roles import ADMINISTRATOR, SYSTEM_ROLES

ENDLESS = {"GET /api/v1/audits/runtime/app-embedded/follow", "GET /api/v1/events/follow"}
"""They go on until the client leaves."""
DIALS_OUT = {
    "POST /api/v1/alert-profiles/test",
    "POST /api/v1/settings/registry/test",
    "PUT /api/v1/settings/oidc",
}
"""They ask hosts that the request names; tests with hosts of their own have them."""
EXAMPLES = 1
"""For each operation, of requests that fit the description, and of requests that do not."""
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
NOBODY = "nobody"
CONTRACT = Path(__file__).resolve().parents[3] / "contract" / "openapi.json"


@schemathesis.serializer("application/zip")
def _as_it_is(_context: Any, value: Any) -> bytes:
    """Send any bytes in place of an archive."""
    return value if isinstance(value, bytes) else str(value).encode()


def described() -> dict[str, Any]:
    """Return the description without its ways to log in: who asks is said here, and is not generated."""
    document: dict[str, Any] = json.loads(CONTRACT.read_text())
    del document["components"]["securitySchemes"]
    for operations in document["paths"].values():
        for operation in operations.values():
            del operation["security"]
    return document


SCHEMA = schemathesis.openapi.from_dict(described())
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


class Callers:
    """Sends cases as each role and as nobody, and holds the answers against the description."""

    def __init__(self, console: ConsoleUnderTest) -> None:
        self._console = console
        self._session = requests.Session()
        self._tokens = {NOBODY: ""}
        with console.client() as client:
            for role in SYSTEM_ROLES:
                answer = client.post("/tokens", json={"name": f"generated {role}", "role": role})
                assert answer.status_code == 200, answer.text
                self._tokens[role] = answer.json()["token"]

    def of(self, label: str) -> list[str]:
        """Return who sends an operation's cases: the administrator, nobody, and one other role, all by turns."""
        others = [role for role in SYSTEM_ROLES if role != ADMINISTRATOR]
        return [ADMINISTRATOR, NOBODY, others[sorted(OPERATIONS).index(label) % len(others)]]

    def send(self, case: Any, name: str) -> None:
        """Send a case as somebody; who may not is refused, whatever they send, and who may is answered as described."""
        token = self._tokens[name]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        base = self._console.url.removesuffix("/api/v1")
        ca = str(self._console.running.ca_file)
        answer = case.call(base_url=base, session=self._session, headers=headers, verify=ca, timeout=DEADLINE)
        case.validate_response(answer, checks=CHECKS, headers=headers)
        permission = Permission(case.operation.definition.raw["x-permission"])
        role = SYSTEM_ROLES.get(name)
        if permission is Permission.PUBLIC or (permission is Permission.SIGNED_IN and role is not None):
            return
        if role is None or permission not in role.permissions:
            assert 400 <= answer.status_code < 500, (case.operation.label, name)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


@pytest.fixture(scope="module")
def callers(console: ConsoleUnderTest) -> Iterator[Callers]:
    """Give each role a token."""
    made = Callers(console)
    yield made
    made.close()


def check(label: str, mode: GenerationMode, callers: Callers) -> None:
    """Send generated cases as each of its callers."""

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def generated(case: Any) -> None:
        for name in callers.of(label):
            callers.send(case, name)

    generated()


def test_what_is_left_out_exists() -> None:
    """The lists above name operations of today, and no others are left out."""
    assert set(OPERATIONS) >= ENDLESS | DIALS_OUT
    assert {label for label in OPERATIONS if label.endswith("/follow")} == ENDLESS


@pytest.mark.parametrize("label", sorted(set(OPERATIONS) - ENDLESS - DIALS_OUT))
def test_answers_are_as_described(callers: Callers, label: str) -> None:
    """For the administrator, nobody and other roles by turns: no answer is a 500, each has its described shape."""
    operation = OPERATIONS[label]
    check(label, GenerationMode.POSITIVE, callers)
    # Of a path or a query that is any text there is nothing that does not fit.
    if operation.body:
        check(label, GenerationMode.NEGATIVE, callers)
