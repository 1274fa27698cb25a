"""What clients do to a server that must go on: vanish, stay silent, ask for too much, read slowly, fail."""

import contextlib
import gc
import queue
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import grpc
import numpy as np
import pytest

from graph_server.calculators import REGISTRY
from graph_server.cli.arguments import build_parser
from graph_server.config.collector import GraphConfig
from graph_server.config.server_config import ServerConfig
from graph_server.errors import GraphError
from graph_server.graph.calculator import Calculator, Services
from graph_server.graph.definition import parse_graph
from graph_server.graph.node import Node
from graph_server.graph.runtime import Graph
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.server import GraphServer
from graph_server.service.admission import Limits
from graph_server.service.connections import received_bytes
from graph_server.service.session import StreamSession
from kserve_wire.messages import ModelInferRequest, ModelReadyRequest, ModelStreamInferResponse
from tests.support.calls import UNARY, calling, refusal, streaming
from tests.support.graph_server import graph_server, graph_server_process, request, stamps, stream, unary
from tests.support.waiting import wait_until
from tools.attacks.holding_proxy import holding_back

LIVE = "/inference.GRPCInferenceService/ServerLive"
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
SECONDS = 25  # how long a test waits for what has to come


@REGISTRY.register("TestHold")
class Hold(Calculator):
    """Holds every packet until the test lets go; a test's own events are set by the fixture."""

    entered: ClassVar[threading.Semaphore]
    let_go: ClassVar[threading.Event]

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        Hold.entered.release()
        assert Hold.let_go.wait(2 * SECONDS)
        return inputs


@REGISTRY.register("TestFail")
class Fail(Calculator):
    """Fails at timestamp 3."""

    made: ClassVar[weakref.WeakSet[Calculator]] = weakref.WeakSet()

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        Fail.made.add(self)

    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        if timestamp == 3:
            raise GraphError("three is too much")
        return inputs


def graph_of(calculator: str) -> str:
    return f"""
        input_stream: "IMAGE:image" output_stream: "IMAGE:output"
        node {{ calculator: "{calculator}" input_stream: "image" output_stream: "output" }}
    """


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    """Graphs ``passThrough``, ``hold``, ``fail`` and ``pooled``, of which there is one instance."""
    graphs = []
    texts = {
        "passThrough": graph_of("PassThroughCalculator"),
        "hold": graph_of("TestHold"),
        "fail": graph_of("TestFail"),
        "pooled": "# OVMS_GRAPH_QUEUE_MAX_SIZE: 1\n" + graph_of("PassThroughCalculator"),
    }
    for name, text in texts.items():
        path = tmp_path / f"{name}.pbtxt"
        path.write_text(text)
        graphs.append(GraphConfig(name, path))
    return ServerConfig((), tuple(graphs))


@pytest.fixture
def hold() -> Iterator[type[Hold]]:
    """The calculator that holds packets; lets go at the end."""
    Hold.entered, Hold.let_go = threading.Semaphore(0), threading.Event()
    yield Hold
    Hold.let_go.set()


def to(graph: str, timestamp: int, image: Any = None) -> bytes:
    made = request(timestamp, image=image)
    made.model_name = graph
    return bytes(made.SerializeToString())


