"""Triton's system-shared-memory extension, on the wire of a real server."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import grpc
import numpy as np
import pytest

from graph_server.server import GraphServer
from graph_server.service.admission import Limits
from graph_server.service.region import Region
from graph_server.service.shared_memory import MAX_REGIONS
from kserve_wire import messages
from kserve_wire.messages import ModelInferResponse
from kserve_wire.names import method_path
from tests.support import calls
from tests.support.graph_server import graph_server, request, stream_over
from tests.support.video import picture
from tests.support.waiting import wait_until

FOLDER = Path("/dev/shm")
SIZE = 1 << 16


@pytest.fixture
def server() -> Iterator[GraphServer]:
    with graph_server() as server:
        yield server


@pytest.fixture
def channel(server: GraphServer) -> Iterator[grpc.Channel]:
    """One connection to it."""
    with connection(server) as made:
        yield made


def connection(server: GraphServer) -> grpc.Channel:
    """A connection that no other channel shares."""
    return grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture
def memory() -> Iterator[Path]:
    """A shared memory file of 64 KB."""
    path = FOLDER / f"ovms-stream-client-test-{os.getpid()}"
    path.write_bytes(bytes(SIZE))
    yield path
    path.unlink(missing_ok=True)


def call(channel: grpc.Channel, method: str, **fields: Any) -> Any:
    made = getattr(messages, f"{method}Request")(**fields)
    answer = calls.calling(channel, method_path(method))(made.SerializeToString(), timeout=20)
    return getattr(messages, f"{method}Response").FromString(answer)


def register(channel: grpc.Channel, path: Path, name: str = "frames", **fields: int) -> None:
    call(channel, "SystemSharedMemoryRegister", name=name, key=f"/{path.name}", **{"byte_size": SIZE, **fields})


def place(parameters: Any, offset: int, size: int, region: str = "frames") -> None:
    parameters["shared_memory_region"].string_param = region
    parameters["shared_memory_offset"].int64_param = offset
    parameters["shared_memory_byte_size"].int64_param = size


def infer(channel: grpc.Channel, made: Any) -> ModelInferResponse:
    return ModelInferResponse.FromString(calls.calling(channel)(made.SerializeToString(), timeout=20))


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


def refusal(channel: grpc.Channel, method: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method, **fields)
    return calls.refusal(caught.value)


def test_a_server_on_loopback_announces_shared_memory(channel: grpc.Channel) -> None:
    assert list(call(channel, "ServerMetadata").extensions) == ["system_shared_memory"]


def test_a_server_for_other_machines_does_not_offer_shared_memory() -> None:
    with graph_server(bind_address="0.0.0.0") as server, connection(server) as channel:
        assert not call(channel, "ServerMetadata").extensions
        code, _ = refusal(channel, "SystemSharedMemoryStatus")
        assert code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_picture_crosses_in_shared_memory_alone(channel: grpc.Channel, memory: Path, api: str) -> None:
    image = picture(7)
    register(channel, memory)
    made = placed_request(1, image, memory, output=image.nbytes)
    if api == "stream":
        [answer], _, _ = stream_over(channel, made)
        response = answer.infer_response
    else:
        response = infer(channel, made)
    assert not response.raw_output_contents
    assert response.outputs[0].parameters["shared_memory_byte_size"].int64_param == image.nbytes
    assert memory.read_bytes()[image.nbytes : 2 * image.nbytes] == image.tobytes()


def test_an_output_without_a_place_comes_in_its_message(channel: grpc.Channel, memory: Path) -> None:
    image = picture(3)
    register(channel, memory)
    response = infer(channel, placed_request(1, image, memory))
    assert list(response.raw_output_contents) == [image.tobytes()]


def test_an_output_larger_than_its_place_comes_in_its_message(channel: grpc.Channel, memory: Path) -> None:
    image = picture(3)
    register(channel, memory)
    made = request(1, image=image)
    place(made.outputs.add(name="output").parameters, 0, 10)
    assert list(infer(channel, made).raw_output_contents) == [image.tobytes()]


def test_status_lists_what_is_registered_until_it_is_unregistered(channel: grpc.Channel, memory: Path) -> None:
    register(channel, memory, "one", offset=16, byte_size=100)
    register(channel, memory, "two")
    regions = call(channel, "SystemSharedMemoryStatus").regions
    assert sorted(regions) == ["one", "two"]
    assert (regions["one"].key, regions["one"].offset, regions["one"].byte_size) == (f"/{memory.name}", 16, 100)
    call(channel, "SystemSharedMemoryUnregister", name="one")
    assert refusal(channel, "SystemSharedMemoryStatus", name="one")[0] is grpc.StatusCode.NOT_FOUND
    call(channel, "SystemSharedMemoryUnregister")
    assert not call(channel, "SystemSharedMemoryStatus").regions


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"key": "/does-not-exist"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": "/../../etc/passwd"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": "/a\x00b"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": "/" + "a" * 5000}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"key": "/.."}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"byte_size": SIZE + 1}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"offset": 2**63, "byte_size": 2**63}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"name": "taken"}, grpc.StatusCode.ALREADY_EXISTS),
    ],
)
def test_a_region_that_cannot_be_is_refused(
    channel: grpc.Channel, memory: Path, fields: dict[str, Any], code: grpc.StatusCode
) -> None:
    register(channel, memory, "taken")
    given = {"name": "frames", "key": f"/{memory.name}", "byte_size": SIZE, **fields}
    assert refusal(channel, "SystemSharedMemoryRegister", **given)[0] is code


@pytest.mark.parametrize(("offset", "size"), [(0, SIZE + 1), (-1, 10), (SIZE, 1), (0, -5), (2**62, 2**62)])
def test_a_place_outside_its_region_is_refused(channel: grpc.Channel, memory: Path, offset: int, size: int) -> None:
    register(channel, memory)
    made = placed_request(1, picture(0), memory)
    place(made.inputs[0].parameters, offset, size)
    with pytest.raises(grpc.RpcError) as caught:
        infer(channel, made)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined,unused-ignore]


def test_a_region_that_is_not_there_is_told_inside_the_stream(channel: grpc.Channel, memory: Path) -> None:
    image = picture(0)
    bad = placed_request(2, image, memory)
    answers, code, _ = stream_over(channel, request(1), bad, request(3))
    assert code is grpc.StatusCode.OK
    texts = [answer.error_message for answer in answers if answer.error_message]
    assert texts == ["Unable to find system shared memory region: 'frames'; validate subsequent requests"]
    assert len(answers) == 3


def test_a_file_cut_short_behind_the_servers_back_is_an_error_and_no_crash(channel: grpc.Channel, memory: Path) -> None:
    register(channel, memory)
    made = placed_request(1, picture(0), memory)
    os.truncate(memory, 0)
    with pytest.raises(grpc.RpcError, match="Invalid offset"):
        infer(channel, made)
    assert infer(channel, request(2)).outputs


def test_a_region_ends_with_its_connection(server: GraphServer, memory: Path) -> None:
    def opened() -> int:
        return sum(Path(f"/proc/self/fd/{name}").resolve() == memory for name in os.listdir("/proc/self/fd"))

    with connection(server) as channel:
        register(channel, memory)
        assert opened() == 1
    wait_until(lambda: opened() == 0)


def test_a_connection_neither_sees_nor_names_nor_ends_the_regions_of_another(
    server: GraphServer, channel: grpc.Channel, memory: Path
) -> None:
    image = picture(0)
    register(channel, memory)
    with connection(server) as other:
        assert not call(other, "SystemSharedMemoryStatus").regions
        assert refusal(other, "SystemSharedMemoryStatus", name="frames")[0] is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.RpcError, match="Unable to find system shared memory region: 'frames'"):
            infer(other, placed_request(1, image, memory))
        call(other, "SystemSharedMemoryUnregister", name="frames")
        call(other, "SystemSharedMemoryUnregister")
        register(other, memory)  # a region of its own, of the same name
        call(other, "SystemSharedMemoryUnregister", name="frames")
    assert list(infer(channel, placed_request(1, image, memory)).raw_output_contents) == [image.tobytes()]


@pytest.fixture(params=["a FIFO", "a symbolic link", "a folder", "a file of another user"])
def foreign(request: pytest.FixtureRequest, memory: Path) -> Iterator[Path]:
    """Something in the folder of shared memory that is no file of this user."""
    path = memory.with_name(memory.name + "-foreign")
    if request.param == "a FIFO":
        os.mkfifo(path)
    elif request.param == "a symbolic link":
        path.symlink_to(memory)
    elif request.param == "a folder":
        path.mkdir()
    else:
        path.write_bytes(bytes(SIZE))
        if os.geteuid():
            pytest.skip("only root can give a file to another user")
        os.chown(path, 65534, 65534)
    yield path
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_only_a_regular_file_of_the_clients_own_user_is_opened(channel: grpc.Channel, foreign: Path) -> None:
    code, text = refusal(channel, "SystemSharedMemoryRegister", name="frames", key=f"/{foreign.name}", byte_size=16)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith(f"Unable to open shared memory region: '/{foreign.name}': it ")


def test_a_file_that_its_owner_holds_back_is_refused_at_once(channel: grpc.Channel, memory: Path) -> None:
    """Opening it would wait for the lease, up to 45 seconds, and calls that wait take the place of health's."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # asks for the lease back
    try:
        with memory.open("r+b") as held:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            code, text = refusal(channel, "SystemSharedMemoryRegister", name="held", key=f"/{memory.name}", byte_size=1)
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    finally:
        signal.signal(signal.SIGIO, before)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text == f"Unable to open shared memory region: '/{memory.name}'"
    register(channel, memory)


