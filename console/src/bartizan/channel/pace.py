"""How fast a peer may go."""


class Pace:
    """A token bucket: `rate` per second, `burst` at once. Time comes in as seconds of any steady clock."""

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._when = now

    def take(self, amount: float, *, now: float) -> float:
        """Take `amount` and return for how many seconds the peer has to be held back."""
        self._level = min(self._burst, self._level + (now - self._when) * self._rate) - amount
        self._when = now
        return max(0.0, -self._level / self._rate)
