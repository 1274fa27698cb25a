"""A fleet at a server that is full: a stream of large frames and several of small ones."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from graph_server.calculators import REGISTRY
from graph_server.config.server_config import single_servable
from graph_server.graph.calculator import Calculator
from graph_server.server import GraphServer
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan
from tests.support.graph_server import graph_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(240)
SECONDS = {320: 0.2, 160: 0.02}
"""What a frame of that width costs: so much that the server is what is full, on a busy machine too."""
SMALL = 6


@REGISTRY.register("TestWork")
class Work(Calculator):
    """Works on one frame of the server at a time, as a model with one infer request does."""

    turn: ClassVar[threading.Lock] = threading.Lock()
    done: ClassVar[Counter[int]] = Counter()

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        width = inputs[0].array.shape[1] if hasattr(inputs[0], "array") else inputs[0].shape[1]
        with Work.turn:
            time.sleep(SECONDS[width])
            Work.done[width] += 1
        return inputs


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    graph = tmp_path_factory.mktemp("work") / "graph.pbtxt"
    graph.write_text(
        'input_stream: "IMAGE:image" output_stream: "IMAGE:output"\n'
        'node { calculator: "TestWork" input_stream: "image" output_stream: "output" }'
    )
    with graph_server(config=single_servable("work", graph.parent)) as server:
        yield server


def plan(server: GraphServer, name: str, source: str, **settings: object) -> StreamPlan:
    given = {"input_stream": source, "grpc_address": server.address, "model_name": "work", "output_stream": "none"}
    return StreamPlan(name, {**given, **settings})


def plans(server: GraphServer, weights: Mapping[str, float]) -> list[StreamPlan]:
    small = [
        plan(server, f"small {number}", "testsrc:160x120@30", weight=weights.get(f"small {number}", 1))
        for number in range(SMALL)
    ]
    return [plan(server, "large", "testsrc:320x240@30", weight=weights.get("large", 1)), *small]


def lately(read: Callable[[], Mapping[Any, int]], seconds: float = 2.0) -> Mapping[Any, int]:
    before = Counter(read())
    time.sleep(seconds)
    return Counter(read()) - before


def delivered(fleet: Fleet) -> Mapping[str, int]:
    return {each.name: each.delivered for each in fleet.status()}


def test_large_frames_do_not_starve_small_ones(working: GraphServer) -> None:
    """By turns of one frame each, the stream of large frames would have 0.2 of each 0.32 seconds."""

    def part() -> float:
        done = lately(lambda: Work.done)
        large, small = (done[width] * SECONDS[width] for width in (320, 160))
        return large / (large + small)

    with Fleet() as fleet:
        assert not fleet.apply(plans(working, {}))
        wait_until(lambda: all(each.delivered for each in fleet.status()))
        wait_until(lambda: part() < 0.3, seconds=60)  # its share is a seventh
        wait_until(
            lambda: (
                max(fast := [rate for name, rate in lately(lambda: delivered(fleet)).items() if name != "large"])
                < 2 * min(fast)
            ),
            seconds=60,
        )
        shares = [each.share for each in fleet.status()]
        assert sum(share or 0.0 for share in shares) == pytest.approx(1, abs=0.05)
        assert all(each.failed == 0 and each.restarts == 0 for each in fleet.status())


def test_a_weight_gives_more_of_a_full_server(working: GraphServer) -> None:
    with Fleet() as fleet:
        assert not fleet.apply(plans(working, {"small 0": 4}))
        wait_until(lambda: all(each.delivered for each in fleet.status()))

        def ratio() -> float:
            rates = lately(lambda: delivered(fleet))
            others = [rates.get(f"small {number}", 0) for number in range(1, SMALL)]
            return rates["small 0"] / max(1.0, sum(others) / len(others))

        wait_until(lambda: ratio() > 2, seconds=60)