SEALED = "frames"
"""The name of a region, and of its file."""


@contextmanager
def sealed_memory(name: str) -> Iterator[IO[bytes]]:
    """Memory of 64 KB that cannot be shortened, and whose file has no name in a folder."""
    with os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b") as file:
        file.truncate(SIZE)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        yield file


@pytest.fixture
def sealed() -> Iterator[IO[bytes]]:
    with sealed_memory(SEALED) as file:
        yield file


def key_of(file: IO[bytes]) -> str:
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


def test_a_picture_crosses_in_sealed_memory(channel: grpc.Channel, sealed: IO[bytes]) -> None:
    image = picture(7)
    call(channel, "SystemSharedMemoryRegister", name=SEALED, key=key_of(sealed), offset=16, byte_size=SIZE - 16)
    os.pwrite(sealed.fileno(), image.tobytes(), 16)
    made = request(1, image=image)
    del made.raw_input_contents[:]
    place(made.inputs[0].parameters, 0, image.nbytes)
    place(made.outputs.add(name="output").parameters, image.nbytes, image.nbytes)
    assert not infer(channel, made).raw_output_contents
    assert os.pread(sealed.fileno(), image.nbytes, 16 + image.nbytes) == image.tobytes()
    place(made.inputs[0].parameters, SIZE - 16 - image.nbytes + 1, image.nbytes)
    with pytest.raises(grpc.RpcError, match="Invalid offset"):
        infer(channel, made)


