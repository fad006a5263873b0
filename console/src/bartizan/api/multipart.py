"""Bodies of several parts (RFC 7578), such as `curl --form` sends."""

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP

from bartizan.services.errors import InvalidError

_MOST_PARTS = 20
_LONGEST_TYPE = 300


def parts_of(body: bytes, content_type: str) -> dict[str, bytes]:
    """Return the parts of a body by their names, the first of each name. Raises InvalidError for what is no form."""
    if not content_type.lower().startswith("multipart/form-data") or len(content_type) > _LONGEST_TYPE:
        raise InvalidError("the body has to be a form, `multipart/form-data`")
    if not content_type.isascii() or not content_type.isprintable():
        raise InvalidError("the type of the body cannot be read")
    boundary = Message()
    boundary["Content-Type"] = content_type
    mark = boundary.get_boundary()
    if not mark or body.count(f"--{mark}".encode()) > _MOST_PARTS:
        raise InvalidError(f"the form has no boundary, or more than {_MOST_PARTS} parts")
    parser = BytesParser(policy=HTTP)
    message = parser.parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    found: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found.setdefault(name, content)
    return found