class Client:
    """A connection whose streams are fed by hand."""

    def __init__(self, server: GraphServer) -> None:
        self.channel = grpc.insecure_channel(
            server.address, [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        )
        self._open = threading.Event()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self.channel.close()

    def open(self, *requests: bytes) -> Any:
        """A stream that sends these and then stays silent until this client ends."""

        def feed() -> Iterator[bytes]:
            yield from requests
            self._open.wait()

        return streaming(self.channel)(feed())

    def call(self, method: str, data: bytes = b"") -> bytes:
        return bytes(calling(self.channel, method)(data, timeout=SECONDS))

    def refusal(self, data: bytes) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self.call(UNARY, data)
        return refusal(caught.value)


def ended(calls: Sequence[Any], number: int) -> list[Any]:
    """Wait until that many of the calls have ended, and return them."""
    over: list[Any] = []
    some = threading.Semaphore(0)
    for call in calls:

        def note(call: Any = call) -> None:
            over.append(call)
            some.release()

        if not call.add_callback(note):
            note()
    for _ in range(number):
        assert some.acquire(timeout=SECONDS)
    return over


def test_health_is_answered_while_a_calculator_of_a_vanished_client_runs(
    config: ServerConfig, hold: type[Hold], monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed = threading.Event()
    abandon = StreamSession.abandon

    def noted(session: StreamSession) -> None:
        noticed.set()
        abandon(session)

    monkeypatch.setattr(StreamSession, "abandon", noted)
    with graph_server(config=config) as server, Client(server) as client:
        call = client.open(to("hold", 1))
        assert hold.entered.acquire(timeout=SECONDS)
        call.cancel()
        assert noticed.wait(SECONDS)
        client.call(LIVE)
        assert client.call(UNARY, to("passThrough", 1))
        assert not hold.let_go.is_set()
        hold.let_go.set()


def test_a_client_that_vanishes_frees_its_session(config: ServerConfig, hold: type[Hold]) -> None:
    with graph_server(config=config, limits=Limits(sessions=1)) as server:
        for _ in range(5):
            with Client(server) as client:
                call = client.open(to("hold", 1))
                assert hold.entered.acquire(timeout=SECONDS)
                call.cancel()
            hold.let_go.set()
            wait_until(lambda: stream(server.address, request(1))[1] is grpc.StatusCode.OK)
            hold.let_go.clear()
            hold.entered = threading.Semaphore(0)
        hold.let_go.set()


def test_silent_streams_starve_neither_health_nor_calls_nor_sessions(config: ServerConfig) -> None:
    with graph_server(config=config) as server, Client(server) as silent, Client(server) as client:
        calls = [silent.open() for _ in range(100)]
        client.call(LIVE)
        assert client.call(UNARY, to("passThrough", 1))
        assert stamps(stream(server.address, request(1), request(2))[0]) == [1, 2]
        for call in calls:
            call.cancel()


def test_a_full_house_of_sessions_starves_neither_health_nor_calls(config: ServerConfig) -> None:
    with graph_server(config=config) as server, Client(server) as client:
        calls = [client.open(to("passThrough", 1)) for _ in range(32)]
        for call in calls:
            next(call)
        client.call(LIVE)
        assert client.call(UNARY, to("passThrough", 1))
        late = client.open(to("passThrough", 1))
        ended([late], 1)
        assert (late.code(), late.details()) == (
            EXHAUSTED,
            "Too many sessions are open; the limit is 32 (--max_sessions)",
        )
        calls[0].cancel()
        wait_until(lambda: stream(server.address, request(1))[1] is grpc.StatusCode.OK)


def test_streams_beyond_the_limit_are_refused_and_health_is_answered(config: ServerConfig) -> None:
    with graph_server(config=config, limits=Limits(calls=8)) as server, Client(server) as client:
        over = ended([client.open() for _ in range(7)], 3)
        assert {(call.code(), call.details()) for call in over} == {
            (EXHAUSTED, "Too many streams are open; the limit is 4 (half of --grpc_max_threads)")
        }
        client.call(LIVE)
        assert client.call(UNARY, to("passThrough", 1))


def test_inference_calls_beyond_the_limit_are_refused_and_health_is_answered(
    config: ServerConfig, hold: type[Hold]
) -> None:
    with graph_server(config=config, limits=Limits(calls=8, running=1)) as server, Client(server) as client:
        futures = [calling(client.channel).future(to("hold", 1)) for _ in range(5)]
        over = ended(futures, 2)
        assert {(call.code(), call.details()) for call in over} == {
            (EXHAUSTED, "Too many inference calls are under way; the limit is 3 (3/8 of --grpc_max_threads)")
        }
        client.call(LIVE)
        hold.let_go.set()
        assert [call.code() for call in futures].count(grpc.StatusCode.OK) == 3


def test_calls_that_wait_for_a_pools_graph_do_not_keep_others_waiting_and_leave_with_their_clients(
    config: ServerConfig,
) -> None:
    with graph_server(config=config, limits=Limits(calls=8, running=1)) as server, Client(server) as client:
        session = client.open(to("pooled", 1))
        next(session)
        waiting = [calling(client.channel).future(to("pooled", 5)) for _ in range(2)]
        assert client.call(UNARY, to("passThrough", 1))
        more = [calling(client.channel).future(to("pooled", 5)) for _ in range(2)]
        assert [call.code() for call in ended(more, 1)] == [EXHAUSTED]
        for call in (*waiting, *more):
            call.cancel()

        def is_served() -> bool:
            call = calling(client.channel).future(to("passThrough", 1))
            return bool(call.code() is grpc.StatusCode.OK)

        wait_until(is_served)
        session.cancel()
        # The session's graph may have been kept, so timestamps have to rise.
        assert client.call(UNARY, to("pooled", 10))
    assert not [thread.name for thread in threading.enumerate() if "pooled.pbtxt" in thread.name]


def test_a_pool_keeps_its_graph_from_call_to_call_and_ends_it_with_the_server(config: ServerConfig) -> None:
    def workers() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if "pooled.pbtxt" in thread.name}

    with graph_server(config=config) as server, Client(server) as client:
        client.call(UNARY, to("pooled", 1))
        first = workers()
        assert first
        for timestamp in range(2, 20):
            client.call(UNARY, to("pooled", timestamp))
        assert workers() == first
        with pytest.raises(grpc.RpcError, match="Packet timestamp mismatch"):
            client.call(UNARY, to("pooled", 19))
        client.call(UNARY, to("pooled", 1))
        assert not workers() & first
    assert not workers()


def test_a_message_beyond_the_limit_is_refused_and_the_next_one_served(config: ServerConfig) -> None:
    large = np.zeros((600, 600, 3), np.uint8)
    with graph_server(config=config, limits=Limits(message_bytes=1_000_000)) as server, Client(server) as client:
        assert client.refusal(to("passThrough", 1, large))[0] is EXHAUSTED
        assert stream(server.address, request(1, image=large))[1] is EXHAUSTED
        assert client.call(UNARY, to("passThrough", 1))


@pytest.mark.parametrize("allowed", [False, True])
def test_compressed_messages_are_refused_unless_they_are_asked_for(config: ServerConfig, allowed: bool) -> None:
    """gRPC's core unpacks them before anybody can tell their size."""
    arguments = (("grpc.compression_enabled_algorithms_bitset", 7),) if allowed else ()
    with graph_server(config=config, channel_arguments=arguments) as server, Client(server) as client:
        call = calling(client.channel).future(to("passThrough", 1), compression=grpc.Compression.Gzip)
        assert call.code() is (grpc.StatusCode.OK if allowed else grpc.StatusCode.UNIMPLEMENTED)
        assert client.call(UNARY, to("passThrough", 1))


def test_sessions_share_the_memory_quota_by_their_largest_request(config: ServerConfig) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    with graph_server(config=config, limits=Limits(memory_bytes=60_000)) as server, Client(server) as client:
        first = client.open(to("passThrough", 1, image))
        next(first)
        late = client.open(to("passThrough", 1, image))
        ended([late], 1)
        assert late.details() == (
            "Too many bytes of streamed requests are under way; the limit is 60000 (--grpc_memory_quota)"
        )
        first.cancel()
        wait_until(lambda: stream(server.address, request(1, image=image))[1] is grpc.StatusCode.OK)


def test_a_header_counts_with_what_it_becomes_before_it_is_parsed(config: ServerConfig) -> None:
    made = ModelInferRequest(model_name="passThrough")
    made.inputs.add(name="image", datatype="BYTES").contents.bytes_contents.extend([b""] * 40_000)
    with graph_server(config=config, limits=Limits(memory_bytes=500_000)) as server, Client(server) as client:
        code, text = client.refusal(made.SerializeToString())
        assert (code, text[:44]) == (EXHAUSTED, "Too many bytes of memory for what is not raw")
        assert stream(server.address, made)[1] is EXHAUSTED
        assert client.call(UNARY, to("passThrough", 1))


@pytest.mark.parametrize("name", ["x" * 100_000, "a\x00b\x1b]0;owned\x07c\x9bd", "a\r\nb\n\n\u202ec"])
def test_texts_of_a_request_come_back_cut_and_without_control_characters(config: ServerConfig, name: str) -> None:
    made = request(1, name=name)
    with graph_server(config=config) as server, Client(server) as client:
        _, text = client.refusal(made.SerializeToString())
        answers, _, _ = stream(server.address, request(1), made)
    for said in (text, *(answer.error_message for answer in answers if answer.error_message)):
        assert said.startswith("Unexpected input - ")
        assert len(said) < 700
        assert all(character.isprintable() for character in said)


def test_a_control_message_has_a_limited_size(config: ServerConfig) -> None:
    with graph_server(config=config) as server, Client(server) as client, pytest.raises(grpc.RpcError) as caught:
        client.call(
            "/inference.GRPCInferenceService/ModelReady", ModelReadyRequest(name="x" * 100_000).SerializeToString()
        )
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined,unused-ignore]


