"""Mutated requests and broken connections against the graph server: no crash, no leak, the next client is served.

    python tools/fuzz_graph_server.py                      100,000 requests, 200 connections, a server of its own
    python tools/fuzz_graph_server.py --requests 1000 --seed 7
    python tools/fuzz_graph_server.py --record             write the recorded requests anew

Requests are mutations of recorded ones (``tests/data/recorded_requests.json``, from tritonclient and our client):
bytes are changed, cut, inserted, repeated and spliced, and the fields of messages set to what nobody expects. The
memory of the server is that of its process, in MiB (``VmRSS``).
"""

import argparse
import base64
import contextlib
import json
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from graph_server.service.messages import message_class

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "tests" / "data" / "recorded_requests.json"
CONFIG = ROOT / "tests" / "conformance" / "config.json"
SERVICE = "/inference.GRPCInferenceService/"
_DEADLINE = 30.0
_ODD_NUMBERS = (0, 1, -1, 2, 3, 4, 7, 16, 63, 64, 255, 65536, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63))
_ODD_TEXTS = ("", "x", "image", "in", "first_input_video", "pose_landmarks", "first", "\x00", "ä" * 50, "9" * 30, "py")
_DATATYPES = ("UINT8", "INT8", "UINT16", "INT64", "FP16", "FP32", "FP64", "BOOL", "BYTES", "", "uint8")
_PARAMETERS = ("OVMS_MP_TIMESTAMP", "needed", "py", "llm", "sequence_id", "")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as a client sent it."""

    method: str
    data: bytes


def recorded_requests() -> list[Recorded]:
    """What was recorded."""
    content = json.loads(RECORDED.read_text(encoding="utf-8"))
    return [Recorded(item["method"], base64.b64decode(item["data"])) for item in content]


class Mutator:
    """Makes calls out of recorded requests: the same seed, the same calls."""

    def __init__(self, recorded: Sequence[Recorded], seed: int) -> None:
        self._random = random.Random(seed)
        self._recorded = recorded
        self._graphs = ("passThrough", "tensor", "mediapipeTensor", "twoInputs", "sidePacket", "oneModel", "broken")

    def call(self) -> tuple[str, list[bytes]]:
        """A method and its requests; several for a stream."""
        chance = self._random
        item = chance.choice(self._recorded)
        number = chance.randint(1, 8) if item.method == "ModelStreamInfer" else 1
        requests = [self.mutate(item if index == 0 else self._like(item)) for index in range(number)]
        method = item.method if chance.random() > 0.02 else chance.choice(("ServerLive", "Nothing", "ModelInfer"))
        return method, requests

    def mutate(self, item: Recorded) -> bytes:
        """One request, changed."""
        data = item.data
        if item.method.endswith("Infer") and self._random.random() < 0.7:
            data = self._restructured(data)
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 5))):
            data = self._damaged(data)
        return data

    def _like(self, item: Recorded) -> Recorded:
        return self._random.choice([other for other in self._recorded if other.method == item.method])

    def _damaged(self, data: bytes) -> bytes:
        chance = self._random
        # The head of a message is where its structure is.
        size = min(len(data), 200) if chance.random() < 0.8 else len(data)
        start = chance.randint(0, size)
        end = min(len(data), start + chance.choice((1, 2, 4, 20)))
        match chance.randrange(6):
            case 0:
                return data[:start] + bytes(chance.randrange(256) for _ in range(end - start)) + data[end:]
            case 1:
                return data[:start]
            case 2:
                return data[:start] + data[end:]
            case 3:
                return data[:start] + data[start:end] * chance.randint(2, 50) + data[end:]
            case 4:
                other = chance.choice(self._recorded).data
                return data[:start] + other[chance.randint(0, len(other)) :]
            case _:
                return data[:start] + b"\xff" * chance.randint(1, 12) + data[start:]

    def _restructured(self, data: bytes) -> bytes:
        chance = self._random
        message = message_class("ModelInferRequest").FromString(data)
        for _ in range(chance.randint(1, 3)):
            match chance.randrange(9):
                case 0:
                    message.model_name = chance.choice((*self._graphs, *_ODD_TEXTS, "pose_classifier"))
                case 1:
                    message.model_version = chance.choice(("", "0", "1", "2", "x", *_ODD_TEXTS))
                case 2:
                    self._change_parameter(message)
                case 3:
                    del message.raw_input_contents[:]
                case 4:
                    message.raw_input_contents.append(chance.randbytes(chance.choice((0, 1, 780, 3000))))
                case _:
                    self._change_input(message)
        return bytes(message.SerializeToString())

    def _change_parameter(self, message: Any) -> None:
        chance = self._random
        parameter = message.parameters[chance.choice(_PARAMETERS)]
        match chance.randrange(4):
            case 0:
                parameter.int64_param = chance.choice((*_ODD_NUMBERS, chance.randrange(10**6)))
            case 1:
                parameter.string_param = chance.choice(_ODD_TEXTS)
            case 2:
                parameter.bool_param = True
            case _:
                parameter.SetInParent()

    def _change_input(self, message: Any) -> None:
        chance = self._random
        if not message.inputs or chance.random() < 0.1:
            message.inputs.add(name=chance.choice(_ODD_TEXTS), datatype="UINT8", shape=[1])
            return
        item = chance.choice(message.inputs)
        match chance.randrange(6):
            case 0:
                item.name = chance.choice(_ODD_TEXTS)
            case 1:
                item.datatype = chance.choice(_DATATYPES)
            case 2 if item.shape:
                item.shape[chance.randrange(len(item.shape))] = chance.choice(_ODD_NUMBERS)
            case 3:
                item.shape.extend([chance.choice(_ODD_NUMBERS)] * chance.choice((1, 1, 70)))
            case 4:
                # The same number of bytes in another form reaches the graph.
                count = chance.choice((1, 3, 195))
                del item.shape[:]
                item.shape.extend([1, 1, count][chance.randrange(3) :])
                item.contents.fp32_contents.extend([chance.choice((0.0, -1.0, float("nan"), 1e38))] * count)
                del message.raw_input_contents[:]
            case _:
                if message.raw_input_contents:
                    pixels = max(1, len(message.raw_input_contents[0]) // 3)
                    del item.shape[:]
                    item.shape.extend(chance.choice(([1, pixels, 3], [pixels, 1, 3], [pixels, 3, 1], [3, 1, pixels])))


@dataclass(slots=True)
class Report:
    """What came back: the number of calls that ended with each status, and what must not happen."""

    codes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, error: grpc.RpcError | None) -> None:
        """Count a call; an exception in the server's code and a deadline are faults."""
        code = grpc.StatusCode.OK if error is None else error.code()
        details = "" if error is None else error.details() or ""
        self.codes[code.name] += 1
        lost = code is grpc.StatusCode.UNAVAILABLE and details != "Mediapipe is not loaded yet"
        if lost or code is grpc.StatusCode.DEADLINE_EXCEEDED or "Exception" in details:
            self.faults.append(f"{code.name}: {details[:300]}")


