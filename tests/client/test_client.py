"""StreamClient against a real KServe server that does what a test tells it to."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from kserve_wire.messages import ModelMetadataResponse
from stream_client import Result, RunOptions, StreamClient, Summary, TransportOptions
from stream_client.errors import (
    BadInputError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    SinkError,
    SourceError,
    UnknownServableError,
)
from stream_client.frames import StreamInfo
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sinks.video_file import FileSink
from stream_client.training.buffer import TrainingBuffer
from stream_client.transport.options import Api
from stream_client.transport.session import connect
from tests.support.graph_server import graph_server
from tests.support.kserve_server import ScriptedServer, answer, gate, image_and_label, slow
from tests.support.video import picture, write_video
from tests.support.waiting import wait_until


def _run(source: Any, sinks: Any, address: str, api: Any = "stream", **options: Any) -> Summary:
    transport = TransportOptions(address, api=api, model_name="graph")
    return StreamClient(source, sinks, transport, options=RunOptions(**options)).run()


def pictures(count: int) -> Iterator[Any]:
    return (picture(index) for index in range(count))


@pytest.mark.parametrize("api", ["stream", "unary"])
@pytest.mark.parametrize("window", [1, 4, "auto"])
def test_every_frame_of_a_file_comes_back_once_and_in_order(
    clip: Path, server: ScriptedServer, api: str, window: Any
) -> None:
    results: list[Result] = []
    summary = _run(str(clip), results.append, server.address, api, max_inflight=window)
    assert [result.frame.index for result in results] == list(range(30))
    assert all(np.array_equal(result.image, result.frame.image) for result in results)
    assert (summary.ledger.entered, summary.ledger.delivered) == (30, 30)


def test_timestamps_are_media_time_in_microseconds(clip: Path, server: ScriptedServer) -> None:
    _run(str(clip), (), server.address)
    sent = [request.parameters["OVMS_MP_TIMESTAMP"].int64_param for request in server.requests]
    assert sent == [round(index * 1_000_000 / 30) for index in range(30)]


def test_picture_and_label_are_joined(clip: Path, server: ScriptedServer) -> None:
    server.outputs, server.script = ["label_scores", "output"], image_and_label
    results: list[Result] = []
    transport = TransportOptions(server.address, model_name="graph")
    StreamClient(str(clip), results.append, transport, label_names=["no", "yes"]).run()
    assert [result.label.name for result in results if result.label] == ["yes"] * 30
    assert results[0].label is not None
    assert results[0].label.scores == {"no": 0.25, "yes": 0.75}


def test_a_first_picture_that_comes_long_after_its_label_is_waited_for(clip: Path, server: ScriptedServer) -> None:
    def label_first(request: Any, number: int) -> Iterator[Any]:
        yield answer(request, "label_scores")
        time.sleep(0.1)
        yield answer(request, "output")

    server.outputs, server.script = ["label_scores", "output"], label_first
    results: list[Result] = []
    _run(str(clip), results.append, server.address, join_timeout=0.01, limit_frames=4)
    assert [set(result.outputs) for result in results] == [{"label_scores", "output"}] * 4


def test_a_label_of_a_slow_server_is_waited_for_as_long_as_its_picture(clip: Path, server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        time.sleep(0.8)
        yield answer(request, "output")
        time.sleep(0.25)
        yield answer(request, "label_scores")

    server.outputs, server.script = ["label_scores", "output"], script
    results: list[Result] = []
    _run(str(clip), results.append, server.address, limit_frames=1)
    assert [set(result.outputs) for result in results] == [{"label_scores", "output"}]


def test_a_missing_label_does_not_hold_its_picture_for_ever(clip: Path, server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        yield answer(request, "output")
        if number % 3:
            yield answer(request, "label_scores")

    server.outputs, server.script = ["label_scores", "output"], script
    results: list[Result] = []
    _run(str(clip), results.append, server.address, join_timeout=0.05)
    assert [result.frame.index for result in results] == list(range(30))
    labeled = [result.frame.index for result in results if result.label is not None]
    assert labeled
    assert all(index % 3 for index in labeled)


@pytest.mark.parametrize("window", [1, 4])
def test_lost_answers_stall_nothing_and_are_counted(clip: Path, server: ScriptedServer, window: int) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        if number not in (3, 17):
            yield answer(request, "output")

    server.script = script
    results: list[Result] = []
    summary = _run(
        str(clip), results.append, server.address, max_inflight=window, request_timeout=1.0, on_server_loss="fail"
    )
    assert len(results) == 28
    lost = sum(summary.ledger.dropped.values()) + sum(summary.ledger.failed.values())
    assert lost == 2


def test_duplicate_answers_are_ignored_and_counted(clip: Path, server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        yield answer(request, "output")
        yield answer(request, "output")

    server.script = script
    results: list[Result] = []
    summary = _run(str(clip), results.append, server.address)
    assert len(results) == 30
    assert summary.ledger.late + summary.ledger.duplicates >= 29


def test_an_error_inside_the_stream_fails_its_frame_and_the_run_goes_on(clip: Path, server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        yield "Invalid input shape; partial deserialization" if number == 5 else answer(request, "output")

    server.script = script
    results: list[Result] = []
    summary = _run(str(clip), results.append, server.address)
    assert [result.frame.index for result in results] == [index for index in range(30) if index != 5]
    assert summary.ledger.failed == {"server_error": 1}


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_server_that_refuses_the_first_frame_ends_the_run_with_its_reason(
    clip: Path, server: ScriptedServer, api: str
) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        text = "Unexpected input - image is unexpected"
        yield text if api == "stream" else (grpc.StatusCode.INVALID_ARGUMENT, text)

    server.script = script
    with pytest.raises(BadInputError, match="image is unexpected"):
        _run(str(clip), (), server.address, api)


def test_a_unary_call_without_a_packet_is_explained(clip: Path, server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        if number % 2:
            text = "Mediapipe execution failed. MP status - Unknown error during mediapipe execution"
            yield (grpc.StatusCode.INVALID_ARGUMENT, text)
        yield answer(request, "output")

    server.script = script
    summary = _run(str(clip), (), server.address, "unary", max_inflight=1)
    assert summary.ledger.failed == {"server_error": 15}
    assert "no packet" in str(summary.last_failure)


def test_a_server_that_streams_bare_responses_is_recognised(clip: Path, server: ScriptedServer) -> None:
    server.script = lambda request, number: iter([answer(request, "output").SerializeToString()])
    with pytest.raises(ProtocolError, match=r"make unary calls \(api=unary\)"):
        _run(str(clip), (), server.address)


def test_an_unknown_model_lists_what_is_there(clip: Path, server: ScriptedServer) -> None:
    client = StreamClient(str(clip), (), TransportOptions(server.address, model_name="nothing"))
    with pytest.raises(UnknownServableError, match="'nothing'; of the usual graphs it serves holisticClassifier"):
        client.run()


def test_a_model_that_the_server_knows_but_could_not_load_is_no_unknown_one(server: ScriptedServer) -> None:
    with pytest.raises(UnknownServableError, match="could not load 'broken': its log says why") as error:
        connect(TransportOptions(server.address, model_name="broken"), ("broken", "graph"))
    assert error.value.option == "verbose"


def test_an_unknown_input_lists_what_is_there(clip: Path, server: ScriptedServer) -> None:
    transport = TransportOptions(server.address, model_name="graph", input_name="video")
    with pytest.raises(BadInputError, match="no input 'video', only image"):
        StreamClient(str(clip), (), transport).run()


def test_no_server_is_an_error_within_the_connect_timeout(clip: Path) -> None:
    with pytest.raises(ConnectError, match=r"no gRPC server answers at 127\.0\.0\.1:9"):
        StreamClient(str(clip), (), TransportOptions("127.0.0.1:9", connect_timeout=0.2)).run()


def test_a_width_that_ovms_would_shear_is_padded_and_cropped(server: ScriptedServer) -> None:
    results: list[Result] = []
    _run((picture(index, width=50) for index in range(3)), results.append, server.address)
    assert [list(request.inputs[0].shape) for request in server.requests] == [[48, 64, 3]] * 3
    assert [result.image.shape for result in results] == [(48, 50, 3)] * 3


def test_a_model_with_batch_and_floats_gets_what_its_metadata_says(server: ScriptedServer) -> None:
    server.metadata = ModelMetadataResponse(name="graph", platform="other")
    server.metadata.inputs.add(name="x", datatype="FP32", shape=[1, 3, 48, 64])
    server.metadata.outputs.add(name="y", datatype="FP32", shape=[1, 3, 48, 64])

    def script(request: Any, number: int) -> Iterator[Any]:
        response = answer(request)
        response.outputs.add(name="y", datatype="FP32", shape=request.inputs[0].shape)
        response.raw_output_contents.append(request.raw_input_contents[0])
        yield response

    server.script = script
    results: list[Result] = []
    _run(pictures(3), results.append, server.address, "unary")
    assert [list(request.inputs[0].shape) for request in server.requests] == [[1, 3, 48, 64]] * 3
    assert all(np.array_equal(result.image, result.frame.image) for result in results)


def test_a_frame_of_the_wrong_size_for_the_model_is_refused(server: ScriptedServer) -> None:
    server.metadata = ModelMetadataResponse(name="graph", platform="other")
    server.metadata.inputs.add(name="x", datatype="UINT8", shape=[1, 224, 224, 3])
    with pytest.raises(BadInputError, match=r"224x224.*64x48"):
        _run(pictures(3), (), server.address, "unary")


def test_an_iterator_loses_nothing_however_slow_the_server(server: ScriptedServer) -> None:
    server.script = slow(0.01)
    assert _run(pictures(40), (), server.address, max_inflight=1).ledger.delivered == 40


def test_a_sink_that_needs_landmarks_is_refused_before_it_opens(server: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "landmarks.jsonl"
    path.write_text("kept")
    for sink in (LandmarksSink(path), TrainingBuffer()):
        with pytest.raises(ConfigurationError, match="'graph' gives no landmarks"):
            _run(pictures(1), sink, server.address)
    assert path.read_text() == "kept"


def test_latest_drops_what_the_server_is_too_slow_for_and_counts_it(server: ScriptedServer) -> None:
    opened = threading.Event()
    server.script = gate(opened)
    seen = threading.Event()

    def source() -> Iterator[Any]:
        for index in range(40):
            yield picture(index)
            if index == 30:
                opened.set()
                seen.wait(5)

    def sink(result: Result) -> None:
        seen.set()

    summary = _run(source(), sink, server.address, max_inflight=1, drop_policy="latest")
    ledger = summary.ledger
    assert ledger.entered == 40
    assert ledger.dropped["replaced"] >= 20
    assert ledger.delivered + ledger.dropped["replaced"] == 40


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_server_killed_in_mid_run_ends_a_file_with_its_error_under_fail(
    clip: Path, tmp_path: Path, server: ScriptedServer, api: str
) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        if number == 10:
            threading.Thread(target=server.stop).start()
            threading.Event().wait(0.5)
        yield answer(request, "output")

    server.script = script
    client = StreamClient(
        str(clip),
        str(tmp_path / "out.mp4"),
        TransportOptions(server.address, api=api, model_name="graph"),  # type: ignore[arg-type]
        options=RunOptions(max_inflight=1, on_server_loss="fail"),
    )
    with pytest.raises(ConnectionLostError):
        client.run()
    assert client.summary is not None
    client.summary.ledger.check()
    from tests.support.video import read_back

    assert len(read_back(tmp_path / "out.mp4")) == client.summary.ledger.delivered > 0


def test_a_lost_server_is_found_again_and_each_frame_comes_once(clip: Path, server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        if number in (8, 20):
            yield (grpc.StatusCode.UNAVAILABLE, "gone")
        yield answer(request, "output")

    server.script = script
    results: list[Result] = []
    summary = _run(str(clip), results.append, server.address, on_server_loss="retry", max_inflight=3)
    assert [result.frame.index for result in results] == list(range(30))
    assert summary.ledger.resent > 0
    assert server.sessions == 3


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_server_that_asks_its_clients_to_come_again_costs_no_frame(tmp_path: Path, api: Api) -> None:
    # GOAWAY, then the connection is closed: what servers and balancers do in a rolling update.
    clip = write_video(tmp_path / "clip.mp4", frames=90)
    rare = (("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 50))
    results: list[Result] = []
    with graph_server("rate=60", "delay=80", channel_arguments=rare) as server:
        transport = TransportOptions(server.address, model_name="passThrough", api=api)
        summary = StreamClient(str(clip), results.append, transport, options=RunOptions(max_inflight=4)).run()
    assert [result.frame.index for result in results] == list(range(90))
    assert (dict(summary.ledger.failed), summary.loss) == ({}, None)
    assert summary.connections["server"].reconnections > 0


def test_a_frame_that_ends_every_session_is_given_up_and_said(clip: Path, server: ScriptedServer) -> None:
    deadly = 7

    def script(request: Any, number: int) -> Iterator[Any]:
        if frames.setdefault(request.id, len(frames)) == deadly:
            yield (grpc.StatusCode.UNAVAILABLE, "killed")
        yield answer(request, "output")

    frames: dict[str, int] = {}
    server.script = script
    results: list[Result] = []
    summary = _run(str(clip), results.append, server.address, max_inflight=2, reconnect_timeout=1.0)
    assert [result.frame.index for result in results] == [index for index in range(30) if index != deadly]
    assert dict(summary.ledger.failed) == {"connection_lost": 1}
    assert "the output lacks 1 frame of " in str(summary.loss)


def test_a_server_that_accepts_sessions_and_answers_none_ends_a_file(clip: Path, server: ScriptedServer) -> None:
    server.script = lambda request, number: iter([(grpc.StatusCode.UNAVAILABLE, "too many sessions")])
    with pytest.raises(ConnectionLostError, match=r"no frame is answered within 0\.3 s"):
        _run(str(clip), (), server.address, reconnect_timeout=0.3)


def test_frames_wait_for_a_server_that_is_away_for_longer_than_they_have(clip: Path, server: ScriptedServer) -> None:
    threads: list[threading.Thread] = []

    def go_away() -> None:
        server.stop()
        time.sleep(1.7)
        server.start()

    def script(request: Any, number: int) -> Iterator[Any]:
        if number == 10:
            threads.append(threading.Thread(target=go_away))
            threads[0].start()
            threading.Event().wait(0.3)
        yield answer(request, "output")

    server.script = script
    results: list[Result] = []
    summary = _run(
        str(clip), results.append, server.address, on_server_loss="retry", max_inflight=4, request_timeout=1.5
    )
    threads[0].join()
    assert [result.frame.index for result in results] == list(range(30))
    assert summary.connections["server"].reconnections == 1


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_frames_of_a_file_that_are_not_answered_in_time_are_sent_again(
    clip: Path, server: ScriptedServer, api: Api
) -> None:
    over = threading.Event()

    def script(request: Any, number: int) -> Iterator[Any]:
        if number == 10:
            over.wait(20)
        yield answer(request, "output")

    server.script = script
    results: list[Result] = []
    transport = TransportOptions(server.address, model_name="graph", api=api)
    options = RunOptions(on_server_loss="retry", max_inflight=4, request_timeout=1.5)
    try:
        summary = StreamClient(str(clip), results.append, transport, options=options).run()
    finally:
        over.set()
    assert [result.frame.index for result in results] == list(range(30))
    assert (dict(summary.ledger.failed), summary.connections["server"].reconnections) == ({}, 1)


def test_the_runs_request_timeout_holds_for_unary_calls_however_the_server_is_named(
    clip: Path, server: ScriptedServer
) -> None:
    transport = TransportOptions(server.address, api="unary", model_name="graph")
    StreamClient(str(clip), (), transport, options=RunOptions(request_timeout=60)).run()
    StreamClient(str(clip), (), connect(transport), options=RunOptions(request_timeout=60)).run()
    assert len(server.deadlines) == 60
    assert all(50 < seconds < 61 for seconds in server.deadlines)


def test_the_runs_reconnect_timeout_holds_for_a_source_that_the_client_opens(server: ScriptedServer) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"rtsp://127.0.0.1:{nobody.getsockname()[1]}/live"
        transport = TransportOptions(server.address, model_name="graph")
        with pytest.raises(SourceError, match="refused"):
            StreamClient(url, (), transport, options=RunOptions(reconnect_timeout=0)).run()


def test_no_attempt_to_reach_a_lost_server_lasts_longer_than_the_reconnect_timeout(server: ScriptedServer) -> None:
    threads: list[threading.Thread] = []

    def on_result(result: Result) -> None:
        if not threads:
            threads.append(threading.Thread(target=server.stop))
            threads[0].start()

    client = StreamClient(
        itertools.repeat(picture(1)),
        on_result,
        TransportOptions(server.address, model_name="graph", connect_timeout=300),
        options=RunOptions(on_server_loss="retry", reconnect_timeout=0.3),
    )
    with pytest.raises(ConnectionLostError, match=r"not back within 0\.3 s"):
        client.run()
    threads[0].join()


def test_a_sink_that_fails_ends_the_run_and_the_others_are_finalised(
    clip: Path, tmp_path: Path, server: ScriptedServer
) -> None:
    def broken(result: Result) -> None:
        if result.frame.index == 12:
            raise OSError("no paper")

    from tests.support.video import read_back

    transport = TransportOptions(server.address, model_name="graph")
    client = StreamClient(str(clip), [broken, str(tmp_path / "out.mp4")], transport)
    with pytest.raises(SinkError, match="no paper"):
        client.run()
    assert len(read_back(tmp_path / "out.mp4")) >= 12


def test_a_sink_that_has_enough_ends_the_run_well(clip: Path, server: ScriptedServer) -> None:
    summary = _run(str(clip), lambda result: result.frame.index < 5, server.address, max_inflight=1)
    assert 6 <= summary.ledger.delivered < 30


def test_a_source_that_fails_ends_the_run_with_its_error(server: ScriptedServer) -> None:
    def source() -> Iterator[Any]:
        yield picture(0)
        raise ValueError("lens cap")

    with pytest.raises(SourceError, match="lens cap"):
        _run(source(), (), server.address)


@pytest.mark.parametrize("answered", [False, True], ids=["sent", "answered"])
def test_a_run_closes_its_session_rather_than_cancel_it(server: ScriptedServer, answered: bool) -> None:
    """Servers count a cancelled session as failed."""
    results: list[Result] = []
    came = threading.Semaphore(0)

    def source() -> Iterator[Any]:
        for image in pictures(5):
            yield image
            if answered:  # so that nothing is in flight when the source ends
                came.acquire()

    def take(result: Result) -> None:
        results.append(result)
        came.release()

    _run(source(), take, server.address)
    assert len(results) == 5
    assert server.ends.get(timeout=10) == "closed"


def test_limits_end_the_run_after_that_many_frames(clip: Path, server: ScriptedServer) -> None:
    assert _run(str(clip), (), server.address, limit_frames=7).ledger.entered == 7


def test_a_stream_without_end_ends_after_the_duration_given(server: ScriptedServer) -> None:
    summary = _run(lambda: picture(0), (), server.address, limit_stream_duration=0.3)
    assert summary.ledger.delivered > 0


def test_stop_from_another_thread_ends_the_run_and_the_ledger_adds_up(server: ScriptedServer) -> None:
    client = StreamClient(lambda: picture(0), (), TransportOptions(server.address, model_name="graph"))
    seen = threading.Event()
    client.on_result(lambda result: seen.set())
    client.start()
    assert seen.wait(5)
    client.stop()
    client.wait().ledger.check()


def test_stop_does_not_wait_for_a_server_that_never_answers(server: ScriptedServer) -> None:
    opened = threading.Event()
    server.script = gate(opened)
    client = StreamClient(
        lambda: picture(0),
        (),
        TransportOptions(server.address, model_name="graph"),
        options=RunOptions(max_inflight=2, stop_timeout=0.2),
    )
    client.start()
    wait_until(lambda: server.requests)
    client.stop()
    ledger = client.wait().ledger
    opened.set()
    ledger.check()
    assert ledger.failed in ({"stopped": 1}, {"stopped": 2})


def test_stop_ends_the_wait_for_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and says nothing
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        client = StreamClient(lambda: picture(0), (), TransportOptions(address, connect_timeout=3600))
        with ThreadPoolExecutor(1) as pool:
            started = pool.submit(client.start)
            silent.accept()[0].close()
            client.stop()
            with pytest.raises(ConnectError, match="yet: the wait for it was ended"):
                started.result()


def test_callbacks_are_called_and_can_be_taken_back(clip: Path, server: ScriptedServer) -> None:
    started: list[StreamInfo] = []
    results: list[Result] = []
    few: list[Result] = []
    stopped: list[Summary] = []
    client = StreamClient(str(clip), (), TransportOptions(server.address, model_name="graph"))
    client.on_start(started.append)
    client.on_result(results.append)
    client.on_stop(stopped.append)

    def only_three(result: Result) -> None:
        few.append(result)
        if len(few) == 3:
            unsubscribe()

    unsubscribe = client.on_result(only_three)
    summary = client.run()
    assert [info.width for info in started] == [64]
    assert (len(results), len(few), stopped) == (30, 3, [summary])


def test_callbacks_can_be_given_to_the_constructor(clip: Path, server: ScriptedServer) -> None:
    started: list[StreamInfo] = []
    results: list[Result] = []
    stopped: list[Summary] = []
    summary = StreamClient(
        str(clip),
        transport=TransportOptions(server.address, model_name="graph"),
        on_start=started.append,
        on_result=results.append,
        on_stop=stopped.append,
    ).run()
    assert [info.width for info in started] == [64]
    assert (len(results), stopped) == (30, [summary])


def test_iterating_a_run_that_is_over_gives_nothing(clip: Path, server: ScriptedServer) -> None:
    client = StreamClient(str(clip), (), TransportOptions(server.address, model_name="graph"))
    client.run()
    assert list(client) == []


def test_results_can_be_iterated(clip: Path, server: ScriptedServer) -> None:
    with StreamClient(str(clip), (), TransportOptions(server.address, model_name="graph")) as client:
        assert [result.frame.index for result in client] == list(range(30))


def test_leaving_the_iteration_and_the_context_ends_the_run(clip: Path, server: ScriptedServer) -> None:
    with StreamClient(str(clip), (), TransportOptions(server.address, model_name="graph")) as client:
        for result in client:
            if result.frame.index == 4:
                break
    assert client.summary is not None
    client.summary.ledger.check()


def test_a_callback_that_raises_ends_the_run_with_its_error(clip: Path, server: ScriptedServer) -> None:
    client = StreamClient(str(clip), (), TransportOptions(server.address, model_name="graph"))
    client.on_result(lambda result: 1 / 0)
    with pytest.raises(Exception, match="division by zero"):
        client.run()


def threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in set(threading.enumerate()) - before if thread.is_alive() and not thread.daemon]


def test_what_was_opened_before_a_failed_start_is_closed_again(
    clip: Path, server: ScriptedServer, tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    sink = FileSink(tmp_path / "out.mp4")
    client = StreamClient(str(clip), sink, TransportOptions(server.address, model_name="graph"))
    client.on_start(lambda info: 1 / 0)
    with client, pytest.raises(ZeroDivisionError):
        client.start()
    assert client.summary is not None
    assert client.summary.ledger.entered == 0
    assert {connection.state for connection in client.connections.values()} == {"ended"}
    assert not threads_left(before)
    assert server.ends.get(timeout=10) in ("closed", "cancelled")


def test_an_output_that_the_server_lacks_costs_no_file_that_was_there(
    clip: Path, server: ScriptedServer, tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    path = tmp_path / "out.mp4"
    path.write_bytes(b"last week's")
    options = TransportOptions(server.address, model_name="graph")
    with (
        StreamClient(str(clip), FileSink(path), options, label_output_name="nonsense") as client,
        pytest.raises(ConfigurationError, match="nonsense"),
    ):
        client.start()
    assert path.read_bytes() == b"last week's"
    assert not threads_left(before)


def test_a_client_runs_once(clip: Path, server: ScriptedServer) -> None:
    client = StreamClient(str(clip), (), TransportOptions(server.address, model_name="graph"))
    client.run()
    with pytest.raises(ConfigurationError, match="once"):
        client.start()


def test_pre_and_postprocessing_change_what_is_sent_and_shown(clip: Path, server: ScriptedServer) -> None:
    results: list[Result] = []
    StreamClient(
        str(clip),
        results.append,
        TransportOptions(server.address, model_name="graph"),
        preprocess=lambda image: image[::-1],
        postprocess=lambda result: 255 - result.image,
    ).run()
    assert np.array_equal(results[3].image, 255 - results[3].frame.image[::-1])


def test_repeated_runs_leave_no_descriptor_open(server: ScriptedServer) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def run() -> None:
        _run(pictures(1), (), server.address)

    run()
    before = count()
    for _ in range(20):
        run()
    assert count() <= before + 2


def test_enforce_fps_thins_out_a_live_source_and_counts_it(server: ScriptedServer) -> None:
    images = pictures(60)
    summary = _run(lambda: next(images, None), (), server.address, enforce_fps=5.0)
    assert summary.ledger.dropped["max_fps"] > 40
    assert summary.ledger.delivered >= 1
