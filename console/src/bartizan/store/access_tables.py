"""The tables of groups, roles, API tokens and the log of changes."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from bartizan.store.tables import metadata

user_groups = Table(
    "user_groups",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

custom_roles = Table(
    "custom_roles",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("user", Text, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("last_used", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("user", "type", "source", "method", "path")),
    Column("status", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("changes_time", "time"),
)
