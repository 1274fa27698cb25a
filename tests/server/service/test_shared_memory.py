"""Triton's system-shared-memory extension, on the wire of a real server."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from graph_server.server import GraphServer
from graph_server.service.admission import Limits
from kserve_wire import messages
from kserve_wire.names import method_path
from tests.support import calls
from tests.support.graph_server import graph_server, request, stream, unary
from tests.support.video import picture

FOLDER = Path("/dev/shm")
SIZE = 1 << 16


@pytest.fixture
def server() -> Iterator[GraphServer]:
    with graph_server() as server:
        yield server


@pytest.fixture
def memory() -> Iterator[Path]:
    """A shared memory file of 64 KB."""
    path = FOLDER / f"ovms-stream-client-test-{os.getpid()}"
    path.write_bytes(bytes(SIZE))
    yield path
    path.unlink(missing_ok=True)


def call(server: GraphServer, method: str, **fields: Any) -> Any:
    with grpc.insecure_channel(server.address) as channel:
        made = getattr(messages, f"{method}Request")(**fields)
        answer = calls.calling(channel, method_path(method))(made.SerializeToString(), timeout=20)
    return getattr(messages, f"{method}Response").FromString(answer)


def register(server: GraphServer, path: Path, name: str = "frames", **fields: int) -> None:
    call(server, "SystemSharedMemoryRegister", name=name, key=f"/{path.name}", **{"byte_size": SIZE, **fields})


def place(parameters: Any, offset: int, size: int, region: str = "frames") -> None:
    parameters["shared_memory_region"].string_param = region
    parameters["shared_memory_offset"].int64_param = offset
    parameters["shared_memory_byte_size"].int64_param = size


def placed_request(timestamp: int, image: np.ndarray[Any, Any], memory: Path, *, output: int | None = None) -> Any:
    """A request whose picture lies at the start of the region, its output wanted at ``output``."""
    made = request(timestamp, image=image)
    del made.raw_input_contents[:]
    with memory.open("r+b") as file:
        file.write(image.tobytes())
    place(made.inputs[0].parameters, 0, image.nbytes)
    if output is not None:
        place(made.outputs.add(name="output").parameters, output, image.nbytes)
    return made


def refusal(server: GraphServer, method: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(server, method, **fields)
    return calls.refusal(caught.value)


def test_a_server_on_loopback_announces_shared_memory(server: GraphServer) -> None:
    assert list(call(server, "ServerMetadata").extensions) == ["system_shared_memory"]


def test_a_server_for_other_machines_does_not_offer_shared_memory() -> None:
    with graph_server(bind_address="0.0.0.0") as server:
        assert not call(server, "ServerMetadata").extensions
        code, _ = refusal(server, "SystemSharedMemoryStatus")
        assert code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_picture_crosses_in_shared_memory_alone(server: GraphServer, memory: Path, api: str) -> None:
    image = picture(7)
    register(server, memory)
    made = placed_request(1, image, memory, output=image.nbytes)
    if api == "stream":
        [answer], _, _ = stream(server.address, made)
        response = answer.infer_response
    else:
        response = unary(server.address, made)
    assert not response.raw_output_contents
    assert response.outputs[0].parameters["shared_memory_byte_size"].int64_param == image.nbytes
    assert memory.read_bytes()[image.nbytes : 2 * image.nbytes] == image.tobytes()


def test_an_output_without_a_place_comes_in_its_message(server: GraphServer, memory: Path) -> None:
    image = picture(3)
    register(server, memory)
    response = unary(server.address, placed_request(1, image, memory))
    assert list(response.raw_output_contents) == [image.tobytes()]


def test_an_output_larger_than_its_place_comes_in_its_message(server: GraphServer, memory: Path) -> None:
    image = picture(3)
    register(server, memory)
    made = request(1, image=image)
    place(made.outputs.add(name="output").parameters, 0, 10)
    assert list(unary(server.address, made).raw_output_contents) == [image.tobytes()]


def test_status_lists_what_is_registered_until_it_is_unregistered(server: GraphServer, memory: Path) -> None:
    register(server, memory, "one", offset=16, byte_size=100)
    register(server, memory, "two")
    regions = call(server, "SystemSharedMemoryStatus").regions
    assert sorted(regions) == ["one", "two"]
    assert (regions["one"].key, regions["one"].offset, regions["one"].byte_size) == (f"/{memory.name}", 16, 100)
    call(server, "SystemSharedMemoryUnregister", name="one")
    assert refusal(server, "SystemSharedMemoryStatus", name="one")[0] is grpc.StatusCode.NOT_FOUND
    call(server, "SystemSharedMemoryUnregister")
    assert not call(server, "SystemSharedMemoryStatus").regions


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"key": "/does-not-exist"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": "/../../etc/passwd"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": "/.."}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"byte_size": SIZE + 1}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"offset": 2**63, "byte_size": 2**63}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"name": "taken"}, grpc.StatusCode.ALREADY_EXISTS),
    ],
)
def test_a_region_that_cannot_be_is_refused(
    server: GraphServer, memory: Path, fields: dict[str, Any], code: grpc.StatusCode
) -> None:
    register(server, memory, "taken")
    given = {"name": "frames", "key": f"/{memory.name}", "byte_size": SIZE, **fields}
    assert refusal(server, "SystemSharedMemoryRegister", **given)[0] is code


@pytest.mark.parametrize(("offset", "size"), [(0, SIZE + 1), (-1, 10), (SIZE, 1), (0, -5), (2**62, 2**62)])
def test_a_place_outside_its_region_is_refused(server: GraphServer, memory: Path, offset: int, size: int) -> None:
    register(server, memory)
    made = placed_request(1, picture(0), memory)
    place(made.inputs[0].parameters, offset, size)
    with pytest.raises(grpc.RpcError) as caught:
        unary(server.address, made)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined,unused-ignore]


def test_a_region_that_is_not_there_is_told_inside_the_stream(server: GraphServer, memory: Path) -> None:
    image = picture(0)
    bad = placed_request(2, image, memory)
    answers, code, _ = stream(server.address, request(1), bad, request(3))
    assert code is grpc.StatusCode.OK
    texts = [answer.error_message for answer in answers if answer.error_message]
    assert texts == ["Unable to find system shared memory region: 'frames'; validate subsequent requests"]
    assert len(answers) == 3


def test_a_file_cut_short_behind_the_servers_back_is_an_error_and_no_crash(server: GraphServer, memory: Path) -> None:
    register(server, memory)
    made = placed_request(1, picture(0), memory)
    os.truncate(memory, 0)
    with pytest.raises(grpc.RpcError, match="Invalid offset"):
        unary(server.address, made)
    assert unary(server.address, request(2)).outputs


def test_a_region_whose_name_is_gone_is_forgotten_with_its_session(server: GraphServer, memory: Path) -> None:
    image = picture(0)
    register(server, memory, "kept")
    other = memory.with_name(memory.name + "-gone")
    other.write_bytes(bytes(SIZE))
    register(server, other)
    made = placed_request(1, image, other, output=0)
    other.unlink()
    stream(server.address, made)
    assert list(call(server, "SystemSharedMemoryStatus").regions) == ["kept"]


def test_tritonclients_shared_memory_works(server: GraphServer) -> None:
    import tritonclient.grpc as grpcclient
    from tritonclient.utils import shared_memory

    image = picture(5)
    client = grpcclient.InferenceServerClient(server.address)
    region = shared_memory.create_shared_memory_region("triton", f"/triton-{os.getpid()}", 2 * image.nbytes)
    try:
        shared_memory.set_shared_memory_region(region, [image])
        client.register_system_shared_memory("triton", f"/triton-{os.getpid()}", 2 * image.nbytes)
        given = grpcclient.InferInput("image", image.shape, "UINT8")
        given.set_shared_memory("triton", image.nbytes)
        wanted = grpcclient.InferRequestedOutput("output")
        wanted.set_shared_memory("triton", image.nbytes, offset=image.nbytes)
        client.infer("passThrough", [given], outputs=[wanted])
        assert np.array_equal(shared_memory.get_contents_as_numpy(region, np.uint8, image.shape, image.nbytes), image)
        client.unregister_system_shared_memory("triton")
    finally:
        shared_memory.destroy_shared_memory_region(region)
        client.close()


def test_a_small_message_cannot_name_the_same_memory_again_and_again(memory: Path) -> None:
    image = picture(3)
    with graph_server(limits=Limits(message_bytes=3 * image.nbytes)) as server:
        register(server, memory)
        made = placed_request(1, image, memory)
        for _ in range(3):
            made.inputs.append(made.inputs[0])
        with pytest.raises(grpc.RpcError, match=r"a request of \d+ bytes in shared memory; the limit is \d+"):
            unary(server.address, made)
