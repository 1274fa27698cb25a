"""tritonclient over HTTP, in its two ways: `triton_http.py CASE GRPC_ADDRESS REST_ADDRESS`."""

import asyncio
from typing import Any

import numpy as np
import tritonclient.http as httpclient
import tritonclient.http.aio as aioclient

from tests.e2e.clients.cases import COLORS, FRAME, run


def given(name: str, value: np.ndarray[Any, Any], datatype: str, *, binary: bool = True) -> Any:
    made = httpclient.InferInput(name, value.shape, datatype)
    made.set_data_from_numpy(value, binary_data=binary)
    return made


def blocking(grpc: str, rest: str) -> None:
    with httpclient.InferenceServerClient(rest) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("passThrough")
        assert client.get_server_metadata()["name"]
        assert client.get_model_metadata("colors")["inputs"][0]["shape"] == [1, 8, 8, 3]
        graph = client.infer("passThrough", [given("image", FRAME, "UINT8")])
        assert np.array_equal(graph.as_numpy("output"), FRAME)
        for binary in (True, False):
            wanted = httpclient.InferRequestedOutput("scores", binary_data=binary)
            image = given("image", COLORS, "FP32", binary=binary)
            model = client.infer("colors", [image], outputs=[wanted])
            assert np.allclose(model.as_numpy("scores"), [[1, 2, 3]])


def asynchronous(grpc: str, rest: str) -> None:
    async def calls() -> None:
        async with aioclient.InferenceServerClient(rest) as client:
            assert await client.is_model_ready("colors")
            graph, model = await asyncio.gather(
                client.infer("passThrough", [given("image", FRAME, "UINT8")]),
                client.infer("colors", [given("image", COLORS, "FP32")]),
            )
            assert np.array_equal(graph.as_numpy("output"), FRAME)
            assert np.allclose(model.as_numpy("scores"), [[1, 2, 3]])

    asyncio.run(calls())


if __name__ == "__main__":
    run(blocking, asynchronous)
