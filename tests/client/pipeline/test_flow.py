"""Queues and windows."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import ConfigurationError
from stream_client.frames import Frame
from stream_client.options import RunOptions
from stream_client.pipeline.flow import AdaptiveWindow, BlockingFrameQueue, LatestFrameQueue


def _frame(index: int) -> Frame:
    return Frame(index, index, np.zeros((1, 1, 3), np.uint8), 0.0)


@given(st.lists(st.booleans()), st.integers(1, 5))
def test_a_blocking_queue_keeps_every_frame_in_order(offers: list[bool], capacity: int) -> None:
    queue = BlockingFrameQueue(capacity)
    offered, taken = 0, []
    for offer in offers:
        if offer and queue.has_room():
            assert not queue.offer(_frame(offered))
            offered += 1
        elif not offer and (frame := queue.take()) is not None:
            taken.append(frame.index)
        assert len(queue) <= capacity
    assert taken + [frame.index for frame in queue.drain()] == list(range(offered))


@given(st.lists(st.booleans()))
def test_a_latest_queue_gives_the_newest_frame_and_accounts_for_the_others(offers: list[bool]) -> None:
    queue = LatestFrameQueue()
    ends = []
    for index, offer in enumerate(offers):
        if offer:
            ends += [frame.index for frame in queue.offer(_frame(index))]
        elif (frame := queue.take()) is not None:
            assert frame.index == max(i for i, was_offer in enumerate(offers[:index]) if was_offer)
            ends.append(frame.index)
    ends += [frame.index for frame in queue.drain()]
    assert ends == [index for index, offer in enumerate(offers) if offer]


def _settle(
    window: AdaptiveWindow, workers: int, service: float, answers: int = 400, noise: Callable[[], float] = lambda: 1.0
) -> list[int]:
    """Run ``window`` against a simulated server that works on ``workers`` frames at once."""
    now, free_at, history = 0.0, [0.0] * workers, []
    in_flight: list[tuple[float, float]] = []
    for _ in range(answers):
        while len(in_flight) < window.limit:
            worker = free_at.index(min(free_at))
            free_at[worker] = max(free_at[worker], now) + service * noise()
            in_flight.append((free_at[worker], now))
        in_flight.sort()
        done, sent = in_flight.pop(0)
        now = done
        window.answered(done - sent, len(in_flight), now)
        window.delivered(done - sent)
        history.append(window.limit)
    return history


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_an_adaptive_window_fills_the_server_and_hardly_more(workers: int) -> None:
    settled = _settle(AdaptiveWindow(), workers, service=0.05)[-100:]
    assert workers <= np.median(settled) <= workers + 3


@given(st.integers(0, 2**32 - 1))
def test_with_a_steady_server_one_frame_waits_behind_the_one_in_work(seed: int) -> None:
    random = np.random.default_rng(seed)
    settled = _settle(AdaptiveWindow(), 1, service=0.1, noise=lambda: random.uniform(0.97, 1.03))[10:]
    assert max(settled) == 2
    assert np.mean(np.array(settled) == 2) > 0.9


def test_a_latency_target_keeps_the_window_small() -> None:
    free = np.median(_settle(AdaptiveWindow(), 4, service=0.05)[-100:])
    bound = np.median(_settle(AdaptiveWindow(latency_target=0.04), 4, service=0.05)[-100:])
    assert bound == 1 < free


@pytest.mark.parametrize(
    "options", [{"max_inflight": 0}, {"request_timeout": 0}, {"limit_frames": -1}, {"enforce_fps": 0.0}]
)
def test_options_that_cannot_work_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=rf" \({next(iter(options))}\)$"):
        RunOptions(**options)  # type: ignore[arg-type]
