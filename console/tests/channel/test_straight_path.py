"""The straight path through a real Console: set up, publish, enrol, connect, report, read."""

from pathlib import Path

from tests.channel.running import DefenderEnd, running_console

DENY_SHELL = {
    "name": "shop",
    "collections": [{"name": "shop", "images": ["shop:*"]}],
    "processes": {"effect": "prevent", "blacklist": ["sh"]},
}


def test_from_set_up_to_audit(tmp_path: Path) -> None:
    """A Defender gets the policy of its workload, and what it reports is in the API once it is acknowledged."""
    with running_console(tmp_path / "data") as console:
        console.sign_up()
        console.put_policy(DENY_SHELL)
        defender = DefenderEnd(console, console.bundle(), tmp_path)
        policies = defender.connect()
        assert policies["type"] == "policies"
        assert policies["policies"][0]["container"] == "web"
        assert policies["policies"][0]["policy"]["rule"] == "shop"
        assert policies["policies"][0]["policy"]["processes"]["deny"] == ["sh"]
        defender.send(defender.audits(1, 2, 3))
        assert defender.receive() == {"type": "ack", "source": defender.instance, "committed": 3}
        audits = console.audits()
        assert [audit["command"] for audit in audits] == ["sh -c 'id 3'", "sh -c 'id 2'", "sh -c 'id 1'"]
        assert audits[0]["appID"] == "shop:1"
        assert audits[0]["containerName"] == "web"
        assert audits[0]["attackType"] == "explicitlyDeniedProcess"
        console.put_policy()
        changed = defender.receive()
        assert changed["policies"][0]["policy"]["rule"] is None
        defender.close()
