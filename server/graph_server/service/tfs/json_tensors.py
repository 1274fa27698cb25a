"""Tensors of TensorFlow Serving's REST API: rows (``instances``, ``predictions``) or columns (``inputs``, ``outputs``).

Source: src/rest_parser.cpp and rest_utils.cpp of OVMS 2026.2, tensorflow_serving/util/json_tensor.cc.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from graph_server.models.description import TensorInfo
from graph_server.service.rest.json_faults import fault_of
from graph_server.service.rest.json_size import take_parsed
from graph_server.service.rest.tensors import NotJson, refuse_constant
from graph_server.service.status import Refusal, UnmappedRefusal
from graph_server.service.tfs.messages import PredictRequest
from graph_server.service.tfs.tensors import DATA_TYPES, shape_of
from kserve_wire.datatypes import DTYPES, split_elements
from kserve_wire.messages import ModelInferResponse

Order = Literal["row", "column"]
_FORMAT = "Inputs inside buffer does not match expected format."
_NUMBER_BYTES = 64
"""A number as text, in the array of texts and joined."""
_TEXT_BYTES = 32
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_WRITTEN = frozenset(("FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT32", "UINT64"))


@dataclass(slots=True)
class _Tensor:
    """An input while it is read. ``datatype`` is empty for an input that the model does not have."""

    datatype: str = ""
    shape: list[int] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    is_text: bool = False

    def read(self, value: Any, dim: int) -> None:
        """Read an array whose first dimension is number ``dim`` of the tensor.

        Raises ``ValueError`` for a value that is no array of the input's datatype.
        """
        if _is_binary(value) or (isinstance(value, str) and self.datatype == "UINT8"):
            self.add(value)
            return
        if not isinstance(value, list):
            raise ValueError
        self._check_size(dim, len(value))
        if value and isinstance(value[0], list):
            for item in value:
                self.read(item, dim + 1)
        elif value:
            self.choose(value[0])
            for item in value:
                self.add(item)

    def choose(self, value: Any) -> None:
        """Take the datatype of an unknown input from its first value."""
        if self.datatype:
            return
        if not _is_number(value):
            raise ValueError
        self.datatype = "INT32" if isinstance(value, int) else "FP32"

    def add(self, value: Any) -> None:
        """Add one element."""
        if _is_binary(value):
            try:
                self.texts.append(base64.b64decode(value["b64"], validate=True))
            except (binascii.Error, ValueError) as error:
                raise ValueError from error
            self.is_text = True
        elif isinstance(value, str) and (self.is_text or self.datatype in ("UINT8", "BYTES")):
            self.texts.append(value.encode())
            self.is_text = True
        elif _is_number(value) and not self.is_text and self.datatype not in ("", "BYTES", "BOOL"):
            self.numbers.append(value)
        else:
            raise ValueError

    def grow(self) -> None:
        """One more row."""
        if not self.shape:
            self.shape.append(0)
        self.shape[0] += 1

    def _check_size(self, dim: int, size: int) -> None:
        if len(self.shape) > dim:
            if self.shape[dim] != size:
                raise ValueError
            return
        self.shape += [0] * (dim - len(self.shape)) + [size]

    def fill(self, proto: Any) -> None:
        """Put everything into a ``TensorProto``."""
        datatype = "BYTES" if self.is_text else self.datatype
        proto.dtype = DATA_TYPES.get(datatype, 0)
        proto.tensor_shape.CopyFrom(shape_of(self.shape))
        if datatype == "BYTES":
            proto.string_val.extend(self.texts)
        elif datatype in ("FP16", "UINT16"):  # of FP16 OVMS takes the numbers for its bits
            (proto.half_val if datatype == "FP16" else proto.int_val).extend(_wrapped(self.numbers, np.int32).tolist())
        else:
            proto.tensor_content = _wrapped(self.numbers, DTYPES[datatype]).tobytes()


def decode_predict(
    body: bytes | bytearray, inputs: Sequence[TensorInfo], take: Callable[[int], None]
) -> tuple[PredictRequest, Order]:
    """A request from a JSON body, for a model with these inputs, and the order for the answer. Raises :class:`Refusal`.

    ``take`` is called with the bytes of memory that the JSON becomes, before it is parsed.
    """
    take_parsed(body, take)
    try:
        content = json.loads(body, parse_constant=refuse_constant)
        tensors = {info.name: _Tensor(info.datatype) for info in inputs}
        order, named = _read(content, tensors)
        request = PredictRequest()
        for name in named:
            tensors[name].fill(request.inputs[name])
    except json.JSONDecodeError as error:
        raise NotJson(fault_of(error)) from error
    except (ValueError, OverflowError, RecursionError) as error:  # surrogate halves, 400 digits, 1,000 levels
        raise NotJson() from error
    return request, order


def _read(content: Any, tensors: dict[str, _Tensor]) -> tuple[Order, Sequence[str]]:
    """Read all tensors. Returns those that the request gives."""
    if not isinstance(content, dict):
        raise Refusal("Request body should be JSON object")
    if ("instances" in content) == ("inputs" in content):
        raise Refusal("Invalid JSON structure. Could not detect row or column format")
    if "instances" in content:
        return "row", _read_rows(content["instances"], tensors)
    return "column", _read_columns(content["inputs"], tensors)


def _read_rows(rows: Any, tensors: dict[str, _Tensor]) -> Sequence[str]:
    if not isinstance(rows, list):
        raise Refusal("Invalid JSON structure. Nonamed instance is not an array.")
    if not rows:
        raise Refusal("Invalid JSON structure. Missing instances in row format")
    no_array = Refusal("Could not parse instance content. Not valid ndarray detected")
    first = rows[0]
    if not isinstance(first, dict) or _is_binary(first):
        if not isinstance(first, list | str | dict) and not _is_number(first):
            raise Refusal("Could not detect neither named or nonamed format")
        return _read_only(rows, tensors, no_array)
    found: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, dict):
            raise Refusal("Invalid JSON structure. One of named instances is not a JSON object.")
        try:
            _read_row(row, tensors)
        except ValueError as error:
            raise no_array from error
        found |= dict.fromkeys(row)
    if len({tensors[name].shape[0] for name in found}) > 1:
        raise Refusal("Invalid JSON structure. Request inputs have different batch sizes")
    return list(found)


def _read_row(row: Mapping[str, Any], tensors: dict[str, _Tensor]) -> None:
    if not row:
        raise ValueError
    for name, value in row.items():
        tensor = tensors.setdefault(name, _Tensor())
        tensor.grow()
        if isinstance(value, str) or _is_number(value) or _is_binary(value):
            if len(tensor.shape) > 1:
                raise ValueError
            tensor.add(value)
        elif tensor.shape[0] > 1 and len(tensor.shape) == 1:
            raise ValueError
        else:
            tensor.read(value, 1)


def _read_columns(columns: Any, tensors: dict[str, _Tensor]) -> Sequence[str]:
    no_array = Refusal("Could not parse input content. Not valid ndarray detected")
    if isinstance(columns, list) or (_is_number(columns) and len(tensors) == 1):
        return _read_only(columns, tensors, no_array)
    if not isinstance(columns, dict):
        raise Refusal("Invalid JSON structure. One of inputs is not a JSON object.")
    if not columns:
        raise Refusal("Invalid JSON structure, missing inputs")
    for name, value in columns.items():
        tensor = tensors.setdefault(name, _Tensor())
        try:
            if _is_number(value):
                tensor.choose(value)
                tensor.add(value)
            else:
                tensor.read(value, 0)
        except ValueError as error:
            raise no_array from error
    return list(columns)


def _read_only(value: Any, tensors: dict[str, _Tensor], no_array: Refusal) -> Sequence[str]:
    """Read the only input, without its name."""
    if len(tensors) != 1:
        raise Refusal(_FORMAT)
    ((name, tensor),) = tensors.items()
    try:
        if _is_number(value):
            tensor.add(value)
        else:
            tensor.read(value, 0)
    except ValueError as error:
        raise no_array from error
    return [name]


def encode_predict(data: bytes, order: Order, take: Callable[[int], None]) -> bytes:
    """The body for a ``ModelInferResponse``; raises :class:`Refusal` for what this API cannot write.

    ``take`` is called with the bytes of memory that the JSON needs, before it is written.
    """
    response = ModelInferResponse.FromString(data)
    written = {
        output.name: _written(output.name, output.datatype, tuple(output.shape), raw, take)
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    if order == "column":
        if len(written) == 1:
            return b'{"outputs": %s}' % _joined(next(iter(written.values()))).encode()
        members = (f"{json.dumps(name)}: {_joined(texts)}" for name, texts in written.items())
        return f'{{"outputs": {{{", ".join(members)}}}}}'.encode()
    rows = {texts.shape[0] if texts.ndim else 0 for texts in written.values()}
    if len(rows) != 1 or rows == {0}:
        raise UnmappedRefusal("Response parsing to JSON error")
    return f'{{"predictions": [{", ".join(_row(written, index) for index in range(rows.pop()))}]}}'.encode()


def _row(written: Mapping[str, npt.NDArray[Any]], index: int) -> str:
    if len(written) == 1:
        return _joined(next(iter(written.values()))[index])
    return f"{{{', '.join(f'{json.dumps(name)}: {_joined(texts[index])}' for name, texts in written.items())}}}"


def _written(
    name: str, datatype: str, shape: tuple[int, ...], raw: bytes, take: Callable[[int], None]
) -> npt.NDArray[Any]:
    """An output with each element as JSON."""
    if datatype == "BYTES":
        take(len(raw) * _TEXT_BYTES)
        elements = split_elements(memoryview(raw))
        texts = np.array([_text(name, element) for element in elements], object)
        return texts.reshape(shape)
    if datatype not in _WRITTEN:
        raise Refusal("Could not parse input content. Unsupported data precision detected")
    values = np.frombuffer(raw, DTYPES[datatype]).reshape(shape)
    take(values.size * _NUMBER_BYTES)
    return np.asarray(values.astype("U"), object)


def _text(name: str, element: bytes) -> str:
    """TensorFlow Serving writes outputs with this end of the name as base64."""
    if name.endswith("_bytes"):
        return json.dumps({"b64": base64.b64encode(element).decode()})
    return json.dumps(element.decode(errors="replace"))


def _joined(texts: Any) -> str:
    """An array of JSON texts, or one, as JSON."""
    if isinstance(texts, np.ndarray) and texts.ndim:
        return f"[{', '.join(map(_joined, texts))}]"
    text = str(texts)
    return _NOT_FINITE.get(text, text)


def _wrapped(numbers: Sequence[float], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Numbers as C++ casts them: integers lose what is behind the point, and what is above their bits."""
    kind = np.dtype(dtype)
    with np.errstate(over="ignore"):
        if kind.kind == "f":
            values = np.array(numbers, np.float64)
            if not np.isfinite(values).all():
                raise OverflowError("a number is too large")
            return values.astype(kind)
        bits = (1 << 8 * kind.itemsize) - 1
        return np.array([int(number) & bits for number in numbers], f"u{kind.itemsize}").view(kind)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_binary(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)
