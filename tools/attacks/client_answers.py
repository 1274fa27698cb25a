"""A model server that answers what nobody should."""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import numpy as np

from kserve_wire.messages import ModelInferRequest, ModelInferResponse
from kserve_wire.names import TIMESTAMP
from tests.support.kserve_server import Reply, Script, ScriptedServer, answer
from tools.attacks.attacked_client import AttackedClient, attacked_client, clip, figures, under_attack
from tools.attacks.base import Attack, Figure

_CHANCE = random.Random(3)


def _made(request: ModelInferRequest, shape: Sequence[int], data: bytes, datatype: str = "UINT8") -> ModelInferResponse:
    response = answer(request)
    response.outputs.add(name="output", datatype=datatype, shape=shape)
    response.raw_output_contents.append(data)
    return response


def _each(make: Callable[[ModelInferRequest], Reply]) -> Script:
    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        yield make(request)

    return script


def _floats(request: ModelInferRequest) -> ModelInferResponse:
    return _made(request, [64, 64, 3], np.full((64, 64, 3), np.nan).tobytes(), "FP64")


def _scores(request: ModelInferRequest, values: list[float]) -> ModelInferResponse:
    response = answer(request, "output")
    response.outputs.add(name="label_scores", datatype="FP64", shape=[len(values)])
    response.raw_output_contents.append(np.array(values, "<f8").tobytes())
    return response


def _endless(request: ModelInferRequest, number: int) -> Iterator[Reply]:
    while True:
        yield answer(request, "output", timestamp=request.parameters[TIMESTAMP].int64_param + 10**9)


def _sizes(request: ModelInferRequest, number: int) -> Iterator[Reply]:
    side = 400 - 8 * (number % 40)
    yield _made(request, [side, side, 3], bytes(3 * side * side))


SCRIPTS: dict[str, Script] = {
    "garbage": _each(lambda request: _CHANCE.randbytes(200)),
    "empty messages": _each(lambda request: b""),
    "nothing": lambda request, number: iter(()),
    "another timestamp": _each(lambda request: answer(request, "output", timestamp=-(2**63))),
    "too many answers": _endless,
    "60,000 dimensions": _each(lambda request: _made(request, [2**62] * 60_000, b"x")),
    "a negative dimension": _each(lambda request: _made(request, [-1, 5, 3], bytes(15))),
    "a million texts": _each(lambda request: _made(request, [2**20 + 1], bytes(4 * (2**20 + 1)), "BYTES")),
    "escape sequences": _each(lambda request: "\x1b]0;pwned\x07\x1b[2J\x1b[31mred"),
    "an error of 3 MB": _each(lambda request: "e" * 3_000_000),
    "scores that are no numbers": _each(lambda request: _scores(request, [float("nan"), float("inf"), -1e308])),
    "scores of any size": _each(lambda request: _scores(request, [1.7e308, -1.7e308])),
    "floats that are no numbers": _each(
        lambda request: _made(request, [64, 64, 3], np.full(12_288, np.nan).tobytes(), "FP64")
    ),
    "another size each time": _sizes,
    "an internal error": _each(lambda request: (grpc.StatusCode.INTERNAL, "boom")),
    "unavailable": _each(lambda request: (grpc.StatusCode.UNAVAILABLE, "gone")),
}
_SHORT = ("60,000 dimensions", "an error of 3 MB", "escape sequences", "scores that are no numbers", "too many answers")


def answers(short: bool) -> Sequence[Figure]:
    """A run with each of the scripts, ended after some seconds."""
    clients: list[AttackedClient] = []
    with tempfile.TemporaryDirectory() as folder:
        video = clip(Path(folder))
        for name in _SHORT if short else SCRIPTS:
            with ScriptedServer() as server:
                server.script = SCRIPTS[name]
                server.outputs = ["output", "label_scores"] if name.startswith("scores") else ["output"]
                flags = ("--grpc_address", server.address, "--model_name", "graph", "--request_timeout", "1")
                output = ("--output_stream", f"{folder}/out.mp4")
                with attacked_client(*flags, "--input_stream", video, *output) as client:
                    under_attack(client, lambda: bool(server.requests), 2 if short else 8)
                clients.append(client)
        return figures(clients)


ATTACKS = (Attack("answers that nobody should give", "client", answers),)
