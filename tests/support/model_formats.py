"""Small models in formats of frameworks that are not installed, written field by field as protobuf."""

from collections.abc import Sequence
from pathlib import Path

Message = Sequence["tuple[int, int | str | bytes | Message]"]
"""Fields of a message: number and value."""

_FLOAT = 1  # TensorFlow's DT_FLOAT
_FP32, _LOD_TENSOR, _FEED, _FETCH = 5, 7, 9, 10  # Paddle's VarType


def encoded(message: Message) -> bytes:
    """A message on the wire."""
    out = bytearray()
    for number, value in message:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value & (2**64 - 1))
        else:
            data = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else encoded(value)
            out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return bytes(out)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def write_saved_model(folder: Path) -> None:
    """A TensorFlow SavedModel: ``y`` is the positive part of ``x``, [1, 2]."""
    shape: Message = [(2, [(1, 1)]), (2, [(1, 2)])]
    kind: Message = [(1, "dtype"), (2, [(6, _FLOAT)])]
    placeholder: Message = [(1, "x"), (2, "Placeholder"), (5, kind), (5, [(1, "shape"), (2, [(7, shape)])])]
    relu: Message = [(1, "y"), (2, "Relu"), (3, "x"), (5, [(1, "T"), (2, [(6, _FLOAT)])])]
    graph: Message = [(1, placeholder), (1, relu)]
    signature: Message = [
        (1, [(1, "x"), (2, [(1, "x:0"), (2, _FLOAT), (3, shape)])]),
        (2, [(1, "y"), (2, [(1, "y:0"), (2, _FLOAT), (3, shape)])]),
        (3, "tensorflow/serving/predict"),
    ]
    meta: Message = [(1, [(4, "serve")]), (2, graph), (5, [(1, "serving_default"), (2, signature)])]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(encoded([(1, 1), (2, meta)]))


def write_paddle(folder: Path) -> None:
    """The same for PaddlePaddle; without parameters."""

    def tensor(name: str) -> Message:
        described: Message = [(1, _FP32), (2, 1), (2, 2)]
        return [(1, name), (2, [(1, _LOD_TENSOR), (3, [(1, described)])])]

    def call(kind: str, inputs: tuple[str, str], outputs: tuple[str, str], *attributes: Message) -> Message:
        given: Message = [(1, inputs[0]), (2, inputs[1])]
        made: Message = [(1, outputs[0]), (2, outputs[1])]
        return [(1, given), (2, made), (3, kind), *((4, attribute) for attribute in attributes)]

    column: Message = [(1, "col"), (2, 0), (3, 0)]
    variables: list[Message] = [
        [(1, "feed"), (2, [(1, _FEED)]), (3, 1)],
        [(1, "fetch"), (2, [(1, _FETCH)]), (3, 1)],
        tensor("x"),
        tensor("y"),
    ]
    calls = [
        call("feed", ("X", "feed"), ("Out", "x"), column),
        call("relu", ("X", "x"), ("Out", "y")),
        call("fetch", ("X", "y"), ("Out", "fetch"), column),
    ]
    block: Message = [(1, 0), (2, -1), *((3, item) for item in variables), *((4, item) for item in calls)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.pdmodel").write_bytes(encoded([(1, block), (4, [(1, 2004000)])]))
    (folder / "model.pdiparams").write_bytes(b"")
