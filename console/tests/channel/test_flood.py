"""A flood of log-ins beside the channel."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.channel.running import USER, DefenderEnd, running_console

GUESSES = 40


def test_a_flood_of_log_ins_does_not_stop_the_channel(tmp_path: Path) -> None:
    """While passwords are guessed all but ten guesses are refused unseen, and every audit is acknowledged."""
    with running_console(tmp_path / "data") as console, console.client(token="") as client:
        console.sign_up()
        end = DefenderEnd(console, console.bundle(), tmp_path)
        end.connect()

        def guess(number: int) -> int:
            wrong = {"username": USER, "password": f"a wrong password {number}"}
            return client.post("/authenticate", json=wrong).status_code

        with ThreadPoolExecutor(4) as pool:
            guesses = [pool.submit(guess, number) for number in range(GUESSES)]
            for number in range(1, 21):
                end.send(end.audits(number))
                answer = end.receive()
                assert (answer["type"], answer["committed"]) == ("ack", number)
            found = [item.result() for item in guesses]
        end.close()
    assert set(found) <= {401, 429, 503}
    # Ten for the address, and few that it earns back while the test runs.
    assert found.count(429) + found.count(503) >= GUESSES // 2