def test_unary_calls_share_the_memory_quota(config: ServerConfig, hold: type[Hold]) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    with graph_server(config=config, limits=Limits(memory_bytes=50_000)) as server, Client(server) as client:
        first = calling(client.channel).future(to("hold", 1, image))
        assert hold.entered.acquire(timeout=SECONDS)
        assert client.refusal(to("passThrough", 1, image)) == (
            EXHAUSTED,
            "Too many bytes of inference calls are under way; the limit is 50000 (--grpc_memory_quota)",
        )
        hold.let_go.set()
        first.result(SECONDS)
        assert client.call(UNARY, to("passThrough", 1, image))


def test_a_slow_reader_holds_up_its_own_sending_and_gets_everything(config: ServerConfig) -> None:
    image = np.zeros((500, 500, 4), np.uint8)  # 1 MB
    number = 300
    sent = 0

    def feed() -> Iterator[bytes]:
        nonlocal sent
        for index in range(number):
            image[0, 0] = index % 256
            sent += 1
            yield to("passThrough", index, image)

    limits = Limits(sessions=4, memory_bytes=32 << 20)
    with graph_server(config=config, limits=limits) as server, Client(server) as client:
        call = streaming(client.channel)(feed())
        seen = -1
        while seen != sent:  # until nothing moves any more
            seen = sent
            time.sleep(0.5)
        assert 0 < sent < number
        # Meanwhile another session is served.
        assert stamps(stream(server.address, request(1), request(2))[0]) == [1, 2]
        answers = [ModelStreamInferResponse.FromString(data) for data in call]
        assert stamps(answers) == list(range(number))
        assert [item.infer_response.raw_output_contents[0][0] for item in answers] == [i % 256 for i in range(number)]


