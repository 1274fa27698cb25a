"""The transports themselves, on a real server: whose answer it is, and what ends a session."""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from stream_client.errors import ConfigurationError, ProtocolError, ServerError, TransportError
from stream_client.frames import Tensor
from stream_client.transport.base import Answer, Closed, Event, Failure, Request, Transport
from stream_client.transport.options import Api, TransportOptions
from stream_client.transport.session import connect
from stream_client.transport.streaming import StreamingTransport
from stream_client.transport.unary import UnaryTransport
from tests.support.kserve_server import Reply, ScriptedServer, answer
from tests.support.waiting import wait_until

IMAGE = Tensor("image", "UINT8", np.zeros((16, 16, 3), np.uint8))
Make = Callable[[str], Transport]


def streaming(address: str) -> Transport:
    return StreamingTransport(TransportOptions(address), "graph")


def unary(address: str) -> Transport:
    return UnaryTransport(TransportOptions(address), "graph")


both = pytest.mark.parametrize("make", [streaming, unary])


class Session:
    """An open transport, and its events one after the other."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.events: queue.Queue[Event] = queue.Queue()

    def __enter__(self) -> "Session":
        self.transport.open(self.events.put)
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

    def send(self, *timestamps: int) -> None:
        for timestamp in timestamps:
            self.transport.send(timestamp, self.transport.encode(Request(timestamp, [IMAGE])))

    def next(self) -> Event:
        return self.events.get(timeout=10)

    def exchange(self, timestamp: int) -> Event:
        self.send(timestamp)
        return self.next()


def anonymous(request: ModelInferRequest, number: int) -> Iterator[Reply]:
    """An answer that says neither timestamp nor id, as of a server that answers in order."""
    response = answer(request, "output")
    response.parameters.clear()
    yield response


@both
def test_an_answer_has_the_timestamp_of_its_request(server: ScriptedServer, make: Make) -> None:
    with Session(make(server.address)) as session:
        session.send(10, 20)
        answers = [session.next(), session.next()]
        assert {event.timestamp for event in answers if isinstance(event, Answer)} == {10, 20}
        session.transport.finish()
        assert session.next() == Closed(None)


def test_servers_that_say_no_timestamp_answer_in_order(server: ScriptedServer) -> None:
    server.script = anonymous
    with Session(streaming(server.address)) as session:
        assert [_timestamp(session.exchange(timestamp)) for timestamp in (10, 20, 30)] == [10, 20, 30]


def test_an_error_in_the_stream_takes_its_own_place_in_the_order(server: ScriptedServer) -> None:
    def second_fails(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        yield from iter(["no"]) if number == 1 else anonymous(request, number)

    server.script = second_fails
    with Session(streaming(server.address)) as session:
        first = session.exchange(10)
        session.send(20, 30, 40)
        events = [first, session.next(), session.next(), session.next()]
        assert [type(event) for event in events] == [Answer, Failure, Answer, Answer]
        assert [_timestamp(event) for event in events] == [10, 20, 30, 40]


def test_an_error_with_an_id_beside_it_belongs_to_that_frame(server: ScriptedServer) -> None:
    def fail(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        if number == 1:
            response = ModelInferResponse(id=request.id)
            wrapper = ModelStreamInferResponse(error_message="no", infer_response=response)
            yield wrapper.SerializeToString()

    server.script = fail
    with Session(streaming(server.address)) as session:
        session.send(10, 20, 30)
        event = session.next()
        assert isinstance(event, Failure)
        assert event.timestamp == 20


def test_an_error_that_may_be_of_any_frame_names_none(server: ScriptedServer) -> None:
    def fail(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        if number == 1:
            yield "no"

    server.script = fail
    with Session(streaming(server.address)) as session:
        session.send(10, 20)
        event = session.next()
        assert isinstance(event, Failure)
        assert event.timestamp is None


def test_frames_that_are_never_answered_are_not_remembered_for_ever(server: ScriptedServer) -> None:
    server.script = lambda request, number: iter([answer(request, "output")] if number == 599 else [])
    transport = StreamingTransport(TransportOptions(server.address), "graph")
    with Session(transport) as session:
        session.send(*range(600))
        assert _timestamp(session.next()) == 599
        assert len(transport._unanswered) < transport.QUEUE


@both
def test_a_listener_that_raises_ends_the_session_with_its_error(server: ScriptedServer, make: Make) -> None:
    closed: queue.Queue[Closed] = queue.Queue()

    def listener(event: Event) -> None:
        if not isinstance(event, Closed):
            raise KeyError("of the listener")
        closed.put(event)

    transport = make(server.address)
    transport.open(listener)
    try:
        transport.send(1, transport.encode(Request(1, [IMAGE])))
        error = closed.get(timeout=10).error
    finally:
        transport.close()
    assert isinstance(error, TransportError)
    assert isinstance(error.__cause__, KeyError)


@both
def test_an_answer_of_an_impossible_shape_ends_the_session(server: ScriptedServer, make: Make) -> None:
    def impossible(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        response = answer(request)
        response.outputs.add(name="output", datatype="UINT8", shape=[1] * 65)
        response.raw_output_contents.append(b"a")
        yield response

    server.script = impossible
    with Session(make(server.address)) as session:
        event = session.exchange(1)
        assert isinstance(event, Closed)
        assert isinstance(event.error, ProtocolError)


def test_side_packets_go_with_the_first_request_of_a_stream_and_with_every_unary_call(server: ScriptedServer) -> None:
    def sent(api: Api) -> list[bool]:
        server.requests.clear()
        options = TransportOptions(server.address, api=api, model_name="graph", parameters={"side": "value"})
        with Session(connect(options).transport) as session:
            session.exchange(10)
            session.exchange(20)
        return ["side" in request.parameters for request in server.requests]

    assert sent("stream") == [True, False]
    assert sent("unary") == [True, True]


def test_side_packets_are_texts_of_the_command_line_too(server: ScriptedServer) -> None:
    texts = ("confidence=0.5", "max_detections=20", "class_agnostic_nms=true", "names=a=b")
    options = TransportOptions(server.address, model_name="graph", parameters={"side": 1}, side_packets=texts)
    with Session(connect(options).transport) as session:
        session.exchange(10)
    sent = {name: getattr(value, str(value.WhichOneof("parameter_choice"))) for name, value in
            server.requests[0].parameters.items()}  # fmt: skip
    assert sent.items() >= {
        ("side", 1), ("confidence", "0.5"), ("max_detections", 20), ("class_agnostic_nms", True), ("names", "a=b")
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "x", "=1", "a b=1", "side=2"])
def test_what_is_no_side_packet_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"side_packet"):
        TransportOptions("host:1", parameters={"side": 1}, side_packets=(text,))


@pytest.mark.parametrize("name", ["graph", None])
def test_a_server_that_does_not_speak_kserve_is_recognised(name: str | None) -> None:
    with ThreadPoolExecutor(2) as pool:
        other = grpc.server(pool)
        port = other.add_insecure_port("127.0.0.1:0")
        other.start()
        try:
            with pytest.raises(ServerError, match="is it a KServe v2 server"):
                connect(TransportOptions(f"127.0.0.1:{port}", model_name=name))
        finally:
            other.stop(0).wait()


@pytest.mark.parametrize("address", ["", "host", "host:", ":9000", "host:0", "host:65536", "host:\u00b2", "unix:"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\(grpc_address\)$"):
        TransportOptions(address)


def test_an_url_is_no_address() -> None:
    with pytest.raises(ConfigurationError, match="host:port"):
        TransportOptions("http://host:9000")


@both
def test_opening_and_closing_over_and_over_leaves_nothing_behind(server: ScriptedServer, make: Make) -> None:
    transport = make(server.address)

    def cycle() -> None:
        with Session(transport) as session:
            session.exchange(1)

    for _ in range(5):
        cycle()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(30):  # each takes gRPC 0.2 s
        cycle()
    assert threading.active_count() <= threads + 2  # the server's own pool may grow
    # The server is in this process, too, and takes a moment to close its ends.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors + 2)
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


def _timestamp(event: Event) -> int | None:
    assert isinstance(event, Answer | Failure)
    return event.timestamp
