"""Stamps to stages: what a frame spent where, and that it adds up."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_client import Result, RunOptions, StreamClient, TransportOptions
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.monitoring.ledger import Ledger
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.stages import STAGES, stage_durations
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.flow import FixedWindow, frame_queue
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.steps import SendFrame
from stream_client.transport.base import Answer, Request
from tests.support.kserve_server import ScriptedServer, image_and_label, slow

PICTURE = np.zeros((2, 2, 3), np.uint8)


def totals(source: Any, sinks: Any, address: str, *, api: Any = "stream", **options: Any) -> dict[str, float]:
    """Seconds that all frames of a real run spent in each stage; checks on the way that every frame adds up."""
    results: list[Result] = []
    transport = TransportOptions(address, api=api, model_name="graph")
    client = StreamClient(source, sinks, transport, options=RunOptions(**options))
    client.on_result(results.append)
    client.run()
    assert results
    sums = dict.fromkeys(STAGES, 0.0)
    for result in results:
        durations = stage_durations(result.stamps)
        assert all(seconds >= 0 for seconds in durations.values()), durations
        assert sum(durations.values()) == pytest.approx(result.latency)
        sums = {stage: sums[stage] + seconds for stage, seconds in durations.items()}
    return sums


@pytest.mark.parametrize("api", ["stream", "unary"])
@pytest.mark.parametrize("window", [1, 8])
def test_the_stages_of_every_frame_add_up_to_its_latency(
    clip: Path, server: ScriptedServer, api: str, window: int
) -> None:
    totals(str(clip), (), server.address, api=api, max_inflight=window)


def test_they_add_up_with_labels_that_come_apart_from_their_pictures(clip: Path, server: ScriptedServer) -> None:
    server.outputs, server.script = ["label_scores", "output"], image_and_label
    totals(str(clip), (), server.address)


def test_they_add_up_for_frames_that_were_sent_twice(clip: Path, server: ScriptedServer) -> None:
    cut = threading.Event()

    def write(result: Result) -> None:
        if result.frame.index == 5 and not cut.is_set():
            cut.set()
            server.stop()
            server.start()

    totals(str(clip), write, server.address, max_inflight=2, on_server_loss="retry")


def test_a_slow_server_is_seen_as_round_trip(clip: Path, server: ScriptedServer) -> None:
    server.script = slow(0.05)
    sums = totals(str(clip), (), server.address, max_inflight=1, drop_policy="latest", limit_frames=10)
    del sums["queue"]  # waiting for the window: the server's fault as well
    assert max(sums, key=sums.__getitem__) == "round_trip"


def test_a_slow_sink_is_seen_as_waiting_for_sinks_and_not_as_joining(clip: Path, server: ScriptedServer) -> None:
    pause = threading.Event()
    sums = totals(str(clip), lambda result: pause.wait(0.03) or None, server.address, max_inflight=4)
    assert sums["dispatch"] > sums["join"] + sums["round_trip"]


class Clock:
    """Time that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float) -> float:
        self.now += seconds
        return self.now


def scripted(delay: float) -> dict[str, float]:
    """The stages of a frame whose server takes ``delay`` seconds more; every other stage takes its own 1 to 9 ms."""
    clock = Clock()
    joiner = Joiner(expected=frozenset({"output"}), image_output="output", request_timeout=9, join_timeout=9)
    exchange = Exchange(frame_queue("block"), FixedWindow(1), joiner, Ledger(), Observer(), clock=clock)
    listener = exchange.listener()
    frame = Frame(0, 7, PICTURE, captured=clock())
    clock.after(0.001)
    exchange.offer(frame)
    clock.after(0.002)
    step = exchange.next_step()
    assert isinstance(step, SendFrame)
    request = Request(7, ())
    stamps = Stamps(
        step.frame.captured, step.frame.offered, step.dequeued, converted=clock.after(0.003), sent=clock.after(0.004)
    )
    assert exchange.sending(step.frame, request, stamps, size=12)
    answer = Answer(7, {"output": Tensor("output", "UINT8", PICTURE)}, clock.after(0.005 + delay), clock.now, False)
    answer = Answer(7, answer.outputs, answer.received, clock.after(0.006), complete=False)
    clock.after(0.007)
    listener(answer)
    dispatched = clock.after(0.008)
    settled = exchange.next_settled()
    assert settled is not None
    (one,) = settled
    passed = {name: getattr(one.stamps, name) for name in Stamps.__slots__}
    return stage_durations(Stamps(**{**passed, "dispatched": dispatched, "delivered": clock.after(0.009)}))


def test_every_stage_is_measured_between_its_own_two_stamps() -> None:
    assert list(scripted(0.0).values()) == pytest.approx([n / 1000 for n in range(1, 10)])


def test_a_delay_of_the_server_moves_the_round_trip_by_as_much_and_nothing_else() -> None:
    plain, delayed = scripted(0.0), scripted(0.05)
    moved = {stage: delayed[stage] - plain[stage] for stage in STAGES}
    assert moved.pop("round_trip") == pytest.approx(0.05)
    assert list(moved.values()) == pytest.approx([0.0] * 8)
