"""The client's frames through shared memory, to the graph server."""

import mmap
import os
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from graph_server.config.server_config import single_servable
from graph_server.server import GraphServer
from graph_server.service.region import Region
from kserve_wire.messages import ModelInferResponse, ModelStreamInferResponse
from stream_client import Result, RunOptions, StreamClient, TransportOptions
from stream_client.errors import ConnectError
from stream_client.frames import Tensor
from stream_client.sources.arrays import CallableSource
from stream_client.transport.base import Answer, Event, Request
from stream_client.transport.session import connect
from stream_client.transport.shared_memory import SharedMemory
from stream_client.transport.slots import NamedFile, SharedFile, Slots, can_share
from tests.support.balancer import Balancer, Route, in_turn
from tests.support.graph_server import graph_server
from tests.support.kserve_server import ScriptedServer
from tests.support.ports import free_port
from tests.support.waiting import wait_until

COUNT = 80
FOLDER = Path("/dev/shm")
GATED = """
input_stream: "IMAGE:image"
input_stream: "TENSOR:allow"
output_stream: "IMAGE:output"
node { calculator: "ConcatenateTensorVectorCalculator" input_stream: "allow" output_stream: "tensors" }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:tensors" output_stream: "FLOAT:number" }
node { calculator: "ThresholdingCalculator" input_stream: "FLOAT:number" output_stream: "FLAG:flag"
  node_options: { [type.googleapis.com/mediapipe.ThresholdingCalculatorOptions]: { threshold: 0.5 } } }
node { calculator: "GateCalculator" input_stream: "image" input_stream: "ALLOW:flag" output_stream: "output" }
"""


