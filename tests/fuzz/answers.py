"""Mutated answers through the client: each is made into a result, or refused with an error of ours.

    python -m tests.fuzz.answers                     100,000 answers, 200 whole runs
    python -m tests.fuzz.answers --answers 1000 --runs 5 --seed 7

The memory is that of this process, in MiB (``VmRSS``).
"""

import argparse
import logging
import os
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np

from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from kserve_wire.names import TIMESTAMP
from stream_client import RunOptions, StreamClient, StreamClientError, TransportOptions
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.landmarks.decoder import OUTPUTS, LandmarkDecoder
from stream_client.processing.pictures import Pictures
from stream_client.processing.results import OutputFinder, ResultBuilder, annotated
from stream_client.processing.small_frames import restorer
from stream_client.transport.codec import decode_stream_response
from stream_client.transport.image_format import ImageFormat
from stream_client.transport.servable import COORDINATES, Servable, TensorSpec
from tests.fuzz.attack import resident_mib
from tests.support.kserve_server import Reply, ScriptedServer, answer

NAMES = ("output", "label_scores", *OUTPUTS, "", "\x1b[2J", "e" * 5000)
DATATYPES = ("UINT8", "FP32", "FP64", "FP16", "BF16", "BOOL", "INT64", "BYTES", "INVALID", "", "FOO")
SIZES = (0, 1, 2, 3, 4, 8, 48, 64, 195, 832, 1081, 2173, -1, 2**31, 2**62, -(2**63))
SPECIAL = (0.0, 1.0, -1.0, 0.5, float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e-40)
ERRORS = ("no", "\x1b]0;x\x07", "e" * 100_000, "graph", "Mediapipe execution failed")
FRAME = np.zeros((48, 64, 3), np.uint8)
SENT = Tensor("image", "UINT8", FRAME)


