"""Running graphs: order, timestamps, parallel nodes, back-pressure, errors, cancelling."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from graph_server.errors import GraphError
from graph_server.graph.calculator import Calculator, Emission, Services, TimedCalculator
from graph_server.graph.node import Node
from graph_server.graph.policies import NodeState
from tests.support.graphs import NO_MODELS, new_graph, run_graph, simple_registry

CHAIN = """
  input_stream: "a" output_stream: "c"
  node { calculator: "Slow" input_stream: "a" output_stream: "b" }
  node { calculator: "Slow" input_stream: "b" output_stream: "c" }
"""
JOIN = """
  input_stream: "a" input_stream: "b" output_stream: "sum"
  node { calculator: "Add" input_stream: "a" input_stream: "b" output_stream: "sum" }
"""


def test_packets_come_out_in_order_when_calls_take_different_times() -> None:
    out = run_graph(CHAIN, [("a", t, t) for t in range(50)])
    assert out["c"] == [(t, t) for t in range(50)]


def test_a_node_runs_when_one_of_its_inputs_has_a_packet() -> None:
    text = """
      input_stream: "a" output_stream: "sum"
      node { calculator: "Odd" input_stream: "a" output_stream: "odd" }
      node { calculator: "Add" input_stream: "odd" input_stream: "odd" output_stream: "sum" }
    """
    assert run_graph(text, [("a", t, t) for t in range(6)])["sum"] == [(1, 2), (3, 6), (5, 10)]


def test_streams_are_joined_by_timestamp_in_any_order_of_arrival() -> None:
    packets = [("a", 1, 10), ("a", 3, 30), ("b", 1, 1), ("b", 2, 2), ("b", 3, 3)]
    assert run_graph(JOIN, packets)["sum"] == [(1, 11), (2, 2), (3, 33)]


def test_a_stream_that_is_input_and_output_leaves_in_order_with_a_slow_listener() -> None:
    text = """
      input_stream: "a" output_stream: "a" output_stream: "b"
      node { calculator: "Slow" input_stream: "a" output_stream: "b" }
    """
    graph = new_graph(text)
    seen: list[int] = []

    def listen(name: str, value: Any, timestamp: int) -> None:
        if name == "a":
            time.sleep(0.003 if timestamp % 3 == 0 else 0)
            seen.append(timestamp)

    graph.start({}, listen)
    for timestamp in range(30):
        graph.add_packet("a", timestamp, timestamp)
    graph.close_inputs()
    graph.wait_until_done()
    assert seen == list(range(30))


def test_independent_nodes_run_in_parallel_for_the_same_timestamp() -> None:
    registry = simple_registry()
    meeting = threading.Barrier(2, timeout=20)

    @registry.register("Meet")
    class Meet(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            meeting.wait()
            return (inputs[0],)

    text = """
      input_stream: "a" output_stream: "sum"
      node { calculator: "Meet" input_stream: "a" output_stream: "b" }
      node { calculator: "Meet" input_stream: "a" output_stream: "c" }
      node { calculator: "Add" input_stream: "b" input_stream: "c" output_stream: "sum" }
    """
    assert run_graph(text, [("a", t, t) for t in range(5)], registry=registry)["sum"] == [(t, 2 * t) for t in range(5)]


def test_several_timestamps_are_in_progress_at_once() -> None:
    registry = simple_registry()
    meeting = threading.Barrier(2, timeout=20)

    @registry.register("MeetAcross")
    class MeetAcross(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            if timestamp == {"b": 2, "c": 1}[self.node.outputs[0].name]:
                meeting.wait()  # the second node is at 1 while the first is already at 2
            return (inputs[0],)

    text = """
      input_stream: "a" output_stream: "c"
      node { calculator: "MeetAcross" input_stream: "b" output_stream: "c" }
      node { calculator: "MeetAcross" input_stream: "a" output_stream: "b" }
    """
    out = run_graph(text, [("a", t, t) for t in (0, 1, 2, 3)], registry=registry)
    assert [t for t, _ in out["c"]] == [0, 1, 2, 3]


def order_of_calls(slack: int) -> list[tuple[str, int]]:
    """The calls of a chain of two nodes, with one worker and four timestamps that are all there at the start."""
    registry = simple_registry()
    order: list[tuple[str, int]] = []
    fed = threading.Event()

    class Noted(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            fed.wait(20)
            order.append((self.node.calculator, timestamp))
            return (inputs[0],)

    registry.register("Before")(type("Before", (Noted,), {}))
    registry.register("After")(type("After", (Noted,), {"slack": slack}))
    graph = new_graph(
        """
          num_threads: 1 input_stream: "a" output_stream: "c"
          node { calculator: "Before" input_stream: "a" output_stream: "b" }
          node { calculator: "After" input_stream: "b" output_stream: "c" }
        """,
        registry,
    )
    graph.start({}, lambda name, value, timestamp: None)
    for timestamp in range(1, 5):
        graph.add_packet("a", timestamp, timestamp)
    fed.set()
    graph.close_inputs()
    graph.wait_until_done()
    return order


def test_the_oldest_timestamp_goes_first() -> None:
    assert order_of_calls(0) == [(name, timestamp) for timestamp in range(1, 5) for name in ("Before", "After")]


def test_nodes_before_a_node_with_slack_run_ahead_by_the_slack() -> None:
    first = [("Before", 1), ("Before", 2), ("After", 1), ("Before", 3), ("After", 2)]
    assert order_of_calls(1) == [*first, ("Before", 4), ("After", 3), ("After", 4)]


def test_nodes_in_a_loop_and_beside_a_node_with_slack_run_ahead_too() -> None:
    registry = simple_registry()

    @registry.register("Hands")
    class Hands(Calculator):
        slack = 1

    text = """
      input_stream: "a" output_stream: "label" output_stream: "drawn"
      node { calculator: "PreviousLoopbackCalculator" input_stream: "MAIN:a" input_stream: "LOOP:region"
        input_stream_info { tag_index: "LOOP" back_edge: true } output_stream: "PREV_LOOP:last" }
      node { calculator: "Add" input_stream: "a" input_stream: "last" output_stream: "pose" }
      node { calculator: "Add" input_stream: "pose" output_stream: "region" }
      node { calculator: "Add" input_stream: "pose" output_stream: "label" }
      node { calculator: "Hands" input_stream: "pose" output_stream: "hands" }
      node { calculator: "Add" input_stream: "hands" output_stream: "drawn" }
    """
    graph = new_graph(text, registry)
    graph.start({}, lambda name, value, timestamp: None)
    leads = {state.calculator.node.outputs[0].name: state.lead for state in graph._flow.states if state.outputs}
    graph.cancel()
    assert leads == {"last": 1, "pose": 1, "region": 1, "label": 1, "hands": 0, "drawn": 0}


def test_a_call_that_goes_back_in_time_has_its_own_turn() -> None:
    calculator = Calculator(Node("loop", "Loop", 1, (), ()), Services(NO_MODELS))
    state = NodeState(calculator, 0)
    state.lead = 1
    assert [state.turn(timestamp) for timestamp in (1, 5, 6, 2, 7)] == [1, 1, 5, 2, 2]


def test_num_threads_limits_the_workers() -> None:
    registry = simple_registry()
    names = set()

    @registry.register("Who")
    class Who(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            names.add(threading.current_thread().name)
            return (inputs[0],)

    nodes = "".join(f'node {{ calculator: "Who" input_stream: "a" output_stream: "b{n}" }}' for n in range(6))
    run_graph(f'num_threads: 1 input_stream: "a" output_stream: "b0" {nodes}', [("a", 1, 1)], registry=registry)
    assert len(names) == 1


def test_an_unbounded_queue_takes_everything() -> None:
    out = run_graph("max_queue_size: -1" + CHAIN, [("a", t, 0) for t in range(300)])
    assert len(out["c"]) == 300


def test_a_full_queue_of_one_input_does_not_block_the_other_input() -> None:
    packets = [("a", t, t) for t in range(101)] + [("b", 500, 1)]
    assert len(run_graph(JOIN, packets)["sum"]) == 102


def test_a_graph_that_gets_only_one_of_two_inputs_fails_with_mediapipes_text_and_does_not_grow() -> None:
    text = 'input stream: "a" of a node "Add". All calculators are idle while packet sources remain active'
    for directive, least in (("report_deadlock: true", 100), ("", 1000)):
        with pytest.raises(GraphError, match=text) as caught:
            run_graph(directive + JOIN, [("a", t, t) for t in range(5000)])
        assert caught.value.code == "UNAVAILABLE"
        run_graph(directive + JOIN, [("a", t, t) for t in range(least)])


def test_adding_waits_while_the_queue_is_full() -> None:
    graph = new_graph("max_queue_size: 2" + CHAIN)
    opened = threading.Event()

    def hold(name: str, value: object, timestamp: int) -> None:
        opened.wait(20)

    graph.start({}, hold)
    added: list[int] = []

    def feed() -> None:
        for timestamp in range(40):
            graph.add_packet("a", 0, timestamp)
            added.append(timestamp)

    thread = threading.Thread(target=feed)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    assert added == [0, 1]
    assert graph.pending == 2
    opened.set()
    thread.join(20)
    graph.close_inputs()
    graph.wait_until_done()
    assert len(added) == 40


def test_a_packet_after_closing_the_inputs_is_refused() -> None:
    graph = new_graph("max_queue_size: 2" + CHAIN)
    graph.start({}, lambda *packet: None)
    graph.close_inputs()
    for timestamp in range(4):
        with pytest.raises(GraphError, match='Packet sent to closed stream "a"'):
            graph.add_packet("a", 0, timestamp)
    graph.wait_until_done()


def test_a_failing_calculator_puts_the_graph_into_error_with_mediapipes_text() -> None:
    text = """
      input_stream: "a" output_stream: "b"
      node { calculator: "FailAt3" input_stream: "a" output_stream: "b" }
    """
    expected = (
        r'^CalculatorGraph::Run\(\) failed: \nCalculator::Process\(\) for node "FailAt3" failed: three is too much$'
    )
    with pytest.raises(GraphError, match=expected):
        run_graph(text, [("a", t, t) for t in range(6)])


def test_nodes_with_the_same_name_get_numbers_like_in_mediapipe() -> None:
    text = """
      input_stream: "a" output_stream: "c"
      node { calculator: "FailAt3" input_stream: "a" output_stream: "b" }
      node { calculator: "FailAt3" input_stream: "b" output_stream: "c" }
    """
    with pytest.raises(GraphError, match=r'for node "FailAt3_1" failed'):
        run_graph(text, [("a", 1, 3)])


def test_the_text_of_an_unexpected_exception_has_its_type(caplog: pytest.LogCaptureFixture) -> None:
    text = 'input_stream: "a" output_stream: "b" node { calculator: "Odd" input_stream: "a" output_stream: "b" }'
    with pytest.raises(GraphError, match=r'Process\(\) for node "Odd" failed: TypeError: '):
        run_graph(text, [("a", 1, {})])
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(("method", "what"), [("open", "Open"), ("close", "Close")])
def test_the_error_names_a_calculator_that_fails_to_open_or_close(method: str, what: str) -> None:
    registry = simple_registry()

    @registry.register("Broken")
    class Broken(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            return (inputs[0],)

    def fail(*arguments: Any) -> Any:
        raise GraphError("no luck")

    setattr(Broken, method, fail)
    text = 'input_stream: "a" output_stream: "b" node { calculator: "Broken" input_stream: "a" output_stream: "b" }'
    with pytest.raises(GraphError, match=rf'Calculator::{what}\(\) for node "Broken" failed: no luck'):
        run_graph(text, [], registry=registry)


def test_a_calculator_must_give_one_value_for_each_output() -> None:
    registry = simple_registry()

    @registry.register("Two")
    class Two(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            return (1, 2)

    text = 'input_stream: "a" output_stream: "b" node { calculator: "Two" input_stream: "a" output_stream: "b" }'
    with pytest.raises(GraphError, match="2 values for 1 output streams"):
        run_graph(text, [("a", 1, 1)], registry=registry)


def test_wrong_emissions_of_a_timed_calculator_put_the_graph_into_error() -> None:
    registry = simple_registry()

    @registry.register("Timed")
    class Timed(TimedCalculator):
        def process_timed(self, inputs: Sequence[tuple[int, Any]], timestamp: int) -> Sequence[Emission]:
            return ()

    text = 'input_stream: "a" output_stream: "b" node { calculator: "Timed" input_stream: "a" output_stream: "b" }'
    graph = new_graph(text, registry)
    graph.start({}, lambda name, value, timestamp: None)
    graph.add_packet("a", 1, 1)
    graph.close_inputs()
    with pytest.raises(GraphError, match=r'Calculator::Process\(\) for node "Timed" failed: ValueError'):
        graph.wait_until_done()


def test_a_graph_ends_cleanly_when_a_worker_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    graph = new_graph(CHAIN)
    graph.start({}, lambda name, value, timestamp: None)
    monkeypatch.setattr("threading.Thread.start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        graph.add_packet("a", 1, 1)
    graph.cancel()


@pytest.mark.parametrize("second", [5, 4, -1])
def test_a_timestamp_that_does_not_rise_is_fatal(second: int) -> None:
    expected = f'receiving from stream "a". Current minimum expected timestamp is 6 but received {second}'
    with pytest.raises(GraphError, match=expected) as caught:
        run_graph(CHAIN, [("a", 5, 1), ("a", second, 2)])
    assert caught.value.code == "INVALID_ARGUMENT"


def test_cancelling_ends_the_workers_and_wakes_waiting_callers() -> None:
    graph = new_graph("max_queue_size: 2" + CHAIN)
    opened = threading.Event()
    entered = threading.Event()

    def listen(name: str, value: Any, timestamp: int) -> None:
        entered.set()
        opened.wait(20)

    graph.start({}, listen)
    errors: list[GraphError] = []

    def feed() -> None:
        try:
            for timestamp in range(100):
                graph.add_packet("a", 0, timestamp)
        except GraphError as error:
            errors.append(error)

    thread = threading.Thread(target=feed)
    thread.start()
    assert entered.wait(20)
    graph.abort()
    opened.set()
    graph.cancel()
    thread.join(20)
    assert [error.code for error in errors] == ["CANCELLED"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("graph test")]


@pytest.mark.parametrize("ending", ["cancel", "drain", "both", "failure"])
def test_calculators_close_once_for_every_way_to_end_the_graph(ending: str) -> None:
    registry = simple_registry()
    closed = []

    @registry.register("Closing")
    class Closing(Calculator):
        def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
            if ending == "failure":
                raise GraphError("on purpose")
            return (inputs[0],)

        def close(self) -> None:
            closed.append(1)

    text = 'input_stream: "a" output_stream: "b" node { calculator: "Closing" input_stream: "a" output_stream: "b" }'
    graph = new_graph(text, registry)
    graph.start({}, lambda *packet: None)
    graph.add_packet("a", 1, 1)
    if ending in ("drain", "both"):
        graph.close_inputs()
        graph.wait_until_done()
    if ending != "drain":
        graph.cancel()
    assert closed == [1]


def test_the_error_names_a_missing_required_side_packet() -> None:
    with pytest.raises(GraphError, match="side packet 'size' is required"):
        run_graph('input_side_packet: "size"' + CHAIN, [])


def test_a_long_chain_listed_backwards_runs() -> None:
    nodes = (f'node {{ calculator: "Add" input_stream: "s{n}" output_stream: "s{n + 1}" }}' for n in range(1200))
    text = 'input_stream: "s0" output_stream: "s1200"' + "".join(reversed(list(nodes)))
    assert run_graph(text, [("s0", 1, 7)])["s1200"] == [(1, 7)]
