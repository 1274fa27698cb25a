"""Record what real clients send: tritonclient, and our own."""

import base64
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import grpc
import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton
from tritonclient.utils import np_to_triton_dtype

from tests.conftest import ROOT
from tests.fuzz.mutator import RECORDED, Recorded
from tests.support.calls import refusal, streaming
from tests.support.graph_server import CONFORMANCE, graph_server_process


class Relay(grpc.GenericRpcHandler):  # type: ignore[misc,unused-ignore]
    """Passes calls on to a server and keeps the requests."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.requests: list[Recorded] = []

    def service(self, handler_call_details: Any) -> Any:
        """A handler for any method: to bytes, a unary call is a stream of one."""
        method = handler_call_details.method

        def forward(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            def kept() -> Iterator[bytes]:
                for data in requests:
                    self.requests.append(Recorded(method.rpartition("/")[2], data))
                    yield data

            try:
                yield from streaming(self._channel, method)(kept())
            except grpc.RpcError as error:
                context.abort(*refusal(error))

        return grpc.stream_stream_rpc_method_handler(forward)


def record() -> None:
    """Write down what tritonclient and our client send to the graphs, a few frames each."""
    with graph_server_process(*CONFORMANCE) as server, grpc.insecure_channel(server.address) as channel:
        relay = Relay(channel)
        front = grpc.server(ThreadPoolExecutor(8), handlers=[relay])
        port = front.add_insecure_port("127.0.0.1:0")
        front.start()
        use_tritonclient(f"127.0.0.1:{port}")
        use_our_client(f"127.0.0.1:{port}")
        front.stop(1).wait()
    different = {(item.method, item.data): item for item in relay.requests}
    content = [{"method": item.method, "data": base64.b64encode(item.data).decode()} for item in different.values()]
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
    print(f"{len(content)} requests: {dict(Counter(item.method for item in different.values()))}")


def use_tritonclient(address: str) -> None:
    """The control plane, unary calls and a stream."""
    chance = np.random.default_rng(0)
    image = chance.integers(0, 255, (32, 48, 3), np.uint8)
    inputs: dict[str, dict[str, npt.NDArray[Any]]] = {
        "passThrough": {"image": image},
        "holisticTracking": {"first_input_video": image},
        "holisticClassifier": {"first_input_video": image},
        "oneModel": {"pose_landmarks": chance.random((1, 195), np.float32)},
        "pose_classifier": {"pose_landmarks": chance.random((1, 195), np.float32)},
        "tensor": {"in": chance.random((2, 3))},
        "mediapipeTensor": {"in": chance.random((2, 3), np.float32)},
        "twoInputs": {"first": chance.random(4, np.float32), "second": chance.integers(0, 9, 3)},
    }
    with triton.InferenceServerClient(address) as client:
        client.is_server_live()
        client.is_server_ready()
        client.get_server_metadata()
        for name, values in inputs.items():
            client.is_model_ready(name)
            client.get_model_metadata(name)
            tensors = []
            for key, value in values.items():
                tensor = triton.InferInput(key, value.shape, str(np_to_triton_dtype(value.dtype)))
                tensor.set_data_from_numpy(value)
                tensors.append(tensor)
            client.infer(name, tensors, request_id="1")
            if name == "pose_classifier":
                continue
            client.start_stream(lambda result, error: None)
            for timestamp in range(3):
                client.async_stream_infer(name, tensors, parameters={"OVMS_MP_TIMESTAMP": timestamp * 33_333})
            client.stop_stream()


def use_our_client(address: str) -> None:
    """A stream and unary calls of a clip."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        with av.open(str(clip), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for level in (0, 100, 200):
                frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), level, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        for arguments in (
            ["--model_name", "passThrough"],
            ["--model_name", "passThrough", "--api", "unary"],
            ["--model_name", "holisticClassifier"],
        ):
            command = [sys.executable, str(ROOT / "client" / "client.py"), "--grpc_address", address]
            command += ["--input_stream", str(clip), "--output_stream", "none", *arguments]
            subprocess.run(command, check=True)
