"""The programs of ``test_two_users.py``: a server, a client that checks its frames, and a thief."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from kserve_wire import messages
from kserve_wire.names import method_path
from stream_client import Result, StreamClient, TransportOptions
from stream_client.transport.shared_memory import SharedMemory
from tests.support.calls import calling
from tests.support.graph_server import graph_server

SIDE = 300


def run_server() -> None:
    """Print the address, and serve until standard input ends."""
    with graph_server() as server:
        print(server.address, flush=True)
        sys.stdin.read()


def run_client(address: str, count: str) -> None:
    """Print the name of a region, send frames for a few seconds, and print how many were right."""
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(int(count))]
    kept: list[Result] = []
    shared = []
    new, view = SharedMemory._new, SharedMemory.view

    def named(memory: SharedMemory, size: int, number: int) -> Any:
        slots = new(memory, size, number)
        print("none" if slots is None else slots.name, flush=True)
        setattr(SharedMemory, "_new", new)  # noqa: B010
        return slots

    def counted(memory: SharedMemory, timestamp: int | None, name: str, place: Any) -> memoryview:
        shared.append(place)
        return view(memory, timestamp, name, place)

    setattr(SharedMemory, "_new", named)  # noqa: B010 - methods of a class
    setattr(SharedMemory, "view", counted)  # noqa: B010

    def frames() -> Iterator[npt.NDArray[np.uint8]]:
        for image in images:
            yield image
            time.sleep(0.03)

    StreamClient(frames(), kept.append, TransportOptions(address, model_name="passThrough")).run()
    right = sum(np.array_equal(result.image, image) for result, image in zip(kept, images, strict=False))
    print(json.dumps({"delivered": len(kept), "right": right, "shared": bool(shared)}), flush=True)


def run_thief(address: str, region: str, secret: str) -> None:
    """Try to reach ``region``, which is another user's, and to have the server open the file ``secret``."""
    found: dict[str, Any] = {"read": False, "opened": False}
    with grpc.insecure_channel(address) as channel:

        def call(method: str, **fields: Any) -> Any:
            made = getattr(messages, f"{method}Request")(**fields)
            answer = calling(channel, method_path(method))(made.SerializeToString(), timeout=20)
            return getattr(messages, f"{method}Response").FromString(answer)

        found["listed"] = sorted(call("SystemSharedMemoryStatus").regions)
        made = messages.ModelInferRequest(model_name="passThrough")
        made.inputs.add(name="image", datatype="UINT8", shape=[SIDE, SIDE, 3])
        made.inputs[0].parameters["shared_memory_region"].string_param = region
        made.inputs[0].parameters["shared_memory_byte_size"].int64_param = SIDE * SIDE * 3
        try:
            calling(channel)(made.SerializeToString(), timeout=20)
            found["read"] = True
        except grpc.RpcError:
            pass
        try:
            call("SystemSharedMemoryRegister", name=region, key=f"/{secret}", byte_size=1 << 16)
            found["opened"] = True
        except grpc.RpcError:
            pass
        call("SystemSharedMemoryUnregister", name=region)
        call("SystemSharedMemoryUnregister")
        found["unregistered"] = not call("SystemSharedMemoryStatus").regions
    print(json.dumps(found), flush=True)
