"""A model as a function instead of a server."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from stream_client import (
    Answer,
    BadInputError,
    ConfigurationError,
    ConnectionLostError,
    DeadlineError,
    EmbeddedOptions,
    ImageFormat,
    Outputs,
    ProtocolError,
    Request,
    Result,
    RunOptions,
    Servable,
    ServerError,
    Session,
    StreamClient,
    TensorSpec,
    TransportOptions,
)
from stream_client.testing import FakeTransport, echo, frames


def at(index: int, error: Exception) -> Callable[[Request], Outputs]:
    """Echo, but raise ``error`` for the frame of that index, once."""
    left = [error]

    def function(request: Request) -> Outputs:
        if request.inputs[0].array[0, 0, 0] == index and left:
            raise left.pop()
        return echo(request)

    return function


def test_a_function_takes_frames_and_gives_outputs() -> None:
    def halve(request: Request) -> Outputs:
        return {"small": request.inputs[0].array[::2, ::2], "scores": np.array([0.1, 0.9], np.float32)}

    results: list[Result] = []
    summary = StreamClient(frames(20), results.append, halve, label_names=["no", "yes"]).run()
    assert summary.ledger.delivered == 20
    assert summary.servable is not None
    assert summary.servable.name == "halve"
    assert [result.outputs["small"].array[0, 0, 0] for result in results] == list(range(20))
    assert {result.label.name for result in results if result.label} == {"yes"}
    assert results[0].image.shape == (24, 32, 3)


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (ServerError("no"), {"server_error": 1}),
        (BadInputError("no"), {"server_error": 1}),
        (DeadlineError("no"), {"server_error": 1}),
    ],
)
def test_an_error_of_a_server_fails_its_frame_and_the_run_goes_on(error: Exception, failed: dict[str, int]) -> None:
    ledger = StreamClient(frames(9), (), at(3, error), options=RunOptions(on_server_loss="fail")).run().ledger
    assert (ledger.delivered, ledger.failed) == (8, failed)


def test_a_lost_connection_is_taken_up_again() -> None:
    fake = FakeTransport(at(4, ConnectionLostError("gone")))
    results: list[Result] = []
    summary = StreamClient(frames(9), results.append, fake, options=RunOptions(on_server_loss="retry")).run()
    assert [result.frame.index for result in results] == list(range(9))
    assert (fake.sessions, summary.connections["server"].reconnections) == (2, 1)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda request: 1 / 0, "the model function failed: ZeroDivisionError: division by zero"),
        (lambda request: None, "the model function returned NoneType: arrays by output name or an Answer are expected"),
        (
            lambda request: {"y": np.array(["a"])},
            "the model function returned 'y' as <U1, which KServe v2 does not have",
        ),
    ],
)
@pytest.mark.parametrize("live", [False, True])
def test_a_fault_of_the_function_ends_the_run_with_its_cause(function: Any, told: str, live: bool) -> None:
    left = frames(9)
    source: Any = (lambda: next(left, None)) if live else left
    client = StreamClient(source, (), function)
    with pytest.raises(ProtocolError, match=told):
        client.run()
    assert client.summary is not None
    client.summary.ledger.check()


def test_an_answer_may_be_for_a_frame_that_has_one() -> None:
    timestamps: list[int] = []

    def function(request: Request) -> Answer:
        timestamps.append(request.timestamp)
        return Answer(timestamps[0], {}, 0.0, 0.0, complete=True)

    ledger = StreamClient(frames(2), (), function, options=RunOptions(max_inflight=1)).run().ledger
    assert (ledger.delivered, ledger.late, ledger.dropped) == (1, 1, {"in_graph": 1})


def test_stop_does_not_wait_for_a_function_that_does_not_return() -> None:
    begun, over = threading.Event(), threading.Event()

    def stuck(request: Request) -> Outputs:
        begun.set()
        over.wait()
        return echo(request)

    with StreamClient(frames(9), (), stuck, options=RunOptions(stop_timeout=0.1)) as client:
        client.start()
        assert begun.wait(10)
    assert client.summary is not None
    client.summary.ledger.check()
    over.set()


def test_the_function_runs_in_one_thread_that_ends_with_the_run() -> None:
    threads: set[threading.Thread] = set()

    def function(request: Request) -> Outputs:
        threads.add(threading.current_thread())
        return echo(request)

    StreamClient(frames(9), (), function).run()
    assert len(threads) == 1
    assert not threads.pop().is_alive()


def test_a_session_of_ones_own_says_how_frames_are_sent() -> None:
    fake = FakeTransport()
    servable = Servable("own", "", (TensorSpec("x", "FP32", (1, 3, -1, -1)),), ())
    session = Session(fake, servable, ImageFormat("x", "nchw", "FP32"))
    StreamClient(frames(2), (), session).run()
    tensors = [request.inputs[0] for request in fake.requests]
    assert [(tensor.name, tensor.datatype, tensor.array.shape) for tensor in tensors] == [
        ("x", "FP32", (1, 3, 48, 64))
    ] * 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (9000, "int is not a transport: give an address, TransportOptions, a Session, a Transport, or a function"),
        (None, "NoneType is not a transport"),
        (FakeTransport, "FakeTransport is a class: give an object of it"),
    ],
)
def test_anything_else_is_refused_in_one_line(wrong: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        StreamClient(frames(1), (), wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("transport", [echo, "host:9000", TransportOptions("host:9000")])
def test_options_of_the_embedded_server_are_not_ignored(transport: Any) -> None:
    with pytest.raises(ConfigurationError, match="embedded is for the transport 'embedded' only"):
        StreamClient(frames(1), (), transport, embedded=EmbeddedOptions())


def test_callbacks_see_what_the_function_answers() -> None:
    seen: list[str] = []

    def source() -> Iterator[Any]:
        yield from frames(2)

    StreamClient(
        source(),
        transport=FakeTransport(),
        on_start=lambda info: seen.append(f"{info.width}x{info.height}"),
        on_result=lambda result: seen.append(str(result.frame.index)),
        on_stop=lambda summary: seen.append(summary.ledger.line()),
    ).run()
    assert seen == ["64x48", "0", "1", "2 frames: 2 delivered, 0 dropped, 0 failed"]
