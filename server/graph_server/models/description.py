"""What a model tells about itself: its inputs, outputs and texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import openvino as ov

_DATATYPES = {
    "boolean": "BOOL", "u8": "UINT8", "u16": "UINT16", "u32": "UINT32", "u64": "UINT64", "i8": "INT8",
    "i16": "INT16", "i32": "INT32", "i64": "INT64", "f16": "FP16", "f32": "FP32", "f64": "FP64",
    "string": "BYTES",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: name, KServe's datatype, shape with -1 for free dimensions, layout if one is configured."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    layout: str = ""


ModelInfo = Mapping[str, "str | ModelInfo"]
"""What a model's file contains beside its network (``rt_info``): texts by name, nested."""


def texts(info: Any) -> dict[str, str | ModelInfo]:
    """Values of OpenVINO's ``rt_info``, a tree, as texts."""
    return {name: texts(value) if isinstance(value, dict) else str(value.astype(str)) for name, value in info.items()}


def tensor_info(port: ov.Output) -> TensorInfo:
    """An input or output of a model as it was read."""
    shape = tuple(-1 if size.is_dynamic else size.get_length() for size in port.get_partial_shape())
    datatype = _DATATYPES.get(port.get_element_type().get_type_name(), "INVALID")
    names = sorted(port.get_names())
    return TensorInfo(names[0] if names else port.get_any_name(), datatype, shape)
