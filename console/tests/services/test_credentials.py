"""The credential store: secrets at rest, who they go to, and what attackers of the database get."""

import asyncio
import dataclasses
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.looking import SECRET, Bench, basic, run

from bartizan.pki import SealError, SecretBox
from bartizan.services.credentials import Credentials, CredentialType, Usage, host_of_url
from bartizan.services.errors import ConflictError, InvalidError, MissingError, UnavailableError

ROLE = "arn:aws:iam::123456789012:role/reader"
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Open the services."""
    opened = Bench(tmp_path)
    yield opened
    opened.close()


def test_a_credential_comes_back_with_its_secret(bench: Bench) -> None:
    """What was kept is opened for use, after a restart too."""
    bench.put(host="registry.test", description="of the shop")
    again = Credentials(bench.store, SecretBox(bench.directory / "secrets.key"), box_error=SealError, clock=bench.clock)
    opened = run(again.open("shop"))
    assert opened.secret == SECRET
    assert opened.credential.account == "robot"
    assert opened.credential.owner == "admin"
    assert opened.credential.created == bench.clock.now


def test_copied_files_of_the_database_hold_no_secret(bench: Bench) -> None:
    """An attacker with the database and its log, but not the key file, greps in vain."""
    bench.put()
    bench.put(SECRET + "-changed", description="other")
    held = b"".join(path.read_bytes() for path in bench.directory.iterdir() if path.name != "secrets.key")
    assert b"robot" in held
    assert SECRET.encode() not in held
    assert SECRET.encode("utf-16-le") not in held


def rows(bench: Bench) -> dict[str, tuple[bytes, bytes]]:
    """Return the rows of the table, read past our code."""
    with sqlite3.connect(bench.directory / "bartizan.db") as direct:
        return {key: (document, secret) for key, document, secret in direct.execute("SELECT * FROM credentials")}


def write(bench: Bench, key: str, column: str, value: bytes) -> None:
    """Change a row past our code, as an attacker with the database would."""
    with sqlite3.connect(bench.directory / "bartizan.db") as direct:
        direct.execute(f"UPDATE credentials SET {column} = ? WHERE id = ?", (value, key))  # noqa: S608 - of the test


def test_swapped_secrets_do_not_open(bench: Bench) -> None:
    """A sealed secret that was moved to another credential is refused, with the words what to do, and without it."""
    bench.put(id="cheap")
    bench.put("the other secret", id="dear")
    write(bench, "cheap", "secret", rows(bench)["dear"][1])
    with pytest.raises(UnavailableError, match="PUT /api/v1/credentials/cheap") as refusal:
        run(bench.credentials.open("cheap"))
    assert "secret of credential `cheap` cannot be read" in str(refusal.value)
    assert "the other secret" not in str(refusal.value)


def test_swapped_rows_do_not_open(bench: Bench) -> None:
    """Moving the document along with the secret helps nobody: the row's own id is authenticated."""
    bench.put(id="cheap", host="cheap.test")
    bench.put("the other secret", id="dear", host="dear.test")
    document, secret = rows(bench)["dear"]
    write(bench, "cheap", "document", document)
    write(bench, "cheap", "secret", secret)
    with pytest.raises(UnavailableError):
        run(bench.credentials.open("cheap"))


def test_a_destination_that_was_changed_in_the_database_gets_no_secret(bench: Bench) -> None:
    """Whoever writes the database cannot have the secret sent to a host of theirs."""
    bench.put(host="registry.test")
    document = rows(bench)["shop"][0]
    assert b"registry.test" in document
    write(bench, "shop", "document", document.replace(b"registry.test", b"evil.example"))
    with pytest.raises(UnavailableError):
        run(bench.credentials.open("shop"))


@pytest.mark.parametrize(
    "changed", [{"host": "evil.test"}, {"host": ""}, {"account": "other"}, {"type": CredentialType.JFROG}]
)
def test_a_new_destination_takes_the_secret_again(bench: Bench, changed: dict[str, Any]) -> None:
    """Whoever may edit a credential cannot have its secret sent elsewhere without knowing it."""
    bench.put(host="registry.test")
    edited = dataclasses.replace(basic(host="registry.test"), **changed)
    with pytest.raises(InvalidError, match="takes the secret again"):
        run(bench.credentials.put(edited, "", author="mallory"))
    assert run(bench.credentials.open("shop")).secret == SECRET
    assert bench.credentials.one("shop").host == "registry.test"