def test_what_is_read_cannot_be_written(memory: Path, sealed: IO[bytes]) -> None:
    """Nodes share packets."""
    for key in (f"/{memory.name}", key_of(sealed)):
        assert Region(SEALED, key, 0, SIZE, os.geteuid()).read(0, 16).readonly


def test_sealed_memory_of_another_user_is_not_opened(channel: grpc.Channel, sealed: IO[bytes]) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file to another user")
    os.fchown(sealed.fileno(), 65534, 65534)
    code, text = refusal(channel, "SystemSharedMemoryRegister", name=SEALED, key=key_of(sealed), byte_size=16)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text.endswith("it does not belong to the user of this connection")


def test_sealed_memory_of_another_name_is_not_opened(channel: grpc.Channel, sealed: IO[bytes]) -> None:
    code, _ = refusal(channel, "SystemSharedMemoryRegister", name="other", key=key_of(sealed), byte_size=16)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_sealed_memory_that_is_too_small_is_refused(channel: grpc.Channel, sealed: IO[bytes]) -> None:
    code, _ = refusal(channel, "SystemSharedMemoryRegister", name=SEALED, key=key_of(sealed), byte_size=SIZE + 1)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_memory_that_can_be_shortened_is_not_mapped(channel: grpc.Channel) -> None:
    with os.fdopen(os.memfd_create(SEALED, os.MFD_ALLOW_SEALING), "r+b") as file:
        file.truncate(SIZE)
        _, text = refusal(channel, "SystemSharedMemoryRegister", name=SEALED, key=key_of(file), byte_size=16)
    assert text.endswith("it can be shortened")


