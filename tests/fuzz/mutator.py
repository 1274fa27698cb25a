"""Requests that clients sent, and mutations of them: the same seed, the same requests.

Bytes are changed, cut, inserted, repeated and spliced, and the fields of messages set to what nobody expects.
"""

import base64
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from kserve_wire.messages import ModelInferRequest
from tests.conftest import ROOT

RECORDED = ROOT / "tests" / "data" / "recorded_requests.json"
"""What ``record.py`` wrote."""
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
        message = ModelInferRequest.FromString(data)
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
        return message.SerializeToString()

    def _change_parameter(self, message: ModelInferRequest) -> None:
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

    def _change_input(self, message: ModelInferRequest) -> None:
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
