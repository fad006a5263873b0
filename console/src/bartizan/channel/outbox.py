"""
What is due to one Defender.

Policies and acknowledgements are latest-wins: a slow reader costs two flags and one number for each source, never a
queue.
"""

import asyncio
from collections.abc import Callable, Iterator

from bartizan.channel.messages import ChannelAck, Error, ErrorCode, Message

_MOST_REPLIES = 16


class Outbox:
    """
    The messages that wait for one connection; `policies`, `rules` and `waas` make theirs when their turn comes.

    Of `rules` there are as many as the set in use has pieces; they come before the policy that they are for.
    """

    def __init__(
        self, policies: Callable[[], Message], waas: Callable[[], Message], rules: Callable[[], Iterator[Message]]
    ) -> None:
        self._policies = policies
        self._policies_due = False
        self._waas = waas
        self._waas_due = False
        self._rules = rules
        self._rules_due = False
        self._acks: dict[str, int] = {}
        self._replies: list[Message] = []
        self._due = asyncio.Event()
        self.ending: Error | None = None
        self.finished = False

    def reply(self, message: Message) -> None:
        """Queue an answer to a question of the Defender."""
        if len(self._replies) >= _MOST_REPLIES:
            self.end(ErrorCode.RATE_LIMITED, "too many requests at once")
            return
        self._replies.append(message)
        self._due.set()

    def acknowledge(self, source: str, committed: int) -> None:
        """Queue an acknowledgement."""
        self._acks[source] = max(committed, self._acks.get(source, 0))
        self._due.set()

    def policies(self) -> None:
        """Queue the policies as they are when they are sent."""
        self._policies_due = True
        self._due.set()

    def waas(self) -> None:
        """Queue the WAAS policy as it is when it is sent."""
        self._rules_due = True
        self._waas_due = True
        self._due.set()

    def rules(self) -> None:
        """Queue the set of rules in use when it is sent."""
        self._rules_due = True
        self._due.set()

    def end(self, code: ErrorCode, message: str, *, retry_after: int | None = None) -> None:
        """Let an error be the last message; the first reason to end stays."""
        if self.ending is None:
            self.ending = Error(code=code, message=message, retry_after_seconds=retry_after)
        self._due.set()

    def finish(self) -> None:
        """Let the writer end when everything due is sent."""
        self.finished = True
        self._due.set()

    async def wait(self) -> None:
        """Wait until something is due."""
        await self._due.wait()
        self._due.clear()

    def take(self) -> Iterator[Message]:
        """Give what is due, in the order in which it should be sent."""
        replies, self._replies = self._replies, []
        yield from replies
        if self._policies_due:
            self._policies_due = False
            yield self._policies()
        if self._rules_due:
            self._rules_due = False
            yield from self._rules()
        if self._waas_due:
            self._waas_due = False
            yield self._waas()
        acks, self._acks = self._acks, {}
        for source, committed in acks.items():
            yield ChannelAck(source=source, committed=committed)
