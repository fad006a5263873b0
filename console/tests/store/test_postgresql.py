"""PostgreSQL: one Console at a time, errors without passwords, text that it would refuse, connections that end."""

import dataclasses
import gc
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.channel.running import running_console
from tests.postgresql import PASSWORD, Server
from tests.store.test_store import new_audit

from bartizan.api import create_api
from bartizan.audit.incidents import IncidentKind
from bartizan.database_address import AddressError, DatabaseAddress, parse_database_address
from bartizan.services.interfaces import AuditQuery
from bartizan.settings import SettingsError, read_settings
from bartizan.store import Database, SqlAudits, SqlSettings

MINER = IncidentKind(category="cryptoMiner", type="fargate")
_QUERIES = (
    {"search": "a"},
    {"limit": "5"},
    {"aggregate": "true"},
    {"sort": "time"},
    {"from": "1970-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"},
)


@given(st.text() | st.from_regex(r"postgresql://[^ ]{0,20}secret[^ ]{0,20}@.{0,40}"))
@example("postgresql://bartizan:secret@db/x?sslmode=never")
@example("postgresql://bartizan:secret@db:99999/x")
@example("postgresql://bartizan:secret@/x?host=elsewhere")
@example("postgresql://bartizan:secret@[::1/x")
@settings(max_examples=60)
def test_any_text_is_an_address_or_an_error_without_the_password(text: str) -> None:
    """Whatever was given, there is an address with all its parts or one error, and neither shows the password."""
    found, told = None, ""
    try:
        found = parse_database_address(text)
    except AddressError as error:
        told = str(error)
    assert ":secret" not in told
    if found is not None:
        assert found.user
        assert found.database
        assert found.host or found.socket_directory
        assert "password=" not in repr(found)


def test_who_is_not_here_has_to_prove_its_name() -> None:
    """A server across the network is asked for its certificate; only a setting says otherwise."""
    assert parse_database_address("postgresql://b@db.example.com/x").tls == "verify-full"
    assert parse_database_address("postgresql://b@db/x?sslmode=require").tls == "require"
    assert parse_database_address("postgresql://b@localhost/x").tls == "disable"
    assert (
        parse_database_address("postgresql://b@/x?host=/run/postgresql").socket_path == "/run/postgresql/.s.PGSQL.5432"
    )


def test_the_password_comes_from_a_file(tmp_path: Path) -> None:
    """A file's last line end is no part of it; a file that is not there is told."""
    (tmp_path / "password").write_text("s e cret\n")
    given = {"BARTIZAN_DATABASE": "postgresql://b@db/x", "BARTIZAN_DATABASE_PASSWORD_FILE": str(tmp_path / "password")}
    found = read_settings(given).database
    assert found is not None
    assert found.password == "s e cret"
    assert "s e cret" not in repr(read_settings(given))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(given | {"BARTIZAN_DATABASE_PASSWORD_FILE": str(tmp_path / "none")})


def test_a_second_console_is_refused(server: Server) -> None:
    """The database has one writer; it is free again when that one ends."""
    address = server.new_database()
    first = Database(address)
    with pytest.raises(ValueError, match="another Console is running"):
        Database(address)
    first.close()
    Database(address).close()


def test_errors_at_the_start_have_no_password(server: Server) -> None:
    """A wrong password, a database that is not there and a server that is not there are one sentence each."""
    wrong = server.address("postgres", password="not this secret")
    nowhere = dataclasses.replace(wrong, socket_directory="/nowhere")
    closed = DatabaseAddress(host="127.0.0.1", port=1, database="x", user="u", password=PASSWORD, tls="disable")
    for address, told in (
        (wrong, r"password authentication failed|is the password right"),
        (server.address("missing"), r"does `missing` exist, may `tester` use it\?|does not exist"),
        (nowhere, "No such file or directory"),
        (closed, "Connection refused"),
    ):
        with pytest.raises(ValueError, match=told) as caught:
            Database(address)
        assert "\n" not in str(caught.value)
        assert "not this secret" not in str(caught.value)
        assert PASSWORD not in str(caught.value)


def test_a_database_of_another_encoding_is_refused(server: Server) -> None:
    """What cannot hold every text is told before anything is written."""
    address = server.new_database(options="ENCODING 'LATIN1'")
    with pytest.raises(ValueError, match="keeps text as LATIN1"):
        Database(address)


def test_a_nul_does_not_stop_the_audits(server: Server) -> None:
    """A message with a NUL, which PostgreSQL refuses, is kept with all that came with it."""
    database = Database(server.new_database())
    audits = SqlAudits(database)
    hostile = new_audit(1)
    hostile = dataclasses.replace(hostile, audit=msgspec.structs.replace(hostile.audit, msg="a\0b", user="\0"))
    audits.add([hostile, new_audit(2)])
    assert audits.count(AuditQuery(message="a\N{REPLACEMENT CHARACTER}b")) == 1
    database.close()


def test_connections_that_the_server_ended_are_made_anew(server: Server) -> None:
    """After a restart of the server the next question is answered, and the sockets of before are closed."""
    address = server.new_database()
    database = Database(address)
    stored = SqlSettings(database)
    stored.put("a", "b")
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert stored.get("a") == "b"
    stored.put("a", "c")
    assert stored.get("a") == "c"
    database.close()
    gc.collect()


def refused_on_it(client: httpx.Client, url: str) -> list[tuple[str, dict[str, str], int]]:
    """Return those of all lists, with and without what most of them can be asked, that the database refused."""
    found = []
    for path, operations in create_api(None).openapi()["paths"].items():
        if "get" not in operations or "{" in path:
            continue
        known = {item["name"] for item in operations["get"].get("parameters", ())}
        for query in ({}, *_QUERIES):
            if "follow" in path or not query.keys() <= known:
                continue
            answer = client.get(url + path, params=query)
            if answer.status_code >= 500:
                found.append((path, query, answer.status_code))
    return found


def test_a_console_lives_on_it(server: Server, tmp_path: Path) -> None:
    """A whole Console signs up, keeps a policy over its restart, answers every list, and leaves no file behind."""
    address = server.new_database()
    with running_console(tmp_path / "data", database=address) as console:
        console.sign_up()
        console.put_policy({"name": "kept"})
    assert not (tmp_path / "data" / "bartizan.db").exists()
    store = Database(address)
    bad = [dataclasses.replace(new_audit(number), incident=MINER) for number in range(1, 10)]
    SqlAudits(store).add([*bad, *(new_audit(number) for number in range(10, 30))])
    store.close()
    with running_console(tmp_path / "data", database=address) as console, console.client(token="") as client:
        console.log_in()
        assert client.get("/_ping").status_code == 200
        with console.client() as known:
            rules = known.get("/policies/runtime/app-embedded").json()["rules"]
            assert refused_on_it(known, console.url.removesuffix("/api/v1")) == []
    assert [rule["name"] for rule in rules] == ["kept"]
