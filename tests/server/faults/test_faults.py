"""Injected faults: the pure queue, and a server with faults for real clients."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from hypothesis import given
from hypothesis import strategies as st

from graph_server.errors import ConfigError
from graph_server.faults.options import FaultOptions, parse_faults
from graph_server.faults.queue import REORDER_HOLD, FaultQueue
from graph_server.server import GraphServer, ServerOptions
from tests.support.calls import streaming
from tests.support.graph_server import graph_server, pass_through, request, stamps, stream, unary
from tests.support.video import picture
from tests.support.waiting import wait_until

FRAMES = [request(1000 * number) for number in range(40)]
SENT = [1000 * number for number in range(40)]


def fault_queue(**options: Any) -> FaultQueue:
    return FaultQueue(FaultOptions(**options), random.Random(0), b"error")


def drained(made: FaultQueue, now: float) -> list[bytes]:
    return list(iter(lambda: made.pop(now), None))


def test_every_fault_is_read_and_the_last_value_of_a_name_counts() -> None:
    texts = ["delay=50", "drop=0.1", "error=0.2", "duplicate=1", "close_after=7", "reorder", "rate=10", "drop=0.3"]
    assert parse_faults(texts, seed=4) == FaultOptions(
        delay=0.05, rate=10, drop=0.3, error=0.2, duplicate=1, reorder=0.5, close_after=7, seed=4
    )
    assert not parse_faults([], seed=4).any
    assert parse_faults(["reorder=1"]).any


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("delay=soon", "delay=soon: MS must be a number of at least 0"),
        ("delay=-1", "delay=-1: MS must be a number of at least 0"),
        ("delay=nan", "delay=nan: MS must be a number of at least 0"),
        ("drop=2", "drop=2: P must be a probability from 0 to 1"),
        ("drop", "drop: P must be a number"),
        ("close_after=0", "close_after=0: N must be a whole number of at least 1"),
        ("explode=1", "explode=1: choose from delay=MS"),
    ],
)
def test_the_error_for_a_wrong_fault_says_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_faults([text])
    assert str(caught.value).startswith(said)


def test_a_delayed_response_is_not_due_before_its_delay() -> None:
    made = fault_queue(delay=2.0)
    made.add(b"a", 10.0)
    made.add(b"b", 11.0)
    assert made.next_due() == 12.0
    assert drained(made, 11.9) == []
    assert drained(made, 12.5) == [b"a"]
    assert drained(made, 13.0) == [b"b"]


def test_reordered_responses_swap_places_and_none_waits_forever() -> None:
    made = fault_queue(reorder=1.0)
    for number in range(4):
        made.add(b"%d" % number, 0.0)
    assert drained(made, 0.0) == [b"1", b"0", b"3", b"2"]
    made.add(b"4", 1.0)
    assert drained(made, 1.0) == []
    assert made.next_due() == 1.0 + REORDER_HOLD
    assert drained(made, 1.0 + REORDER_HOLD) == [b"4"]
    made.add(b"5", 2.0)
    made.end(2.0)
    assert drained(made, 2.0) == [b"5"]


PROBABILITY = st.sampled_from([0.0, 0.3, 1.0])


@given(
    steps=st.lists(st.floats(0, 0.2), max_size=60),
    delay=st.sampled_from([0.0, 0.25]),
    reorder=PROBABILITY,
    seed=st.integers(0, 99),
)
def test_delay_and_reorder_lose_no_response_and_move_each_by_at_most_one_place(
    steps: list[float], delay: float, reorder: float, seed: int
) -> None:
    made = FaultQueue(FaultOptions(delay=delay, reorder=reorder), random.Random(seed), b"")
    now, came = 0.0, []
    for number, step in enumerate(steps):
        now += step
        came += drained(made, now)
        made.add(b"%d" % number, now)
    made.end(now)
    came += drained(made, now + delay + REORDER_HOLD)
    numbers = [int(item) for item in came]
    assert sorted(numbers) == list(range(len(steps)))
    assert all(abs(number - place) <= 1 for place, number in enumerate(numbers))
    assert (made.bytes, made.next_due()) == (0, None)


@given(
    drop=PROBABILITY, error=PROBABILITY, duplicate=PROBABILITY, close_after=st.integers(0, 30), seed=st.integers(0, 9)
)
def test_the_same_seed_gives_the_same_faults(
    drop: float, error: float, duplicate: float, close_after: int, seed: int
) -> None:
    options = FaultOptions(drop=drop, error=error, duplicate=duplicate, close_after=close_after)

    def run() -> list[bytes]:
        made = FaultQueue(options, random.Random(seed), b"error")
        for number in range(20):
            made.add(b"%d" % number, 0.0)
        return drained(made, 0.0)

    came = run()
    assert came == run()
    assert all(times <= 2 for item, times in Counter(came).items() if item != b"error")
    if close_after:
        assert len(came) <= close_after


def test_a_server_without_faults_has_no_interceptor() -> None:
    with graph_server() as made:
        assert made._faults is None


def test_all_delayed_responses_arrive_in_order() -> None:
    with graph_server("delay=30") as made:
        answers, code, _ = stream(made.address, *FRAMES)
    assert (stamps(answers), code) == (SENT, grpc.StatusCode.OK)
    assert answers[3].infer_response.raw_output_contents[0] == picture(3000 % 100).tobytes()


def test_dropped_responses_are_missing_and_the_others_arrive_in_order() -> None:
    with graph_server("drop=0.3") as made:
        answers, code, _ = stream(made.address, *FRAMES)
    came = stamps(answers)
    assert code is grpc.StatusCode.OK
    assert 0 < len(came) < len(SENT)
    assert came == [stamp for stamp in SENT if stamp in came]


def test_errors_replace_answers_in_the_stream_and_have_no_timestamp() -> None:
    with graph_server("error=0.3") as made:
        answers, code, _ = stream(made.address, *FRAMES)
    assert code is grpc.StatusCode.OK
    assert len(answers) == len(SENT)
    failed = [item for item in answers if item.error_message]
    assert 0 < len(failed) < len(SENT)
    assert failed[0].error_message == "Injected fault - error=0.3"
    assert not failed[0].HasField("infer_response")


def test_duplicates_arrive_twice() -> None:
    with graph_server("duplicate=1") as made:
        answers, _, _ = stream(made.address, *FRAMES)
    assert stamps(answers) == [stamp for stamp in SENT for _ in range(2)]


def test_all_reordered_responses_arrive() -> None:
    with graph_server("reorder=1") as made:
        answers, code, _ = stream(made.address, *FRAMES)
    came = stamps(answers)
    assert code is grpc.StatusCode.OK
    assert sorted(came) == SENT
    assert came != SENT


def test_reordering_does_not_block_a_client_that_waits_for_each_answer() -> None:
    with graph_server("reorder=1") as made, triton.InferenceServerClient(made.address) as client:
        import queue

        answers: queue.Queue[Any] = queue.Queue()
        client.start_stream(lambda result, error: answers.put(error or result))
        for _ in range(3):
            value = triton.InferInput("image", [48, 64, 3], "UINT8")
            value.set_data_from_numpy(picture(1))
            client.async_stream_infer("passThrough", [value])
            assert answers.get(timeout=20).as_numpy("output").shape == (48, 64, 3)
        client.stop_stream()


@pytest.mark.parametrize("others", [(), ("delay=20",)])
def test_a_call_closes_after_a_number_of_responses_and_the_next_call_works(others: tuple[str, ...]) -> None:
    with graph_server("close_after=5", *others) as made:
        for _ in range(3):
            answers, code, details = stream(made.address, *FRAMES)
            assert stamps(answers) == SENT[:5]
            assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "Injected fault - close_after=5")
        assert stream(made.address, *FRAMES[:3])[1] is grpc.StatusCode.OK


def test_a_server_with_faults_refuses_the_same_requests() -> None:
    with graph_server("delay=10", "reorder") as made:
        _, code, details = stream(made.address, FRAMES[1], FRAMES[1], FRAMES[1])
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "Packet timestamp mismatch" in details
        unknown = request(1)
        unknown.model_name = "nothing"
        assert stream(made.address, unknown)[1] is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.RpcError) as caught:
            unary(made.address, unknown)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_some_unary_calls_fail_are_dropped_or_are_closed() -> None:
    with graph_server("error=1") as made, pytest.raises(grpc.RpcError) as caught:
        unary(made.address, FRAMES[0])
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "Injected fault - error=1")
    with graph_server("drop=1") as made, pytest.raises(grpc.RpcError) as caught:
        unary(made.address, FRAMES[0], timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    with graph_server("close_after=2", "delay=5") as made:
        codes: list[grpc.StatusCode | None] = []
        for frame in FRAMES[:6]:
            try:
                assert unary(made.address, frame).id == frame.id
                codes.append(None)
            except grpc.RpcError as error:
                codes.append(error.code())
    assert codes == [None, None, grpc.StatusCode.UNAVAILABLE] * 2


def test_all_requests_pass_a_rate_limit_in_order_in_both_modes() -> None:
    with graph_server("rate=200") as made:
        assert stamps(stream(made.address, *FRAMES)[0]) == SENT
        assert unary(made.address, FRAMES[0]).id == "0"


def test_a_client_that_disconnects_during_a_delay_blocks_nothing() -> None:
    with graph_server("delay=60000", "rate=100") as made:
        for _ in range(5):
            with grpc.insecure_channel(made.address) as channel:
                call = streaming(channel)(iter([frame.SerializeToString() for frame in FRAMES]))
                call.cancel()
    # The delay is one minute, but leaving the block joins every thread.


def test_stopping_a_server_ends_sessions_that_wait_for_their_delay() -> None:
    over = threading.Event()

    def requests() -> Iterator[bytes]:
        yield FRAMES[0].SerializeToString()
        over.wait(30)  # the session's thread stays until the server stops

    made = GraphServer(pass_through(), ServerOptions(port=0, faults=parse_faults(["delay=60000"])))
    made.start()
    with grpc.insecure_channel(made.address) as channel:
        call = streaming(channel)(requests())
        wait_until(lambda: any(thread.name == "faults" for thread in threading.enumerate()))
        made.stop(0)
        over.set()
        with pytest.raises(grpc.RpcError):
            next(call)
