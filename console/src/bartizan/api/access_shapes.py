"""The JSON of people and their sessions."""

import msgspec

Strings = list[str]


class SessionAnswer(msgspec.Struct, rename="camel"):
    """
    Who is signed in, and what they may do.

    `collections` are those that they are limited to; an empty list is no limit.
    """

    username: str
    role: str
    permissions: Strings
    collections: Strings


ACCESS_SHAPES = (SessionAnswer,)
