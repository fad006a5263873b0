"""Alert profiles over the API, and alerts on their way from a Defender's audit to a receiver."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.channel.running import ConsoleUnderTest, DefenderEnd, running_console
from tests.registry.servers import Server, certificate
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATH = "/alert-profiles"
SECRET = "s3cret-of-this-test"


class Receiver:
    """A webhook that notes what came; while `broken` it answers 500, and while `held` is not set it does not answer."""

    def __init__(self, pem: Path) -> None:
        self.broken = False
        self.held = threading.Event()
        self.held.set()
        self.came: list[Any] = []
        self.news = threading.Condition()
        self.server = Server(self._answer, pem)
        text = pem.read_text()
        self.ca = text[text.index("-----BEGIN CERTIFICATE") :]

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://localhost:{self.server.port}/hook"

    def wait(self, what: Callable[[list[Any]], bool]) -> list[Any]:
        """Wait until what came is as wanted, and return it."""
        with self.news:
            assert self.news.wait_for(lambda: what(self.came), 20), self.came
            return list(self.came)

    def _answer(self, request: Request) -> Response:
        self.held.wait(20)
        with self.news:
            if not self.broken:
                self.came.append(request.get_json())
            self.news.notify_all()
        return Response(status=500 if self.broken else 200)


@pytest.fixture
def receiver(pem: Path) -> Iterator[Receiver]:
    """Run a receiver."""
    made = Receiver(pem)
    with made.server:
        yield made
        made.held.set()


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for localhost."""
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """Run a Console that may reach this machine."""
    with running_console(tmp_path_factory.mktemp("console"), outgoing_allow=("localhost",)) as running:
        running.sign_up()
        yield running


@pytest.fixture(scope="module")
def defender(console: ConsoleUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DefenderEnd]:
    """Connect a Defender."""
    end = DefenderEnd(console, console.bundle(), tmp_path_factory.mktemp("defender"))
    end.connect()
    yield end
    end.close()


def profile(receiver: Receiver, **changed: Any) -> dict[str, Any]:
    """Return a profile that tells a webhook of every runtime audit."""
    return {
        "name": "hook",
        "aggregationPeriodMs": 0,
        "policy": {"appEmbeddedRuntime": {"allRules": True}},
        "webhook": {
            "url": receiver.url,
            "caCert": receiver.ca,
            "json": '{"id": #id, "count": #count, "msg": #message}',
        },
        **changed,
    }


