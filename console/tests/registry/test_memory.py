"""What look-ups keep between them."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from bartizan.registry.memory import Memory


def test_the_longest_unused_goes_first() -> None:
    """When there is no more room, what was not asked for lately is dropped."""
    memory = Memory(largest=80)
    for name in "abcdefgh":
        memory.keep(name, bytes(10))
    assert memory.get("a") == bytes(10)
    memory.keep("i", bytes(10))

    assert memory.get("b") is None
    assert memory.get("a") == bytes(10)


steps = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["keep", "get", "forget"]), st.integers(0, 40)), max_size=60
)


@given(steps)
def test_it_never_holds_more_than_it_may(steps: list[tuple[str, str, int]]) -> None:
    """Whatever is done, all contents together stay within the bound, and what is found is what was last kept."""
    memory, last = Memory(largest=160), dict[str, bytes]()
    for key, what, size in steps:
        if what == "keep":
            memory.keep(key, bytes(size))
            if size <= 20:
                last[key] = bytes(size)
        elif what == "forget":
            memory.forget(key)
            last.pop(key, None)
        else:
            assert memory.get(key) in {last.get(key), None}
    assert memory._size == sum(map(len, memory._kept.values())) <= 160


def test_threads_may_share_it() -> None:
    """Its count stays right when several threads write at once."""
    memory, begin = Memory(largest=4000), threading.Barrier(4)

    def work(number: int) -> None:
        begin.wait()
        for item in range(500):
            memory.keep((number, item % 7), bytes(item % 90))
            memory.forget((number, (item + 3) % 7))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory._size == sum(map(len, memory._kept.values()))
