"""The tables, as the newest migration leaves them (a test holds the two against each other)."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from bartizan.store.portable import Key

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("auth_type", Text, nullable=False, server_default="basic"),
    Column("collections", Text, nullable=False, server_default="[]"),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in ("created", "modified", "last_login")),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("user", Text, ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ("created", "last_used", "expires", "idle")),
    *(Column(name, Text, nullable=False) for name in ("address", "agent")),
    Index("sessions_user", "user", "created"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("author", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

rule_hits = Table(
    "rule_hits",
    metadata,
    Column("policy", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("hits", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
)

bundles = Table(
    "bundles",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
)

defenders = Table(
    "defenders",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("record", LargeBinary, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("bundle", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("instance", Text, nullable=False),
)

audits = Table(
    "audits",
    metadata,
    Column("id", Key, primary_key=True),
    Column("bundle", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("app_id", Text, nullable=False),
    Column("profile_id", Text, nullable=False),
    Column("image_name", Text, nullable=False),
    Column("container_name", Text, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("attack_type", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("process_path", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("msg", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("techniques", Text, nullable=False, server_default=""),
    Column("count", BigInteger, nullable=False, server_default="1"),
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("bundle", "source", "seq", name="audits_once"),
    Index("audits_time", "time", "id"),
    Index("audits_app", "app_id", "time"),
    Index("audits_received", "received"),
    sqlite_autoincrement=True,
)

alert_profiles = Table(
    "alert_profiles",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
)

alert_states = Table(
    "alert_states",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

collections = Table(
    "collections",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("secret", LargeBinary, nullable=False),
)

custom_rules = Table(
    "custom_rules",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("document", LargeBinary, nullable=False),
)

custom_rule_revisions = Table(
    "custom_rule_revisions",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("rule", Integer, nullable=False),
    Column("document", LargeBinary),
    Column("author", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Index("custom_rule_revisions_rule", "rule", "revision"),
    sqlite_autoincrement=True,
)

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("host", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("manifest_digest", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("recorded", BigInteger, nullable=False),
    UniqueConstraint("host", "repository", "tag", "digest", "architecture", name="images_once"),
    Index("images_digest", "digest", "architecture"),
    Index("images_manifest", "manifest_digest", "architecture"),
    Index("images_recorded", "recorded"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Key, primary_key=True),
    Column("category", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("custom_rule", Text, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("app_id", Text, nullable=False),
    Column("profile_id", Text, nullable=False),
    Column("image_name", Text, nullable=False),
    Column("container_name", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("acknowledged", Integer, nullable=False),
    Column("collect", BigInteger),
    Column("audit_count", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("severity", Text, nullable=False, server_default=""),
    Column("prevented", BigInteger, nullable=False, server_default="0"),
    Column("seen_by", Text, nullable=False, server_default=""),
    Column("seen_at", BigInteger),
    Column("archived", BigInteger),
    Index("incidents_kind", "profile_id", "category", "opened"),
    Index("incidents_time", "time", "id"),
    Index("incidents_collect", "collect"),
    sqlite_autoincrement=True,
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("app_id", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("container", Text),
    Column("image", Text),
    Column("reason", Text, nullable=False),
    Column("incident", Key),
    Column("state", Text, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("missed", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

snapshot_pieces = Table(
    "snapshot_pieces",
    metadata,
    Column("snapshot", Integer, ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True),
    Column("piece", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app_id", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("reporter", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("overflow", BigInteger, nullable=False),
    UniqueConstraint("app_id", "image", "container", name="models_once"),
    sqlite_autoincrement=True,
)

observations = Table(
    "observations",
    metadata,
    Column("model", Integer, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("detail", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
)

learned_rules = Table(
    "learned_rules",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("model", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("quiet_days", Integer),
)

incident_audits = Table(
    "incident_audits",
    metadata,
    Column("incident", Key, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("audit", Key, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

incident_notes = Table(
    "incident_notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident", Integer, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("incident_notes_incident", "incident"),
    sqlite_autoincrement=True,
)

waas_policies = Table(
    "waas_policies",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("author", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

waas_certificates = Table(
    "waas_certificates",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

waas_networks = Table(
    "waas_networks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

waas_rulesets = Table(
    "waas_rulesets",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("files", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

waas_audits = Table(
    "waas_audits",
    metadata,
    Column("id", Key, primary_key=True),
    Column("bundle", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("group", BigInteger, nullable=False),
    Column("alike", Text, nullable=False),
    Column("app_id", Text, nullable=False),
    Column("image_name", Text, nullable=False),
    Column("container_name", Text, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("rule_app_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("protection", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("subnet", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("header_names", Text, nullable=False),
    Column("connecting_ips", Text, nullable=False),
    Column("msg", Text, nullable=False),
    Column("techniques", Text, nullable=False),
    Column("owasp", Text, nullable=False),
    Column("owasp_api", Text, nullable=False),
    Column("address", LargeBinary),
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("bundle", "source", "seq", name="waas_audits_once"),
    Index("waas_audits_time", "time", "id"),
    Index("waas_audits_alike", "alike", "time"),
    Index("waas_audits_group", "group"),
    Index("waas_audits_event", "event_id"),
    Index("waas_audits_received", "received"),
    sqlite_autoincrement=True,
)

waas_interfaces = Table(
    "waas_interfaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app_id", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("wide", LargeBinary, nullable=False),
    UniqueConstraint("app_id", "application", name="waas_interfaces_once"),
    sqlite_autoincrement=True,
)

waas_operations = Table(
    "waas_operations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("interface", Integer, ForeignKey("waas_interfaces.id", ondelete="CASCADE"), nullable=False),
    Column("path", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("sensitive", Integer, nullable=False),
    Column("unauthenticated", Integer, nullable=False),
    Column("unencrypted", Integer, nullable=False),
    Column("names", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint("interface", "path", "method", name="waas_operations_once"),
    sqlite_autoincrement=True,
)
