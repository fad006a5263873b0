"""
What it costs to look at events when there are many: pages, facets and counts over time, and taking in new ones.

`events.py [MILLIONS | --quick]` (5; or 30,000 events) writes that many runtime audits, and a tenth of it WAAS events,
into a new database below the temporary folder, asks each question many times at random places, and prints the 50th and
95th percentile.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bartizan.audit import RuntimeAudit
from bartizan.audit.firewall_audit import FirewallAudit
from bartizan.audit.runtime_audit import rfc3339
from bartizan.services.events import EventList, EventQuery
from bartizan.services.firewall_audits import FirewallQuery
from bartizan.services.ingest import AuditFeed
from bartizan.services.interfaces import AuditQuery, NewAudit, NewFirewallAudit
from bartizan.store import Database, SqlAudits, SqlEvents

SEED = 5_000
ROUNDS = 40
NOW = 1_795_000_000_000
STEP = 120
"""Milliseconds between two events: five million are a week."""
_TYPES = (("processes", "deniedProcess"), ("network", "deniedName"), ("filesystem", "deniedFile"))


def runtime_audit(seq: int) -> NewAudit:
    """Return an audit like a real one, of one of 40 applications."""
    app, (kind, reason) = f"shop-{seq % 40}:1", _TYPES[seq % 3]
    moment = NOW - seq * STEP
    audit = RuntimeAudit(
        time=rfc3339(moment), type=kind, attack_type="explicitlyDeniedProcess", severity="high",
        effect="prevent" if seq % 9 else "alert", reason=reason, attack_techniques=("T1059",), app_id=app, hostname=app,
        msg=f"/bin/sh (/usr/bin/dash) launched from /usr/bin/python3.11 was prevented. Full command: sh -c 'id {seq}'",
        profile_id=f"{app}_web", image_name="registry.example.com/shop/web:1.0", container_name="web",
        rule_name=f"rule {seq % 12}", command=f"sh -c 'id {seq}'", process_path="/usr/bin/dash", pid=seq % 30_000,
        parent_path="/usr/bin/python3.11", ancestry=("/usr/bin/python3.11", "/usr/local/bin/gunicorn"), user="33",
        resource_id="arn:aws:ecs:eu-central-1:123456789012:task/shop/0123456789abcdef", defender_id="0" * 32,
    )  # fmt: skip
    return NewAudit(bundle="b", source="s", seq=seq, time=moment, received=moment, audit=audit)


def waas_audit(seq: int) -> NewFirewallAudit:
    """Return a WAAS event like a real one."""
    app, moment = f"shop-{seq % 40}:1", NOW - seq * STEP * 10
    audit = FirewallAudit(
        time=rfc3339(moment), app_id=app, hostname=app, effect="prevent", type="sqli", protection="firewall",
        msg="SQL injection in the query's value `id`", event_id=f"{seq:032x}", count=1, firewall_type="app-embedded",
        url=f"http://shop.example.com/item?id={seq}", url_path="/item", method="GET", request_host="shop.example.com",
        user_agent_header="Mozilla/5.0 (X11; Linux x86_64)", subnet=f"203.0.113.{seq % 250}", rule_name="shop",
        country=("DE", "FR", "US")[seq % 3], request_headers="GET /item HTTP/1.1\r\nHost: shop.example.com\r\n" * 4,
    )  # fmt: skip
    return NewFirewallAudit(bundle="b", source="s", seq=seq, time=moment, received=moment, audit=audit)


def fill(database: Database, runtime: int, waas: int) -> None:
    """Write so many events: a few thousand as the Console does, and copies of them, older and older."""
    store = SqlAudits(database)
    store.add([runtime_audit(seq) for seq in range(1, min(SEED, runtime) + 1)])
    store.add([waas_audit(seq) for seq in range(1, min(SEED, waas) + 1)])
    for table, wanted, step in (("audits", runtime, STEP), ("waas_audits", waas, STEP * 10)):
        with database.read() as connection:
            names = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
        have = min(SEED, wanted)
        while have < wanted:
            more = min(have, wanted - have, 500_000)
            changed = {"id": f"id + {have}", "seq": f"seq + {have}", "time": f"time - {have * step}"}
            values = ", ".join(changed.get(name, f'"{name}"') for name in names)
            columns = ", ".join(f'"{name}"' for name in names)
            with database.write() as connection:
                connection.exec_driver_sql(
                    f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE id <= {more}"  # noqa: S608
                )
            have += more

    count(database)


def count(database: Database) -> None:
    """Count the copies as ingest would have: the migration does it."""
    with database.write() as connection:
        for table in ("event_counts", "event_facets"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0012'")
        database.migrate(connection, "head")


def measured(name: str, ask: Callable[[random.Random], object]) -> None:
    """Ask a question often, and print how long it takes in milliseconds."""
    randomness, took = random.Random(1), []  # noqa: S311 - the same places every time
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        ask(randomness)
        took.append((time.perf_counter() - begun) * 1000)
    cuts = statistics.quantiles(took, n=20)
    print(f"{name:58} p50 {cuts[9]:8.1f} ms   p95 {cuts[18]:8.1f} ms")


def questions(events: EventList, span: int) -> None:
    """Ask all questions."""

    def query(moment: int | None = None, words: tuple[str, ...] = (), **facets: tuple[str, ...]) -> EventQuery:
        return EventQuery(
            runtime=AuditQuery(end=moment, words=words), waas=FirewallQuery(end=moment, text=words), facets=facets
        )

    def somewhere(randomness: random.Random) -> int:
        return NOW - randomness.randrange(span)

    def page(question: EventQuery) -> object:
        return asyncio.run(events.page(question, cursor=None, limit=50))

    measured("newest page", lambda _: page(query()))
    measured("page at a random time", lambda r: page(query(somewhere(r))))
    measured("page of one application", lambda r: page(query(somewhere(r), appID=(f"shop-{r.randrange(40)}:1",))))
    measured("page by effect", lambda r: page(query(somewhere(r), effect=("alert",))))
    measured("page by a rule that nothing has", lambda r: page(query(somewhere(r), ruleName=("none",))))
    measured("page by two words that nothing has", lambda r: page(query(somewhere(r), words=("no", "such-word"))))
    measured("facets", lambda r: asyncio.run(events.facets(query(somewhere(r)), most_values=20)))
    week = 7 * 24 * 3_600_000
    measured(
        "counts of a day in 60 slices",
        lambda r: asyncio.run(events.slices(query(), start=NOW - r.randrange(week), end=NOW, buckets=60)),
    )


def main() -> None:
    """Measure and print."""
    asked = sys.argv[1] if len(sys.argv) > 1 else "5"
    runtime = 30_000 if asked == "--quick" else int(float(asked) * 1_000_000)
    with tempfile.TemporaryDirectory(prefix="bartizan-events-") as folder:
        database = Database(Path(folder) / "bartizan.db")
        begun = time.perf_counter()
        fill(database, runtime, runtime // 10)
        size = (Path(folder) / "bartizan.db").stat().st_size / 1e9
        print(
            f"{runtime:,} audits and {runtime // 10:,} WAAS events, {size:.1f} GB, {time.perf_counter() - begun:.0f} s"
        )
        questions(EventList(SqlEvents(database), AuditFeed(0), clock=lambda: NOW), runtime * STEP)
        store, begun = SqlAudits(database), time.process_time()
        for batch in range(20):
            first = runtime + batch * 1000
            store.add([runtime_audit(first + n) for n in range(1, 1001)])
        print(
            f"ingest: {20_000 / (time.process_time() - begun):,.0f} audits for each second of CPU, in batches of 1,000"
        )
        database.close()


if __name__ == "__main__":
    main()
