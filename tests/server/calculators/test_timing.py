"""Calculators that choose the timestamps of their outputs themselves: loopback and flow limiter."""

import threading
from typing import Any

from graph_server.graph.calculator import Calculator, Registry
from tests.support.graphs import new_graph, run_graph, simple_registry

LOOP = """
  input_stream: "a" input_stream: "x" output_stream: "before" output_stream: "x_again"
  node { calculator: "PreviousLoopbackCalculator" input_stream: "MAIN:a" input_stream: "LOOP:slow"
         input_stream_info: { tag_index: "LOOP" back_edge: true } output_stream: "PREV_LOOP:before" }
  node { calculator: "%s" input_stream: "a" output_stream: "slow" }
  node { calculator: "PassThroughCalculator" input_stream: "x" output_stream: "x_again" }
"""


def test_a_loop_gives_the_packet_of_the_previous_timestamp() -> None:
    out = run_graph(LOOP % "Slow", [("a", t, t) for t in range(1, 30)])
    assert out["before"] == [(t, t - 1) for t in range(2, 30)]


def test_a_loop_keeps_its_packet_over_timestamps_without_a_main_packet() -> None:
    out = run_graph(LOOP % "Slow", [("x", 1, 0), ("a", 1, 1), ("x", 2, 0), ("x", 3, 0), ("a", 3, 3)])
    assert out["before"] == [(3, 1)]


def test_a_loop_gives_nothing_after_a_timestamp_without_a_loop_packet() -> None:
    out = run_graph(LOOP % "Odd", [("a", t, t) for t in range(6)])
    assert out["before"] == [(2, 1), (4, 3)]


def test_a_loop_through_its_own_output_sees_every_frame() -> None:
    text = """
      input_stream: "a" output_stream: "sum"
      node { calculator: "PreviousLoopbackCalculator" input_stream: "MAIN:a" input_stream: "LOOP:sum"
             input_stream_info: { tag_index: "LOOP" back_edge: true } output_stream: "PREV_LOOP:before" }
      node { calculator: "Add" input_stream: "a" input_stream: "before" output_stream: "sum" }
    """
    assert [value for _, value in run_graph(text, [("a", t, t) for t in range(1, 8)])["sum"]] == [
        1, 3, 6, 10, 15, 21, 28,
    ]  # fmt: skip


LIMITER = """
  input_stream: "a" input_stream: "side" output_stream: "b" output_stream: "allow" output_stream: "side_again"
  node { calculator: "FlowLimiterCalculator" input_stream: "a" input_stream: "side" input_stream: "FINISHED:b"
         input_stream_info: { tag_index: "FINISHED" back_edge: true }
         output_stream: "through" output_stream: "side_again" output_stream: "ALLOW:allow"
         options { [mediapipe.FlowLimiterCalculatorOptions.ext] { %s } } }
  node { calculator: "Held" input_stream: "through" output_stream: "b" }
"""


def _held(release: threading.Event) -> Registry:
    registry = simple_registry()

    @registry.register("Held")
    class Held(Calculator):
        def process(self, inputs: Any, timestamp: int) -> Any:
            assert release.wait(20)
            return (inputs[0],)

    return registry


def _flood(options: str, count: int) -> dict[str, list[tuple[int, Any]]]:
    """``count`` frames before the first can be finished, then one more."""
    release = threading.Event()
    graph = new_graph(LIMITER % options, _held(release))
    out: dict[str, list[tuple[int, Any]]] = {}
    seen = threading.Semaphore(0)

    def listen(name: str, value: Any, timestamp: int) -> None:
        out.setdefault(name, []).append((timestamp, value))
        if name == "allow":
            seen.release()

    graph.start({}, listen)
    for timestamp in range(count):
        graph.add_packet("side", -timestamp, timestamp)
        graph.add_packet("a", timestamp, timestamp)
    most = count if "max_in_queue" not in options else count - 2
    for _ in range(most):
        assert seen.acquire(timeout=20)
    release.set()
    graph.wait_until_idle()
    graph.add_packet("side", -count, count)
    graph.add_packet("a", count, count)
    graph.close_inputs()
    graph.wait_until_done()
    return out


def test_a_flow_limiter_drops_frames_while_one_is_in_flight() -> None:
    out = _flood("", 6)
    assert [t for t, _ in out["b"]] == [0, 6]
    assert [value for _, value in out["allow"]] == [True, False, False, False, False, False, True]
    assert out["side_again"] == [(0, 0), (6, -6)]


def test_the_options_of_a_flow_limiter_set_how_many_frames_pass_and_how_many_wait() -> None:
    assert [t for t, _ in _flood("max_in_flight: 2", 6)["b"]] == [0, 1, 6]
    # The two newest frames wait. They pass when the frame in flight is finished.
    assert [t for t, _ in _flood("max_in_queue: 2", 6)["b"]] == [0, 4, 5, 6]


def test_a_flow_limiter_has_a_timeout_for_frames_that_never_finish() -> None:
    # The frame at 0 stays in flight until all have come. The frame more than 2 µs after it passes anyway.
    assert [t for t, value in _flood("in_flight_timeout: 2", 5)["allow"] if value] == [0, 3, 5]