def test_a_change_of_words_keeps_the_secret(bench: Bench) -> None:
    """Without a new secret the present one stays, and so does the time of the first keeping."""
    bench.put()
    created = bench.clock.now
    bench.clock.now += 5000
    bench.put("", description="new words")
    opened = run(bench.credentials.open("shop"))
    assert (opened.secret, opened.credential.description) == (SECRET, "new words")
    assert (opened.credential.created, opened.credential.modified) == (created, created + 5000)


def test_the_first_keeping_needs_a_secret(bench: Bench) -> None:
    """A credential without a secret is none."""
    with pytest.raises(InvalidError, match=r"`secret\.plain`"):
        bench.put("")
    with pytest.raises(InvalidError, match=r"`apiToken\.plain`"):
        bench.put("", type=CredentialType.JFROG)
    assert bench.credentials.all() == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": ""}, "_id"),
        ({"id": "a/b"}, "_id"),
        ({"id": "../x"}, "_id"),
        ({"id": "x" * 201}, "_id"),
        ({"id": "a\nb"}, "_id"),
        ({"account": ""}, "accountID"),
        ({"account": "a:b"}, "accountID"),
        ({"account": "a\r\nb"}, "accountID"),
        ({"description": "x" * 3000}, "description"),
        ({"region": "eu-central-1"}, "region"),
        ({"type": CredentialType.AWS, "account": ""}, "accountID"),
        ({"type": CredentialType.AWS, "region": "Frankfurt"}, "region"),
        ({"type": CredentialType.AWS, "role_arn": "arn:aws:iam::1:role/x"}, "roleArn"),
        ({"type": CredentialType.ECR, "host": "registry.test"}, "url"),
    ],
)
def test_what_cannot_be_right_is_refused(bench: Bench, changed: dict[str, Any], words: str) -> None:
    """Each refusal names the field, and no secret."""
    with pytest.raises(InvalidError, match=f"`{words}`|`{words}`") as refusal:
        bench.put(**changed)
    assert SECRET not in str(refusal.value)
    assert bench.credentials.all() == []


@pytest.mark.parametrize("secret", ["tr0ub4dor\n", "\x00", "x" * 20_000])
def test_a_secret_that_no_header_can_carry_is_refused_without_repeating_it(bench: Bench, secret: str) -> None:
    """The error names the field alone."""
    with pytest.raises(InvalidError, match=r"`secret\.plain`") as refusal:
        bench.put(secret)
    assert secret.strip() not in str(refusal.value)


def test_a_token_with_a_blank_is_refused_without_repeating_it(bench: Bench) -> None:
    """No header could carry it."""
    with pytest.raises(InvalidError, match=r"`apiToken\.plain`: printable ASCII") as refusal:
        bench.put("with a blank", type=CredentialType.API_TOKEN)
    assert "with a blank" not in str(refusal.value)


def test_an_aws_credential_may_name_region_and_role(bench: Bench) -> None:
    """Region, role and the registry's own host are kept."""
    bench.put(type=CredentialType.AWS, account="AKIAEXAMPLE", region="eu-central-1", role_arn=ROLE, host=ECR)
    kept = bench.credentials.one("shop")
    assert (kept.region, kept.role_arn, kept.host) == ("eu-central-1", ROLE, ECR)


def test_a_used_credential_stays(bench: Bench) -> None:
    """Removal is refused with the users named, until there are none."""
    bench.put()
    users = [Usage(type="Registry Scan", description="settings of registry `registry.test`")]
    bench.credentials.add_user(lambda name: users if name == "shop" else [])
    with pytest.raises(ConflictError, match=r"in use by settings of registry `registry\.test`"):
        run(bench.credentials.remove("shop", author="admin"))
    assert bench.credentials.usages("shop") == users
    users.clear()
    run(bench.credentials.remove("shop", author="admin"))
    assert bench.credentials.all() == []
    assert bench.store.all() == []