def frames(count: int = COUNT, *, width: int = 160) -> Iterator[np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    for _ in range(count):
        yield generator.integers(0, 256, (160, width, 3), dtype=np.uint8)


@pytest.fixture
def server() -> Iterator[GraphServer]:
    with graph_server() as server:
        yield server


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many tensors went through shared memory, each way."""
    counts = {"inputs": 0, "outputs": 0}
    place_inputs, view = SharedMemory.place_inputs, SharedMemory.view

    def counted_inputs(memory: SharedMemory, timestamp: int, tensors: Any) -> Any:
        places = place_inputs(memory, timestamp, tensors)
        counts["inputs"] += len(places)
        return places

    def counted_view(memory: SharedMemory, timestamp: int | None, name: str, place: Any) -> Any:
        counts["outputs"] += 1
        return view(memory, timestamp, name, place)

    monkeypatch.setattr(SharedMemory, "place_inputs", counted_inputs)
    monkeypatch.setattr(SharedMemory, "view", counted_view)
    return counts


def run(address: str, *, shared_memory: bool = True, api: Literal["stream", "unary"] = "stream") -> list[Result]:
    options = TransportOptions(address, model_name="passThrough", api=api, shared_memory=shared_memory)
    kept: list[Result] = []
    StreamClient(frames(), kept.append, options).run()
    return kept


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_every_picture_comes_back_however_long_it_is_kept(
    server: GraphServer, calls: dict[str, int], api: Literal["stream", "unary"]
) -> None:
    """More results are kept than there are slots: no slot is used again while anybody looks at it."""
    results = run(server.address, api=api)
    assert len(results) == COUNT
    for result, image in zip(results, frames(), strict=True):
        assert np.array_equal(result.image, image)
    assert calls["inputs"] > COUNT / 2
    assert 0 < calls["outputs"] <= SharedMemory.OUTPUT_SLOTS


def test_slots_are_used_again(server: GraphServer, calls: dict[str, int]) -> None:
    seen = 0

    def look(result: Result) -> None:
        nonlocal seen
        seen += 1

    options = TransportOptions(server.address, model_name="passThrough")
    StreamClient(frames(), look, options, options=RunOptions(max_inflight=2)).run()
    assert seen == COUNT
    assert calls["outputs"] > SharedMemory.OUTPUT_SLOTS


def test_slots_of_frames_that_a_graph_drops_are_used_again(calls: dict[str, int], tmp_path: Path) -> None:
    """Three of four frames are dropped, so there are more of them than slots, and every fourth comes back."""
    (tmp_path / "graph.pbtxt").write_text(GATED)
    count = 8 * SharedMemory.OUTPUT_SLOTS
    seen: list[int] = []
    events: queue.Queue[Event] = queue.Queue()
    with graph_server(config=single_servable("sparse", tmp_path)) as server:
        transport = connect(
            TransportOptions(server.address, model_name="sparse", api="stream", input_name="image")
        ).transport
        transport.open(events.put)
        for timestamp, image in enumerate(frames(count)):
            marked = Tensor("allow", "FP32", np.array([timestamp % 4 == 0], np.float32))
            request = Request(timestamp, [Tensor("image", "UINT8", image), marked])
            transport.send(timestamp, transport.encode(request))
            if timestamp % 4 == 0:
                answer = events.get(timeout=10)
                assert isinstance(answer, Answer)
                assert np.array_equal(answer.outputs["output"].array, image)
                seen.append(answer.timestamp)
                del answer
        transport.close()
    assert seen == list(range(0, count, 4))
    assert calls == {"inputs": count, "outputs": count // 4 - 1}  # the first answer tells how large they are


def test_a_python_that_cannot_seal_shares_memory_too(
    server: GraphServer, calls: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As builds for old systems are."""
    monkeypatch.delattr(os, "memfd_create")
    run(server.address)
    assert calls["inputs"]
    assert calls["outputs"]


def test_answers_that_overtake_one_another_come_in_messages(calls: dict[str, int]) -> None:
    with graph_server("reorder") as server:
        results = run(server.address)
    assert calls == {"inputs": 0, "outputs": 0}
    assert all(np.array_equal(result.image, image) for result, image in zip(results, frames(), strict=True))


@pytest.mark.parametrize("sealed", [False, True])
def test_nothing_is_left_behind(server: GraphServer, monkeypatch: pytest.MonkeyPatch, *, sealed: bool) -> None:
    made: list[str] = []  # other tests' clients have files there, too
    initialize = Slots.__init__

    def noted(slots: Slots, size: int, count: int, kind: type[SharedFile]) -> None:
        initialize(slots, size, count, kind)
        made.append(slots.name)

    monkeypatch.setattr(Slots, "__init__", noted)
    if not sealed:
        monkeypatch.setattr("graph_server.service.region.PROCESSES", Path("/nonexistent"))
    run(server.address)
    assert made
    assert not {path.name for path in FOLDER.iterdir()} & set(made)


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_server_may_be_away_for_several_attempts_to_reconnect(api: Literal["stream", "unary"]) -> None:
    """Between attempts the transport is closed again, with nothing open."""
    events: queue.Queue[Event] = queue.Queue()
    with graph_server() as server:
        session = connect(TransportOptions(server.address, model_name="passThrough", api=api))
        transport = session.transport
        transport.open(events.put)
        for timestamp, image in enumerate(frames(2)):
            transport.send(timestamp, transport.encode(Request(timestamp, [Tensor("image", "UINT8", image)])))
            assert isinstance(events.get(timeout=10), Answer)
    for _ in range(2):
        transport.close()
        with pytest.raises(ConnectError):
            transport.open(events.put, within=0.5)
    transport.close()


def test_it_can_be_left_out(server: GraphServer, calls: dict[str, int]) -> None:
    assert len(run(server.address, shared_memory=False)) == COUNT
    assert calls == {"inputs": 0, "outputs": 0}


def test_a_server_that_does_not_announce_it_gets_frames_in_messages(calls: dict[str, int]) -> None:
    with ScriptedServer() as server:
        options = TransportOptions(server.address, model_name="graph")
        summary = StreamClient(frames(5), (), options).run()
        assert summary.ledger.delivered == 5
    assert calls["inputs"] == 0


def test_full_shared_memory_is_no_error(server: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    results = run(server.address)
    assert all(np.array_equal(result.image, image) for result, image in zip(results, frames(), strict=True))


def test_a_server_that_cannot_open_the_file_gets_frames_in_messages(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch, calls: dict[str, int]
) -> None:
    """As a server in a container, whose shared memory is another."""
    monkeypatch.setattr("graph_server.service.region.PROCESSES", Path("/nonexistent"))
    monkeypatch.setattr("graph_server.service.region.FOLDER", Path("/nonexistent"))
    assert len(run(server.address)) == COUNT
    assert calls == {"inputs": 0, "outputs": 0}


def test_a_server_that_does_not_see_the_process_gets_a_file_with_a_name(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch, calls: dict[str, int]
) -> None:
    monkeypatch.setattr("graph_server.service.region.PROCESSES", Path("/nonexistent"))
    results = run(server.address)
    assert all(np.array_equal(result.image, image) for result, image in zip(results, frames(), strict=True))
    assert calls["inputs"] == COUNT
    assert calls["outputs"]


def test_larger_pictures_in_mid_stream_get_larger_slots(server: GraphServer, calls: dict[str, int]) -> None:
    images = [*frames(10), *frames(10, width=320)]
    kept: list[Result] = []
    options = TransportOptions(server.address, model_name="passThrough")
    StreamClient(iter(images), kept.append, options).run()
    assert all(np.array_equal(result.image, image) for result, image in zip(kept, images, strict=True))
    assert calls["inputs"] == 20


@pytest.mark.parametrize(
    ("address", "shared"),
    [("localhost:1", True), ("127.0.0.5:1", True), ("[::1]:1", True), ("unix:/run/x", True), ("example.com:1", False)],
)
def test_only_servers_on_this_machine_share_memory(address: str, shared: bool) -> None:
    assert can_share(address) is shared


def test_a_slot_is_free_only_once() -> None:
    slots = Slots(10_000, 2, NamedFile)
    slots.unlink()
    first, second = slots.take(), slots.take()
    assert first is not None
    assert second is not None
    assert first != second
    assert slots.take() is None
    slots.give_back(first)
    assert slots.take() == first


def test_memory_follows_a_tensor_of_whole_pages() -> None:
    slots = Slots(2 * mmap.PAGESIZE, 2, NamedFile)
    slots.unlink()
    offsets = [slots.take() for _ in range(2)]
    assert all(offset is not None and (offset + slots.size) % mmap.PAGESIZE for offset in offsets)


def files() -> set[str]:
    return {path.name for path in FOLDER.glob("ovms-stream-client-*")}


def test_a_file_for_which_there_is_no_room_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def full(descriptor: int, size: int) -> None:
        made.extend(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.split())
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("mmap.mmap", full)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        Slots(10_000, 2, NamedFile)
    assert made
    assert not files() & set(made)


def test_files_of_clients_that_were_killed_are_removed_by_the_next_one() -> None:
    """They are killed while a server opens the file."""
    killed, starting = (FOLDER / f"ovms-stream-client-test-{os.getpid()}-{name}" for name in ("killed", "starting"))
    try:
        for path in (killed, starting):
            path.touch()
        os.utime(killed, (time.time() - 100,) * 2)
        Slots(10_000, 2, NamedFile).unlink()
        assert {path.name for path in (killed, starting)} & files() == {starting.name}
    finally:
        for path in (killed, starting):
            path.unlink(missing_ok=True)


def one_server_but_for(method: str, nth: int) -> Route:
    """All calls go to the first server, and the ``nth`` of ``method`` to the second."""
    return lambda called, count: int(called == method and count == nth)


ROUTES: dict[str, tuple[Literal["stream", "unary"], Route]] = {
    "a stream's inputs": ("stream", one_server_but_for("SystemSharedMemoryRegister", 0)),
    "a stream's outputs": ("stream", one_server_but_for("SystemSharedMemoryRegister", 1)),
    "unary calls in turn": ("unary", in_turn),
}


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("api", "route"), ROUTES.values(), ids=ROUTES)
def test_a_server_that_does_not_know_a_region_gets_frames_in_messages(
    api: Literal["stream", "unary"], route: Route, live: bool
) -> None:
    """A load balancer registers the region at one server, and sends frames to another."""
    kept: list[Result] = []
    with graph_server() as first, graph_server() as second, Balancer([first.address, second.address], route) as both:
        options = TransportOptions(both.address, model_name="passThrough", api=api)
        given = frames()
        source = CallableSource(lambda: next(given, None)) if live else given
        run_options = RunOptions(drop_policy="block", max_inflight=4)
        summary = StreamClient(source, kept.append, options, options=run_options).run()
    assert both.calls["SystemSharedMemoryRegister"]
    assert both.calls["ModelStreamInfer"] >= (2 if api == "stream" else 0)
    assert (summary.ledger.delivered, summary.ledger.dropped, summary.ledger.failed) == (COUNT, {}, {})
    assert all(np.array_equal(result.image, image) for result, image in zip(kept, frames(), strict=True))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_server_that_is_restarted_in_mid_run_loses_no_frame(api: Literal["stream", "unary"], live: bool) -> None:
    """It has forgotten the regions of the first half."""
    kept: list[Result] = []
    port = free_port()
    with ExitStack() as second, ExitStack() as first:
        first.enter_context(graph_server(port=port))

        def given() -> Iterator[np.ndarray[Any, Any]]:
            for index, image in enumerate(frames()):
                if index == COUNT // 2:
                    wait_until(lambda: len(kept) == COUNT // 2)
                    first.close()
                    second.enter_context(graph_server(port=port))
                yield image

        images = given()
        source = CallableSource(lambda: next(images, None)) if live else images
        options = TransportOptions(f"127.0.0.1:{port}", model_name="passThrough", api=api)
        run_options = RunOptions(drop_policy="block", max_inflight=4, on_server_loss="retry")
        summary = StreamClient(source, kept.append, options, options=run_options).run()
    assert (summary.ledger.delivered, summary.ledger.dropped, summary.ledger.failed) == (COUNT, {}, {})
    assert all(np.array_equal(result.image, image) for result, image in zip(kept, frames(), strict=True))


def another_slot(parameters: Any) -> None:
    """The next slot but one, which holds the frame of another request."""
    offset = parameters["shared_memory_offset"]
    offset.int64_param += 2 * -(-parameters["shared_memory_byte_size"].int64_param // 4096) * 4096


def another_region(parameters: Any) -> None:
    parameters["shared_memory_region"].string_param = "ovms-stream-client-0"


def more_than_fits(parameters: Any) -> None:
    parameters["shared_memory_byte_size"].int64_param = 1 << 40


@pytest.mark.parametrize("lie", [another_slot, another_region, more_than_fits])
@pytest.mark.parametrize("api", ["stream", "unary"])
def test_an_answer_in_other_memory_than_was_offered_for_it_is_asked_for_again(
    server: GraphServer, api: Literal["stream", "unary"], lie: Callable[[Any], None]
) -> None:
    """It would be the frame of another request, or nobody's."""
    kind = ModelStreamInferResponse if api == "stream" else ModelInferResponse
    lies = 0

    def change(method: str, answer: bytes) -> bytes:
        nonlocal lies
        if not method.endswith("Infer"):
            return answer
        message: Any = kind.FromString(answer)
        for output in (message.infer_response if api == "stream" else message).outputs:
            if "shared_memory_region" in output.parameters:
                lies += 1
                lie(output.parameters)
        return bytes(message.SerializeToString())

    kept: list[Result] = []
    with Balancer([server.address], lambda method, count: 0, change) as between:
        options = TransportOptions(between.address, model_name="passThrough", api=api)
        summary = StreamClient(frames(), kept.append, options, options=RunOptions(max_inflight=4)).run()
    assert lies
    assert (summary.ledger.delivered, summary.ledger.failed) == (COUNT, {})
    assert all(np.array_equal(result.image, image) for result, image in zip(kept, frames(), strict=True))


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_server_that_only_says_that_it_wrote_is_asked_again(
    server: GraphServer, api: Literal["stream", "unary"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that wrote into another file: what stands there is an old frame."""
    monkeypatch.setattr(Region, "write", lambda region, offset, data: True)
    kept: list[Result] = []
    options = TransportOptions(server.address, model_name="passThrough", api=api)
    summary = StreamClient(frames(), kept.append, options, options=RunOptions(max_inflight=4)).run()
    assert (summary.ledger.delivered, summary.ledger.failed) == (COUNT, {})
    assert all(np.array_equal(result.image, image) for result, image in zip(kept, frames(), strict=True))
