"""tritonclient over gRPC, in its two ways: `triton_grpc.py CASE GRPC_ADDRESS REST_ADDRESS`."""

import asyncio
import os
import queue
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as aioclient
from tritonclient.utils import shared_memory

from tests.e2e.clients.cases import COLORS, FRAME, run

TIMESTAMP = "OVMS_MP_TIMESTAMP"


def given(name: str, value: np.ndarray[Any, Any], datatype: str) -> Any:
    made = grpcclient.InferInput(name, value.shape, datatype)
    made.set_data_from_numpy(value)
    return made


def blocking(grpc: str, rest: str) -> None:
    with grpcclient.InferenceServerClient(grpc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("colors")
        graph = client.infer("passThrough", [given("image", FRAME, "UINT8")])
        assert np.array_equal(graph.as_numpy("output"), FRAME)
        model = client.infer("colors", [given("image", COLORS, "FP32")])
        assert np.allclose(model.as_numpy("scores"), [[1, 2, 3]])


def streaming(grpc: str, rest: str) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    with grpcclient.InferenceServerClient(grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for timestamp in range(5):
            image = given("image", FRAME + timestamp, "UINT8")
            client.async_stream_infer("passThrough", [image], parameters={TIMESTAMP: timestamp})
        for timestamp in range(5):
            result, error = answers.get(timeout=20)
            assert error is None, error
            assert np.array_equal(result.as_numpy("output"), FRAME + timestamp)
        client.stop_stream()


def demo(grpc: str, rest: str) -> None:
    """The calls that the helper of OVMS's demos makes, with and without streaming, and no timestamp of its own."""
    answers: queue.Queue[Any] = queue.Queue()
    with grpcclient.InferenceServerClient(url=grpc, verbose=False) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer(model_name="passThrough", inputs=[given("image", FRAME, "UINT8")])
        result, error = answers.get(timeout=20)
        assert error is None, error
        assert result.get_response().parameters[TIMESTAMP].int64_param >= 0
        client.stop_stream()
        client.async_infer(
            model_name="colors",
            callback=lambda result, error: answers.put((result, error)),
            inputs=[given("image", COLORS, "FP32")],
        )
        result, error = answers.get(timeout=20)
        assert error is None, error
        assert result.as_numpy("scores").shape == (1, 3)


def asynchronous(grpc: str, rest: str) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for timestamp in range(5):
            image = given("image", FRAME + timestamp, "UINT8")
            yield {"model_name": "passThrough", "inputs": [image], "parameters": {TIMESTAMP: timestamp}}

    async def calls() -> None:
        async with aioclient.InferenceServerClient(grpc) as client:
            assert await client.is_model_ready("passThrough")
            graph, model = await asyncio.gather(
                client.infer("passThrough", [given("image", FRAME, "UINT8")]),
                client.infer("colors", [given("image", COLORS, "FP32")]),
            )
            assert np.array_equal(graph.as_numpy("output"), FRAME)
            assert np.allclose(model.as_numpy("scores"), [[1, 2, 3]])
            seen = 0
            async for result, error in client.stream_infer(requests()):
                assert error is None, error
                assert np.array_equal(result.as_numpy("output"), FRAME + seen)
                seen += 1
            assert seen == 5

    asyncio.run(calls())


def memory(grpc: str, rest: str) -> None:
    key = f"/triton-client-{os.getpid()}"
    region = shared_memory.create_shared_memory_region("frames", key, 2 * FRAME.nbytes)
    try:
        shared_memory.set_shared_memory_region(region, [FRAME])
        with grpcclient.InferenceServerClient(grpc) as client:
            client.register_system_shared_memory("frames", key, 2 * FRAME.nbytes)
            assert "frames" in client.get_system_shared_memory_status(as_json=True)["regions"]
            image = grpcclient.InferInput("image", FRAME.shape, "UINT8")
            image.set_shared_memory("frames", FRAME.nbytes)
            wanted = grpcclient.InferRequestedOutput("output")
            wanted.set_shared_memory("frames", FRAME.nbytes, offset=FRAME.nbytes)
            client.infer("passThrough", [image], outputs=[wanted])
            client.unregister_system_shared_memory("frames")
        back = shared_memory.get_contents_as_numpy(region, np.uint8, FRAME.shape, offset=FRAME.nbytes)
        assert np.array_equal(back, FRAME)
    finally:
        shared_memory.destroy_shared_memory_region(region)


if __name__ == "__main__":
    run(blocking, streaming, demo, asynchronous, memory)