@pytest.mark.parametrize("kind", ["a file", "a pipe", "nothing"])
def test_only_sealed_memory_is_opened_by_its_descriptor(channel: grpc.Channel, memory: Path, kind: str) -> None:
    reading, writing = os.pipe()
    with memory.open("rb") as file, os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"):
        key = {"a file": key_of(file), "a pipe": key_of(pipe), "nothing": f"/proc/{os.getpid()}/fd/999999"}[kind]
        code, text = refusal(channel, "SystemSharedMemoryRegister", name=memory.name, key=key, byte_size=16)
    assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, f"Unable to open shared memory region: '{key}'")


def test_no_more_than_a_bound_of_a_users_memory_is_mapped(
    channel: grpc.Channel, sealed: IO[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph_server.service.shared_memory.MAX_MAPPED", SIZE)
    call(channel, "SystemSharedMemoryRegister", name=SEALED, key=key_of(sealed), byte_size=SIZE)
    with sealed_memory("more") as other:
        code, _ = refusal(channel, "SystemSharedMemoryRegister", name="more", key=key_of(other), byte_size=1)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        call(channel, "SystemSharedMemoryUnregister", name=SEALED)
        call(channel, "SystemSharedMemoryRegister", name="more", key=key_of(other), byte_size=1)


def test_one_user_has_a_limited_number_of_regions(server: GraphServer, memory: Path) -> None:
    with connection(server) as one, connection(server) as other:
        for index in range(MAX_REGIONS):
            register(one if index % 2 else other, memory, f"region {index}")
        code, text = refusal(one, "SystemSharedMemoryRegister", name="more", key=f"/{memory.name}", byte_size=16)
        assert (code, text) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "256 shared memory regions of this user are registered: unregister some",
        )


def test_inputs_in_shared_memory_are_counted_before_they_are_read(memory: Path) -> None:
    """A sparse file costs its owner nothing, and a request that names it has a few bytes."""
    size = 1 << 30
    os.truncate(memory, size)
    made = placed_request(1, picture(0), memory)
    place(made.inputs[0].parameters, 0, size)
    limits = Limits(message_bytes=2 * size, memory_bytes=size // 2)
    with graph_server(limits=limits) as server, connection(server) as channel:
        register(channel, memory, byte_size=size)
        with pytest.raises(grpc.RpcError, match="Too many bytes of inference calls are under way"):
            infer(channel, made)
        _, code, text = stream_over(channel, made)
        assert (code, text[:49]) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Too many bytes of streamed requests are under way",
        )


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
    with graph_server(limits=Limits(message_bytes=3 * image.nbytes)) as server, connection(server) as channel:
        register(channel, memory)
        made = placed_request(1, image, memory)
        for _ in range(3):
            made.inputs.append(made.inputs[0])
        with pytest.raises(grpc.RpcError, match=r"a request of \d+ bytes in shared memory; the limit is \d+"):
            infer(channel, made)
