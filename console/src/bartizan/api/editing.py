"""What every request that changes a policy says beside its body: the revision it was made from, and a comment."""

import re

from starlette.requests import Request
from starlette.responses import Response

from bartizan.api.reading import only_known_parameters
from bartizan.services.errors import InvalidError
from bartizan.services.interfaces import User
from bartizan.services.policies import Edit

_PARAMETERS = frozenset(("comment", "project"))
_TAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')
EDIT_PARAMETERS = [
    {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The ETag that the change was made from; when the policy is another one by now, 412 tells what "
        "has changed.",
        "example": '"12"',
    },
    {
        "name": "comment",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "maxLength": 500},
        "description": "Why, for the history.",
    },
]
"""What a route that changes a policy adds to its OpenAPI parameters."""


def edit_of(request: Request, user: User) -> Edit:
    """Return who changes what they had seen, and why. Raises InvalidError."""
    only_known_parameters(request, _PARAMETERS)
    return Edit(author=user.name, comment=request.query_params.get("comment", ""), base=_base(request))


def in_force(revision: int) -> Response:
    """Return the empty answer to a change that was made."""
    return Response(headers=revision_headers(revision))


def revision_headers(revision: int) -> dict[str, str]:
    """Return the headers that tell the revision of the policy; its ETag is what `If-Match` takes (RFC 9110, 13.1.1)."""
    return {"Policy-Revision": str(revision), "ETag": f'"{revision}"'}


def _base(request: Request) -> int | None:
    given = request.headers.get("if-match", "*").strip()
    if given == "*":
        return None
    found = _TAG.fullmatch(given)
    if found is None:
        raise InvalidError('If-Match is not the ETag of a policy, such as `"12"`')
    return int(found[1])
