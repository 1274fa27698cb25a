"""Large answers are handed to gRPC one after another, and nobody else waits for that."""

import threading
from collections.abc import Iterator

import pytest

from graph_server.service.call_threads import LARGE_BYTES, CallThreads


@pytest.fixture
def threads() -> Iterator[CallThreads]:
    made = CallThreads(4)
    yield made
    made.shutdown()


def test_a_large_answer_waits_until_the_one_before_it_is_handed_over(threads: CallThreads) -> None:
    has_turn, handed_over, order = threading.Event(), threading.Event(), []

    def first() -> None:
        threads.take_turn(bytes(LARGE_BYTES))
        has_turn.set()
        assert handed_over.wait(30)
        order.append("first")

    def second() -> None:
        threads.take_turn(bytes(LARGE_BYTES))
        order.append("second")

    running = threads.submit(first)
    assert has_turn.wait(30)
    waiting = threads.submit(second)
    threads.submit(threads.take_turn, b"small").result(30)
    assert not order
    handed_over.set()
    running.result(30)
    waiting.result(30)
    assert order == ["first", "second"]


def test_a_call_that_fails_with_its_turn_gives_it_back(threads: CallThreads) -> None:
    def fails() -> None:
        threads.take_turn(bytes(LARGE_BYTES))
        raise OSError("the client has gone")

    for _ in range(3):
        with pytest.raises(OSError, match="gone"):
            threads.submit(fails).result(30)
