"""No secret reaches the logs."""

import logging
from pathlib import Path

import pytest
from tests.channel.running import PASSWORD, USER, DefenderEnd, csr_of, new_key, running_console


def test_logs_hold_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With everything logged, a whole life of a Console shows neither password, token, bundle secret nor key."""
    caplog.set_level(logging.DEBUG)
    with running_console(tmp_path / "data") as console:
        setup = console.running.setup_token
        console.sign_up()
        bundle = console.bundle()
        end = DefenderEnd(console, bundle, tmp_path)
        end.connect()
        end.send({"type": "renew", "csr": csr_of(new_key())})
        assert end.receive()["type"] == "renewed"
        end.send({"type": bundle["secret"]})
        end.receive()
        end.close()
        wrong = "a wrong but secret password"
        with console.client(basic=(USER, wrong)) as client:
            assert client.get("/defenders").status_code == 401
        with console.client(token="a-wrong-but-secret-token") as client:
            assert client.get("/defenders").status_code == 401
        DefenderEnd(console, bundle, tmp_path).enrol(secret="a-wrong-but-secret-secret")
        secrets = [setup, PASSWORD, console.token, bundle["secret"], wrong, "a-wrong-but-secret", "PRIVATE KEY"]
    logged = "\n".join(
        record.getMessage() + (record.exc_text or "")
        for record in caplog.records
        # The test's own clients log what they send; the Console's side is what is looked at.
        if not record.name.startswith(("httpx", "httpcore", "websockets.client"))
    )
    assert "enrolled from" in logged
    for secret in secrets:
        assert secret is not None
        assert secret not in logged