def fuzz(address: str, number: int, seed: int, report: Report) -> None:
    """Make that many requests over one connection."""
    mutator = Mutator(recorded_requests(), seed)
    made = 0
    with grpc.insecure_channel(address) as channel:
        while made < number and len(report.faults) < 20:
            method, requests = mutator.call()
            made += len(requests)
            try:
                if method == "ModelStreamInfer":
                    for _ in channel.stream_stream(SERVICE + method)(iter(requests), timeout=_DEADLINE):
                        pass
                else:
                    channel.unary_unary(SERVICE + method)(requests[0], timeout=_DEADLINE)
            except grpc.RpcError as error:
                report.add(error)
            else:
                report.add(None)


def fuzz_in_parallel(address: str, number: int, seed: int, workers: int = 2) -> Report:
    """The same over several connections."""
    report = Report()
    threads = [
        threading.Thread(target=fuzz, args=(address, number // workers, seed * 1000 + worker, report))
        for worker in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return report


def echo(timestamp: int = 1) -> bytes:
    """A sound request for the pass-through graph."""
    made = message_class("ModelInferRequest")(model_name="passThrough")
    made.inputs.add(name="image", datatype="UINT8", shape=[48, 64, 3])
    made.raw_input_contents.append(bytes(48 * 64 * 3))
    made.parameters["OVMS_MP_TIMESTAMP"].int64_param = timestamp
    return bytes(made.SerializeToString())


def is_served(address: str, frames: int = 5) -> bool:
    """Whether a new client's session is answered wholly."""
    with grpc.insecure_channel(address) as channel:
        requests = iter([echo(timestamp) for timestamp in range(frames)])
        answers = channel.stream_stream(SERVICE + "ModelStreamInfer")(requests, timeout=_DEADLINE)
        return sum(1 for _ in answers) == frames


def session_bytes(address: str) -> bytes:
    """All bytes that a client sends over TCP in a session of 20 frames."""
    host, _, port = address.rpartition(":")
    sent = bytearray()

    def pump(source: socket.socket, target: socket.socket, into: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if into is not None:
                    into += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        with grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}") as channel:
            requests = iter([echo(timestamp) for timestamp in range(20)])
            call = channel.stream_stream(SERVICE + "ModelStreamInfer")(requests, timeout=_DEADLINE)
            client, _ = listener.accept()
            server = socket.create_connection((host, int(port)))
            threads = [
                threading.Thread(target=pump, args=(client, server, sent)),
                threading.Thread(target=pump, args=(server, client, None)),
            ]
            for thread in threads:
                thread.start()
            for _ in call:
                pass
        for thread in threads:
            thread.join()
        client.close()
        server.close()
    return bytes(sent)


def break_off(address: str, number: int, seed: int) -> None:
    """Open connections that send the start of a session and end: every other one with a reset."""
    host, _, port = address.rpartition(":")
    chance = random.Random(seed)
    whole = session_bytes(address)
    for index in range(number):
        with socket.create_connection((host, int(port))) as connection:
            if index % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                connection.sendall(whole[: chance.randint(0, len(whole))])
                connection.settimeout(chance.choice((0.001, 0.01)))
                connection.recv(65536)


def resident_mib(pid: int) -> float:
    """The memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"process {pid} has no memory")


@contextlib.contextmanager
def server() -> Iterator[tuple[str, int]]:
    """A graph server in a process of its own: address and process id."""
    command = [sys.executable, "-m", "graph_server", "--config_path", str(CONFIG), "--port", "0", "--exit_with_stdin"]
    command += ["--log_level", "WARNING"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["grpc"], process.pid
        process.communicate(timeout=60)
        if process.returncode:
            raise SystemExit(f"the server ended with {process.returncode}")


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
                yield from self._channel.stream_stream(method)(kept())
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.stream_stream_rpc_method_handler(forward)


def record() -> None:
    """Write down what tritonclient and our client send to the graphs, a few frames each."""
    with server() as (address, _), grpc.insecure_channel(address) as channel:
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
    import numpy as np
    import tritonclient.grpc as triton

    chance = np.random.default_rng(0)
    image = chance.integers(0, 255, (32, 48, 3), np.uint8)
    inputs = {
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
                tensor = triton.InferInput(key, value.shape, triton_datatype(value.dtype))
                tensor.set_data_from_numpy(value)
                tensors.append(tensor)
            client.infer(name, tensors, request_id="1")
            if name == "pose_classifier":
                continue
            client.start_stream(lambda result, error: None)
            for timestamp in range(3):
                client.async_stream_infer(name, tensors, parameters={"OVMS_MP_TIMESTAMP": timestamp * 33_333})
            client.stop_stream()


def triton_datatype(dtype: Any) -> str:
    """KServe's name of a NumPy datatype."""
    from tritonclient.utils import np_to_triton_dtype

    return str(np_to_triton_dtype(dtype))


def use_our_client(address: str) -> None:
    """A stream and unary calls of a clip."""
    import av
    import numpy as np

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


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="record requests of real clients instead")
    options = parser.parse_args()
    if options.record:
        record()
        return 0
    started = time.monotonic()
    codes: Counter[str] = Counter()
    faults: list[str] = []
    before = 0.0
    with server() as (address, pid):
        rounds = 10
        break_off(address, 10, options.seed)
        for index in range(rounds):
            report = fuzz_in_parallel(address, options.requests // rounds, options.seed + index)
            codes += report.codes
            faults += report.faults
            memory = resident_mib(pid)
            before = before or memory
            done = (index + 1) * (options.requests // rounds)
            print(f"{done:>7} requests  {memory:7.1f} MiB  {time.monotonic() - started:5.0f} s", flush=True)
        break_off(address, options.connections, options.seed)
        after = resident_mib(pid)
        served = is_served(address)
    print(f"calls by status: {dict(codes.most_common())}")
    print(f"{options.connections} connections broke off; the next client is {'served' if served else 'NOT served'}")
    print(f"memory after the first tenth {before:.1f} MiB, at the end {after:.1f} MiB")
    for fault in faults[:10]:
        print(f"FAULT {fault}")
    return 1 if faults or not served else 0


if __name__ == "__main__":
    sys.exit(main())