class AnswerMutator:
    """Makes answers out of odd parts, and damages the bytes of some."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def message(self, timestamp: int) -> bytes:
        """A message of a stream."""
        chance = self._chance
        made = ModelStreamInferResponse()
        if chance.random() < 0.1:
            made.error_message = chance.choice(
                ("no", "\x1b]0;x\x07", "e" * 100_000, "graph", "Mediapipe execution failed")
            )
        if chance.random() < 0.95:
            made.infer_response.CopyFrom(self._response(timestamp))
        data = made.SerializeToString()
        for _ in range(chance.choice((0, 0, 0, 1, 3))):
            data = self._damaged(data)
        return data

    def _response(self, timestamp: int) -> ModelInferResponse:
        chance = self._chance
        response = ModelInferResponse(model_name="graph", id=chance.choice(("", str(timestamp), "9" * 30, "x")))
        if chance.random() < 0.9:
            response.parameters[TIMESTAMP].int64_param = chance.choice((timestamp, timestamp, timestamp, -1, 2**62))
        for _ in range(chance.choice((0, 1, 1, 2, 5))):
            self._add_output(response)
        return response

    def _add_output(self, response: ModelInferResponse) -> None:
        chance = self._chance
        name, datatype = chance.choice(NAMES), chance.choice(DATATYPES)
        match chance.randrange(5):
            case 0:  # a frame
                shape, datatype, data = [48, 64, 3], "UINT8", FRAME.tobytes()
            case 1:  # scores or landmarks
                count = chance.choice((1, 4, 832, 1081, 2173))
                values = np.array([chance.choice(SPECIAL) for _ in range(count)], "<f4")
                shape, datatype, data = [1, count], "FP32", values.tobytes()
            case 2:  # an image of floats
                shape, datatype = [16, 16, 3], "FP32"
                data = np.full(768, chance.choice(SPECIAL), "<f4").tobytes()
            case 3:
                shape = [chance.choice(SIZES) for _ in range(chance.choice((0, 1, 2, 3, 4, 70)))]
                data = chance.randbytes(chance.choice((0, 1, 3, 48, 3000)))
            case _:
                output = response.outputs.add(name=name, datatype=datatype, shape=[chance.choice(SIZES)])
                output.contents.fp32_contents.extend([chance.choice(SPECIAL)] * chance.choice((0, 1, 4)))
                return
        response.outputs.add(name=name, datatype=datatype, shape=shape)
        response.raw_output_contents.append(data)

    def _damaged(self, data: bytes) -> bytes:
        chance = self._chance
        start = chance.randint(0, min(len(data), 200) if chance.random() < 0.8 else len(data))
        end = min(len(data), start + chance.choice((1, 2, 4, 20)))
        match chance.randrange(4):
            case 0:
                return data[:start] + chance.randbytes(end - start) + data[end:]
            case 1:
                return data[:start]
            case 2:
                return data[:start] + data[start:end] * chance.randint(2, 50) + data[end:]
            case _:
                return data[:start] + b"\xff" * chance.randint(1, 12) + data[start:]


def parse_and_build(number: int, seed: int) -> Counter[str]:
    """That many answers, each parsed and made into a result. What is no error of ours is raised."""
    mutator = AnswerMutator(seed)
    specs = tuple(TensorSpec(name, "", ()) for name in ("output", "label_scores", *OUTPUTS))
    servable = Servable("graph", "OpenVINO", (TensorSpec("image", "", ()), TensorSpec(COORDINATES, "", ())), specs)
    outcomes: Counter[str] = Counter()
    builder = None
    for index in range(number):
        if builder is None or index % 50 == 0:
            builder = ResultBuilder(
                roles=OutputFinder(servable, None, None),
                restore=restorer(ImageFormat("image"), None),
                sent_size=ImageFormat("image").sent_size,
                returned_planes=ImageFormat("image").returned_planes,
                pictures=Pictures(),
                label_names=("a", "b"),
                start=0,
                decoder=LandmarkDecoder(),
            )
        try:
            message = decode_stream_response(mutator.message(index), "graph")
            if message.response is not None:
                frame = Frame(index, index * 40_000, FRAME, 0.0)
                annotated(builder.build(frame, SENT, message.response.outputs, Stamps(0.0)))
        except StreamClientError as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["taken"] += 1
    return outcomes


def whole_runs(number: int, seed: int) -> Counter[str]:
    """That many runs, in which some answers are mutated. Each ledger has to add up."""
    outcomes: Counter[str] = Counter()
    with ScriptedServer() as server:
        for index in range(number):
            mutator, chance = AnswerMutator(seed + index), random.Random(seed + index)

            def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
                odd = chance.random() < 0.1  # noqa: B023
                timestamp = request.parameters[TIMESTAMP].int64_param
                yield mutator.message(timestamp) if odd else answer(request, "output")  # noqa: B023

            server.script = script
            options = RunOptions(request_timeout=0.5, on_server_loss="fail")
            transport = TransportOptions(server.address, model_name="graph")
            client = StreamClient((FRAME for _ in range(40)), [lambda result: None], transport, options=options)
            try:
                client.run()
                outcomes["to the end"] += 1
            except StreamClientError as error:
                outcomes[type(error).__name__] += 1
            assert client.summary is not None
            client.summary.ledger.check()
    return outcomes


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("error")
    logging.disable()
    started = time.monotonic()
    outcomes: Counter[str] = Counter()
    memory: list[float] = []
    for index in range(10):
        outcomes += parse_and_build(options.answers // 10, options.seed + index)
        memory.append(resident_mib(os.getpid()))
        print(
            f"{sum(outcomes.values()):>7} answers  {memory[-1]:7.1f} MiB  {time.monotonic() - started:5.0f} s",
            flush=True,
        )
    print(f"answers: {dict(outcomes.most_common())}")
    print(f"runs: {dict(whole_runs(options.runs, options.seed).most_common())}")
    print(f"memory after the first tenth {memory[0]:.1f} MiB, at the end {resident_mib(os.getpid()):.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