@contextmanager
def in_force(console: ConsoleUnderTest, wanted: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Put a profile in force until the block ends, and give what returns its state."""
    with console.client() as client:
        answer = client.post(PATH, json=wanted)
        assert answer.status_code == 200, answer.text
        try:
            yield lambda: dict(client.get(f"{PATH}/{wanted['name']}").json()["state"])
        finally:
            assert client.delete(f"{PATH}/{wanted['name']}").status_code == 200


def until(what: Callable[[], bool]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def report(defender: DefenderEnd, *numbers: int) -> None:
    """Report audits, and wait until they are acknowledged."""
    defender.send(defender.audits(*numbers))
    assert defender.receive()["type"] == "ack"


def test_an_audit_is_told_of(console: ConsoleUnderTest, defender: DefenderEnd, receiver: Receiver) -> None:
    """What a Defender reports is at the receiver at once; what happened before the profile is not told."""
    report(defender, 1)
    with in_force(console, profile(receiver)) as state:
        report(defender, 2, 3)
        came = receiver.wait(lambda came: len(came) == 2)
        assert [item["id"] for item in came] == sorted(item["id"] for item in came)
        assert "id 3" in came[1]["msg"] or "sh" in came[1]["msg"]
        until(lambda: state()["sent"] == 2)
        assert state()["status"] == "working"


def test_many_are_told_together(console: ConsoleUnderTest, defender: DefenderEnd, receiver: Receiver) -> None:
    """The first at once, the others of the period as one."""
    with in_force(console, profile(receiver, aggregationPeriodMs=1500)):
        report(defender, *range(10, 30))
        first, rest = receiver.wait(lambda came: len(came) == 2)
        assert (first["count"], rest["count"]) == (1, 19)


def test_a_failing_receiver_is_tried_again(
    console: ConsoleUnderTest, defender: DefenderEnd, receiver: Receiver
) -> None:
    """Its error is shown, nothing is lost, and all is told once it works."""
    receiver.broken = True
    with in_force(console, profile(receiver)) as state:
        report(defender, 40, 41)
        until(lambda: state()["status"] == "failing")
        assert "500" in state()["lastError"]
        assert (state()["sent"], state()["waiting"]) == (0, 2)
        receiver.broken = False
        receiver.wait(lambda came: len(came) == 2)


def test_a_receiver_that_hangs_holds_nothing_up(
    console: ConsoleUnderTest, defender: DefenderEnd, receiver: Receiver
) -> None:
    """While one receiver does not answer, audits are acknowledged and other profiles are told."""
    receiver.held.clear()
    other = profile(receiver, name="file", file={"name": "events"})
    del other["webhook"]
    with in_force(console, profile(receiver)), in_force(console, other) as state:
        report(defender, 50)
        report(defender, 51)
        until(lambda: state()["sent"] == 2)
        assert not receiver.came
        receiver.held.set()
        receiver.wait(lambda came: len(came) == 2)
    assert (console.directory / "alerts" / "events.jsonl").read_text().count("\n") == 2


def test_a_restart_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """What was not told when the Console ended is told after its start; the kept secret still signs it."""
    data, given = tmp_path / "data", {"outgoing_allow": ("localhost",)}
    receiver.broken = True
    with running_console(data, **given) as console:
        console.sign_up()
        wanted = profile(receiver)
        wanted["webhook"]["secret"] = {"plain": SECRET}
        with console.client() as client:
            assert client.post(PATH, json=wanted).status_code == 200
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()
        report(end, 1, 2, 3)
        end.close()
    receiver.broken = False
    with running_console(data, **given) as console:
        console.log_in()
        came = receiver.wait(lambda came: len(came) >= 3)
        assert len({item["id"] for item in came}) == 3
        assert receiver.server.seen[-1].headers["x-bartizan-signature"].startswith("sha256=")
    files = [path.read_bytes() for path in data.iterdir() if path.is_file()]
    assert not any(SECRET.encode() in content for content in files)


def test_secrets_go_in_and_never_come_out(console: ConsoleUnderTest, receiver: Receiver) -> None:
    """They are kept over a change of words, and asked for again when they would go elsewhere."""
    wanted = profile(receiver, name="sealed", enabled=False)
    wanted["webhook"] |= {"authorization": {"plain": SECRET}}
    with in_force(console, wanted), console.client() as client:
        shown = client.get(f"{PATH}/sealed")
        assert SECRET not in shown.text
        assert shown.json()["secretsSet"] == ["authorization"]
        back = shown.json() | {"description": "other words"}
        assert client.put(f"{PATH}/sealed", json=back).status_code == 200
        assert client.get(f"{PATH}/sealed").json()["secretsSet"] == ["authorization"]
        assert client.post(f"{PATH}/test", json=back).status_code == 200
        assert receiver.server.seen[-1].headers["authorization"] == SECRET
        preview = client.post(f"{PATH}/preview", json=wanted)
        assert preview.status_code == 200
        assert SECRET not in preview.text
        assert '"count": 1' in preview.json()["text"]
        thief = back | {"webhook": back["webhook"] | {"url": "https://elsewhere.example/"}}
        for answer in (client.put(f"{PATH}/sealed", json=thief), client.post(f"{PATH}/test", json=thief)):
            assert answer.status_code == 400
            assert "give `authorization.plain`" in answer.json()["err"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"webhook": {"url": "https://169.254.169.254/latest"}}, "not spoken to"),
        ({"webhook": {"url": "https://10.0.0.1/"}}, "not spoken to"),
        ({"webhook": {"url": "http://example.com/"}}, "by https only"),
        ({"webhook": {"url": "https://u:p@example.com/"}}, "a user or password"),
        ({"webhook": {"url": "https://example.com/", "json": "{#x}"}}, "`#x` is no macro"),
        ({"webhook": {"url": "https://example.com/", "caCert": "x"}}, "`webhook.caCert`"),
        ({"webhook": {}}, "missing required field"),
        ({"webhook": {"url": "https://example.com/", "colour": 1}}, "unknown field `colour`"),
        ({"webhook": {"url": "https://example.com/", "secret": {"plain": "a\nb"}}}, "printable ASCII"),
        ({"webhook": {"url": "https://e.com/"}, "slack": {"webhookUrl": {"plain": "x"}}}, "exactly one target"),
        ({"webhook": None}, "exactly one target"),
        ({"webhook": {"url": "https://e.com/", "enabled": False}}, "exactly one target"),
        ({"name": ""}, "`name`"),
        ({"name": "../x"}, "`name`"),
        ({"aggregationPeriodMs": -1}, "aggregationPeriodMs"),
        ({"policy": {"nothing": {}}}, "`nothing` is no kind of alert"),
        ({"policy": {"incident": {"severity": "huge"}}}, "does not fit"),
        ({"policy": {"incident": {"collections": ["gone"]}}}, "there is no collection `gone`"),
        ({"surprise": 1}, "`surprise`"),
    ],
)
def test_bad_profiles_get_one_clear_sentence(console: ConsoleUnderTest, changed: dict[str, Any], words: str) -> None:
    """Each says what is wrong and where, and nothing is kept."""
    good = {"name": "x", "policy": {"incident": {}}, "webhook": {"url": "https://example.com/"}}
    with console.client() as client:
        answer = client.post(PATH, json=good | changed)
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["err"]
        assert client.get(f"{PATH}/names").json() == []


def test_a_collection_that_a_profile_names_stays(console: ConsoleUnderTest) -> None:
    """Its removal is refused with the profile's name."""
    target = {"file": {"name": "x"}}
    wanted = {"name": "scoped", "enabled": False, "policy": {"incident": {"collections": ["shop"]}}, **target}
    with console.client() as client:
        assert client.post("/collections", json={"name": "shop", "appIDs": ["shop:*"]}).status_code == 200
        with in_force(console, wanted):
            answer = client.delete("/collections/shop")
            assert (answer.status_code, "alert profile scoped" in answer.json()["err"]) == (409, True)
        assert client.delete("/collections/shop").status_code == 200


def test_a_test_says_what_is_wrong(console: ConsoleUnderTest, receiver: Receiver) -> None:
    """The button's answer is the receiver's, or the guard's, in one sentence."""
    receiver.broken = True
    with console.client() as client:
        answer = client.post(f"{PATH}/test", json=profile(receiver))
        assert (answer.status_code, "answers 500" in answer.json()["err"]) == (502, True)
        mail = {"email": {"smtpAddress": "127.0.0.1", "port": 1, "from": "a@b.test", "recipients": ["c@d.test"]}}
        wanted = {"name": "mail", "policy": {"incident": {}}, **mail}
        answer = client.post(f"{PATH}/test", json=wanted)
        assert (answer.status_code, "not spoken to" in answer.json()["err"]) == (502, True)
        assert client.get(f"{PATH}/missing").status_code == 404
        assert client.delete(f"{PATH}/missing").status_code == 404
