"""The database: migrations, audits that arrive once, pages, and what is forgotten."""

import dataclasses
import sqlite3
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.postgresql import Where

from bartizan.audit import RuntimeAudit
from bartizan.services.directory import UserRecord
from bartizan.services.interfaces import AuditQuery, BundleGeneration, DefenderRecord, NewAudit, WorkloadRecord
from bartizan.services.sessions import SessionRecord
from bartizan.store import (
    Database,
    SqlAudits,
    SqlBundles,
    SqlCredentials,
    SqlCustomRules,
    SqlDefenders,
    SqlDirectory,
    SqlImages,
    SqlPolicies,
    SqlSessions,
    SqlSettings,
)
from bartizan.store.database import NEWEST_SCHEMA
from bartizan.store.tables import metadata


def new_audit(seq: int, *, source: str = "s", time: int = 1000, received: int = 1000) -> NewAudit:
    """Return an audit."""
    audit = RuntimeAudit(
        time="", type="processes", attack_type="a", effect="alert", severity="high", msg=f"audit {seq}", app_id="app",
        hostname="app", profile_id="app",
    )  # fmt: skip
    return NewAudit(bundle="b", source=source, seq=seq, time=time, received=received, audit=audit)


def test_migrations_lead_to_the_tables(database: Database) -> None:
    """The schema that the migrations make is the one that the code declares, and it is the newest."""
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    config = Config()
    config.set_main_option("script_location", "src/bartizan/store/migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [NEWEST_SCHEMA]


def test_a_database_of_the_first_schema_is_brought_up(where: Where) -> None:
    """What a Console of the first version wrote is still there, counts of audits too, and the new tables beside it."""
    opened = Database(where)
    SqlSettings(opened).put("a", "b")
    often = new_audit(1)
    often = dataclasses.replace(often, audit=msgspec.structs.replace(often.audit, count=7))
    SqlAudits(opened).add([often, new_audit(2)])
    config = Config()
    config.set_main_option("script_location", "src/bartizan/store/migrations")
    config.set_main_option("path_separator", "os")
    with opened.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        connection.commit()
    opened.close()
    again = Database(where)
    assert SqlSettings(again).get("a") == "b"
    assert SqlCredentials(again).all() == []
    assert SqlCustomRules(again).all() == []
    assert [(group.count, group.first) for group in SqlAudits(again).groups(AuditQuery())] == [(8, 1000)]
    assert SqlImages(again).page("", offset=0, limit=1) == ([], 0)
    again.close()


def test_an_audit_is_stored_once(database: Database) -> None:
    """The same (bundle, source, seq) again is left out; the rest of its batch is kept."""
    audits = SqlAudits(database)
    audits.add([new_audit(1), new_audit(2)])
    audits.add([new_audit(2), new_audit(3), new_audit(2, source="other")])
    assert audits.count(AuditQuery()) == 4


def test_a_failed_batch_leaves_nothing(database: Database) -> None:
    """A batch is written whole or not at all."""
    audits = SqlAudits(database)
    with pytest.raises(Exception, match=r"too large|out of range"):
        audits.add([new_audit(1), new_audit(2**70)])
    assert audits.count(AuditQuery()) == 0


def test_pages_do_not_overlap(database: Database) -> None:
    """Audits of the same millisecond have one order, in every page."""
    audits = SqlAudits(database)
    audits.add([new_audit(number) for number in range(1, 101)])
    found = [row for offset in range(0, 100, 7) for row in audits.page(AuditQuery(offset=offset, limit=7))]
    assert [number for number, _ in found] == list(range(100, 0, -1))


def test_ids_are_never_given_twice(database: Database) -> None:
    """After pruning, new audits have higher ids than any before: followers rely on it."""
    audits = SqlAudits(database)
    newest = audits.add([new_audit(1), new_audit(2)])
    assert audits.prune(received_before=0, below_id=newest + 1, most=10) == 2
    assert audits.newest_id() == newest
    audits.add([new_audit(3)])
    assert audits.page(AuditQuery())[0][0] > newest


def test_pruning_takes_the_old_ones_in_steps(database: Database) -> None:
    """By time of arrival, at most so many at once."""
    audits = SqlAudits(database)
    audits.add([new_audit(number, received=number) for number in range(1, 11)])
    assert audits.prune(received_before=8, below_id=0, most=5) == 5
    assert audits.prune(received_before=8, below_id=0, most=5) == 2
    assert audits.count(AuditQuery()) == 3


def test_the_first_user_is_the_only_first(database: Database) -> None:
    """The set-up cannot be raced into two administrators."""
    directory = SqlDirectory(database)
    first = UserRecord(name="a", role="Administrator", password_hash="h", collections=("shop",), created=1)
    assert directory.add_first_user(first)
    assert not directory.add_first_user(UserRecord(name="b", role="Administrator"))
    assert directory.users() == [first]


def test_sessions_end(database: Database) -> None:
    """A session that has ended is swept away by the next one, and so is the oldest beyond the most."""
    SqlDirectory(database).add_first_user(UserRecord(name="a", role="x"))
    store = SqlSessions(database)

    def made(name: str, now: int) -> SessionRecord:
        return SessionRecord(id=name, user="a", kind="cookie", created=now, last_used=now, expires=now + 100, idle=10)

    store.add(b"one", made("one", 0), most=2)
    store.touch("one", now=5)
    assert [item.id for item in store.all(now=14)] == ["one"]
    assert store.all(now=15) == []
    store.add(b"two", made("two", 15), most=2)
    assert store.find(b"one") is None
    for number in (16, 17):
        store.add(b"%d" % number, made(str(number), number), most=2)
    assert [item.id for item in store.all(now=18)] == ["17", "16"]
    assert store.remove("16")
    assert not store.remove("16")
    assert store.remove_of("a", but="17") == 0
    assert store.remove_of("a") == 1


def test_history_settings_bundles_and_defenders_are_kept(where: Where) -> None:
    """What was put is there after the database was closed and opened."""
    record = DefenderRecord(
        instance="i", bundle="b", keys=("k",), certificate_end=5, kind="fargate", app_id="a", version="1",
        architecture="amd64", hostname="h", task=None, workloads=(WorkloadRecord(container="c", tier_reasons=("r",)),),
    )  # fmt: skip
    generations = [BundleGeneration(id="one", created=1), BundleGeneration(id="two", created=2)]
    first = Database(where)
    assert [SqlPolicies(first).add(text, author="a", now=1) for text in (b"{}", b"[]")] == [1, 2]
    for generation in generations:
        SqlBundles(first).add(generation)
    SqlBundles(first).revoke("one", now=9)
    SqlDefenders(first).put([record])
    SqlSettings(first).put("key", "old")
    SqlSettings(first).put("key", "new")
    SqlAudits(first).set_source_owner("b", "s", "i")
    first.close()
    second = Database(where)
    assert SqlPolicies(second).latest() == (2, b"[]")
    assert SqlBundles(second).all() == [BundleGeneration(id="one", created=1, revoked=9), generations[1]]
    assert SqlDefenders(second).all() == [record]
    assert SqlSettings(second).get("key") == "new"
    SqlDefenders(second).remove(["i"])
    assert SqlDefenders(second).all() == []
    assert SqlAudits(second).source_owner("b", "s") is None
    second.close()
    if isinstance(where, Path):
        with sqlite3.connect(where) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