def test_a_session_that_fails_does_not_disturb_the_others(config: ServerConfig) -> None:
    with graph_server(config=config) as server, Client(server) as client:
        results: list[list[int]] = []

        def good() -> None:
            results.append(stamps(stream(server.address, *[request(index) for index in range(100)])[0]))

        def poisoned() -> None:
            wrong = request(2)
            wrong.inputs[0].shape[:] = [2**62, 7, 3]
            call = streaming(client.channel)(
                iter([to("fail", 1), to("fail", 3), b"\xff", wrong.SerializeToString(), *[to("fail", 4)] * 20])
            )
            with pytest.raises(grpc.RpcError, match="three is too much"):
                list(call)

        threads = [threading.Thread(target=work) for work in (good, poisoned, good, poisoned, poisoned, good)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [list(range(100))] * 3


def test_a_million_empty_contents_are_refused_before_they_use_up_memory(config: ServerConfig) -> None:
    bomb = ModelInferRequest(model_name="passThrough").SerializeToString() + b"\x3a\x00" * (1 << 20)
    with graph_server(config=config) as server, Client(server) as client:
        code, text = client.refusal(bomb)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "more than 65536 fields" in text
        assert client.call(UNARY, to("passThrough", 1))


@pytest.mark.parametrize("shape", [[1] * 65, [0, 2**62, 2**62], [1] * 100_000])
def test_shapes_beyond_what_numpy_holds_are_a_bad_argument(tmp_path: Path, shape: list[int]) -> None:
    path = tmp_path / "tensor.pbtxt"
    path.write_text(graph_of("PassThroughCalculator").replace("IMAGE:", "OVTENSOR:"))
    made = request(1)
    made.model_name = "tensor"
    made.inputs[0].shape[:] = shape
    made.raw_input_contents[0] = b"x" if 0 not in shape else b""
    good = request(2)
    good.model_name = "tensor"
    with graph_server(config=ServerConfig((), (GraphConfig("tensor", path),))) as server:
        with pytest.raises(grpc.RpcError) as caught:
            unary(server.address, made)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        answers, code, _ = stream(server.address, made, good)
        assert (answers[0].error_message[:20], stamps(answers), code) == (
            "Invalid input shape ",
            [-1, 2],
            grpc.StatusCode.OK,
        )


def graph_with_limit(text: str, packets: int, nbytes: int) -> Graph:
    graph = Graph(parse_graph(text, source="test", registry=REGISTRY), REGISTRY, ModelRepository(Runtime(), ()))
    graph.limit_queue(packets, nbytes)
    return graph


def test_a_graph_takes_in_no_more_bytes_than_its_limit(hold: type[Hold]) -> None:
    graph = graph_with_limit(graph_of("TestHold"), 100, 5_000)
    out: list[int] = []
    graph.start({}, lambda name, value, timestamp: out.append(timestamp))
    taken: list[int] = []

    def add() -> None:
        for timestamp in range(8):
            graph.add_packet("image", np.zeros(976, np.uint8), timestamp)  # 2,000 bytes with what is around it
            taken.append(timestamp)

    thread = threading.Thread(target=add)
    thread.start()
    wait_until(lambda: len(taken) == 3)
    assert hold.entered.acquire(timeout=SECONDS)
    assert taken == [0, 1, 2]
    hold.let_go.set()
    thread.join()
    graph.close_inputs()
    graph.wait_until_done()
    assert out == list(range(8))


def test_packets_that_wait_for_another_stream_for_ever_put_the_graph_into_error() -> None:
    text = """
        input_stream: "a" input_stream: "b" output_stream: "c" output_stream: "d"
        node { calculator: "PassThroughCalculator"
               input_stream: "a" input_stream: "b" output_stream: "c" output_stream: "d" }
    """
    graph = graph_with_limit(text, 3, 20_000)
    graph.start({}, lambda name, value, timestamp: None)
    for timestamp in range(10):
        graph.add_packet("a", np.zeros(976, np.uint8), timestamp)
    with pytest.raises(GraphError, match="wait for packets of other streams; the limit is 20000"):
        graph.add_packet("a", np.zeros(976, np.uint8), 10)
    graph.cancel()


def test_a_server_that_stops_ends_silent_streams_and_full_sessions(config: ServerConfig) -> None:
    with graph_server(config=config) as server, Client(server) as client:
        silent, session = client.open(), client.open(to("passThrough", 1))
        next(session)
        server.stop(0)
        assert {call.code() for call in ended([silent, session], 2)} <= {
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.UNAVAILABLE,
        }


def test_limits_are_flags_of_the_server(tmp_path: Path) -> None:
    graph = tmp_path / "graph.pbtxt"
    graph.write_text(graph_of("PassThroughCalculator"))
    flags = ["--model_name", "passThrough", "--model_path", str(tmp_path)]
    flags += ["--max_sessions", "1", "--max_message_bytes", "100000"]
    flags += ["--grpc_channel_arguments", "grpc.max_concurrent_streams=7,grpc.primary_user_agent=x"]
    with graph_server_process(*flags) as server, grpc.insecure_channel(server.address) as channel:
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        first = streaming(channel)(iter(requests.get, None))
        requests.put(to("passThrough", 1))
        next(first)
        assert stream(server.address, request(1))[1:] == (
            EXHAUSTED,
            "Too many sessions are open; the limit is 1 (--max_sessions)",
        )
        assert stream(server.address, request(1, image=np.zeros((200, 200, 3), np.uint8)))[1] is EXHAUSTED
        requests.put(None)
        assert not list(first)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--max_sessions", "0"], "'0' is not a positive number"),
        (["--grpc_memory_quota", "-1"], "'-1' is not a positive number"),
        (["--grpc_max_threads", "many"], "'many' is not a positive number"),
        (["--grpc_channel_arguments", "grpc.x"], "'grpc.x' is not NAME=VALUE"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(arguments)
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("timestamps", [(1, 2), (1, 3, 4), (2, 1)], ids=["good", "failing", "not rising"])
def test_what_a_call_took_is_freed_at_its_end_and_not_when_garbage_is_collected(
    config: ServerConfig, timestamps: Sequence[int]
) -> None:
    with graph_server(config=config) as server, Client(server) as client:
        gc.collect()
        gc.disable()
        try:
            call = streaming(client.channel)(iter([to("fail", timestamp) for timestamp in timestamps]))
            with contextlib.suppress(grpc.RpcError):
                list(call)
            for timestamp in timestamps:
                calling(client.channel).future(to("fail", timestamp)).code()
            vanished = client.open(to("fail", 1))
            next(vanished)
            vanished.cancel()
            wait_until(lambda: not Fail.made)
        finally:
            gc.enable()


def test_of_clients_that_hold_back_too_much_together_the_oldest_is_cut_off(config: ServerConfig) -> None:
    image = np.zeros((1500, 2000, 3), np.uint8)  # 9 MB
    limits = Limits(memory_bytes=12 << 20)
    with graph_server(config=config, limits=limits) as server, holding_back(server.address, 8_000_000) as address:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(address, options) as old, grpc.insecure_channel(address, options) as new:
            first = calling(old).future(to("passThrough", 1, image))
            wait_until(lambda: max(received_bytes(port_of(server)).values(), default=0) > 7_000_000)
            second = calling(new).future(to("passThrough", 1, image))
            ended([first], 1)
            assert first.code() is grpc.StatusCode.UNAVAILABLE
            assert not second.done()
            assert stamps(stream(server.address, request(1), request(2))[0]) == [1, 2]
            second.cancel()


def port_of(server: GraphServer) -> int:
    return int(server.address.rpartition(":")[2])
