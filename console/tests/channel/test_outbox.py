"""What waits for a slow reader, and how fast a quick one may go."""

import asyncio
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from bartizan.channel.messages import ChannelAck, ErrorCode, Goodbye, Message, Policies, Renewed, Ruleset, Waas
from bartizan.channel.outbox import Outbox
from bartizan.channel.pace import Pace


def test_a_slow_reader_costs_no_queue() -> None:
    """After any number of changes and commits, one message of each policy and one number for each source are due."""

    async def check() -> None:
        made: list[int] = []

        def policies() -> Policies:
            made.append(1)
            return Policies(revision=len(made), policies=())

        def waas() -> Waas:
            return Waas(revision=len(made), hash="0" * 64, policy=None)

        def rules() -> Iterator[Message]:
            yield Ruleset(hash=None, part=0, parts=0, data=str(len(made)))

        outbox = Outbox(policies, waas, rules)
        for number in range(1000):
            outbox.policies()
            outbox.waas()
            outbox.rules()
            outbox.acknowledge("a", number)
            outbox.acknowledge("b", 5)
        await outbox.wait()
        due = list(outbox.take())
        assert due == [
            Policies(revision=1, policies=()),
            Ruleset(hash=None, part=0, parts=0, data="1"),
            Waas(revision=1, hash="0" * 64, policy=None),
            ChannelAck(source="a", committed=999),
            ChannelAck(source="b", committed=5),
        ]
        assert list(outbox.take()) == []

    asyncio.run(check())


def test_an_acknowledgement_never_goes_back() -> None:
    """A late, lower number does not take back what was acknowledged."""

    async def check() -> None:
        outbox = Outbox(lambda: Goodbye(reason=""), lambda: Goodbye(reason=""), lambda: iter(()))
        outbox.acknowledge("a", 9)
        outbox.acknowledge("a", 3)
        assert list(outbox.take()) == [ChannelAck(source="a", committed=9)]

    asyncio.run(check())


def test_unread_replies_are_bounded_and_the_first_end_stays() -> None:
    """Who asks without reading is cut off; the reason that came first is the one that is told."""

    async def check() -> None:
        outbox = Outbox(lambda: Goodbye(reason=""), lambda: Goodbye(reason=""), lambda: iter(()))
        for _ in range(100):
            outbox.reply(Renewed(certificate="", not_after=0))
        outbox.end(ErrorCode.EXPIRED, "later")
        assert len(list(outbox.take())) == 16
        assert outbox.ending is not None
        assert outbox.ending.code is ErrorCode.RATE_LIMITED

    asyncio.run(check())


@given(amounts=st.lists(st.integers(1, 500), max_size=200), rate=st.integers(1, 1000), burst=st.integers(500, 5000))
def test_nobody_goes_faster_than_the_pace(amounts: list[int], rate: int, burst: int) -> None:
    """Whoever waits as told has, at every moment, taken at most the burst and what the rate gave since."""
    pace, now, taken = Pace(rate=rate, burst=burst, now=0.0), 0.0, 0
    for amount in amounts:
        now += pace.take(amount, now=now)
        taken += amount
        assert taken <= burst + rate * now + 1e-6 * taken