def test_what_is_not_there_is_told(bench: Bench) -> None:
    """Every use of an unknown name is refused alike."""
    for work in (
        bench.credentials.open("none"),
        bench.credentials.remove("none", author="admin"),
    ):
        with pytest.raises(MissingError, match="no credential `none`"):
            run(work)
    with pytest.raises(MissingError):
        bench.credentials.usages("none")


def test_the_key_is_rotated_under_the_secrets(bench: Bench) -> None:
    """After a rotation every secret opens with the new key alone, and the old key file opens none."""
    bench.put()
    bench.put("two", id="second")
    old_file = (bench.directory / "secrets.key").read_bytes()
    before = {item.key: item.secret for item in bench.store.all()}
    assert run(bench.credentials.rotate_key(author="admin")) == 2
    assert (bench.directory / "secrets.key").read_bytes().count(b"\n") == 1
    assert all(item.secret != before[item.key] for item in bench.store.all())
    assert run(bench.credentials.open("second")).secret == "two"
    (bench.directory / "old.key").touch(mode=0o600)
    (bench.directory / "old.key").write_bytes(old_file)
    other = Credentials(bench.store, SecretBox(bench.directory / "old.key"), box_error=SealError, clock=bench.clock)
    with pytest.raises(UnavailableError):
        run(other.open("second"))


def test_a_key_that_was_put_first_is_used_from_the_next_start_on(bench: Bench) -> None:
    """What an older key sealed is sealed anew at a start."""
    bench.put()
    bench.box.add_key()
    assert not bench.box.is_current(bench.store.all()[0].secret)
    assert run(bench.credentials.reseal()) == 1
    assert bench.box.is_current(bench.store.all()[0].secret)
    assert run(bench.credentials.reseal()) == 0


def test_a_rotation_keeps_a_key_that_is_still_needed(bench: Bench) -> None:
    """A secret that could not be sealed anew keeps its key, so that nothing is lost."""
    bench.put()
    bench.put("two", id="second")
    write(bench, "second", "secret", rows(bench)["shop"][1])
    assert run(bench.credentials.rotate_key(author="admin")) == 1
    assert (bench.directory / "secrets.key").read_bytes().count(b"\n") == 2


def test_logs_and_representations_hold_no_secret(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what is logged of a change nor what a debugger shows tells the secret."""
    with caplog.at_level(logging.DEBUG):
        bench.put()
        opened = run(bench.credentials.open("shop"))
    assert "credential `shop` was added by `admin`" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(opened)


def test_many_writers_at_once_lose_nothing(bench: Bench) -> None:
    """Credentials that are kept at the same time are all there."""

    async def all_at_once() -> None:
        await asyncio.gather(
            *(bench.credentials.put(basic(id=f"c{number}"), f"s{number}", author="a") for number in range(20))
        )

    run(all_at_once())
    assert len(bench.credentials.all()) == len(bench.store.all()) == 20
    assert run(bench.credentials.open("c7")).secret == "s7"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("", ""),
        ("https://registry.test", "registry.test"),
        ("https://Registry.Test:443/", "registry.test"),
        ("registry.test:5000", "registry.test:5000"),
        ("https://hub.docker.com", "docker.io"),
        ("https://corp.jfrog.io/artifactory", "corp.jfrog.io"),
        ("https://[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        (f"https://{ECR}", ECR),
    ],
)
def test_urls_become_hosts(url: str, host: str) -> None:
    """The ways to write a registry's address lead to the one host that images are compared with."""
    assert host_of_url(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "http://registry.test",
        "ftp://x",
        "https://user:pw@registry.test",
        "https://a b",
        "https://x:99999",
        "https://",
        "*",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """No secret goes to an address without TLS, or to what is no address; the URL is not repeated: it may hold one."""
    with pytest.raises(InvalidError, match="`url`") as refusal:
        host_of_url(url)
    assert "pw" not in str(refusal.value)
