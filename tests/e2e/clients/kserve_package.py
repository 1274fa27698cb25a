"""The clients of the package kserve: `kserve_package.py CASE GRPC_ADDRESS REST_ADDRESS`."""

import asyncio
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

from tests.e2e.clients.cases import COLORS, FRAME, run


def request(model: str, value: np.ndarray[Any, Any], datatype: str, *, binary: bool) -> Any:
    image = InferInput("image", list(value.shape), datatype)
    image.set_data_from_numpy(value, binary_data=binary)
    return InferRequest(model, [image])


def over_grpc(grpc: str, rest: str) -> None:
    async def calls() -> None:
        async with InferenceGRPCClient(grpc) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("passThrough")
            graph = await client.infer(request("passThrough", FRAME, "UINT8", binary=True))
            assert np.array_equal(graph.outputs[0].as_numpy(), FRAME)
            for binary in (True, False):
                model = await client.infer(request("colors", COLORS, "FP32", binary=binary))
                assert np.allclose(model.outputs[0].as_numpy(), [[1, 2, 3]])

    asyncio.run(calls())


def over_rest(grpc: str, rest: str) -> None:
    async def calls() -> None:
        url = f"http://{rest}"
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            assert await client.is_model_ready(url, "passThrough")
            graph = await client.infer(url, request("passThrough", FRAME, "UINT8", binary=True), "passThrough")
            assert np.array_equal(graph.outputs[0].as_numpy(), FRAME)
            for binary in (True, False):
                model = await client.infer(url, request("colors", COLORS, "FP32", binary=binary), "colors")
                assert np.allclose(model.outputs[0].as_numpy(), [[1, 2, 3]])

    asyncio.run(calls())


if __name__ == "__main__":
    run(over_grpc, over_rest)
