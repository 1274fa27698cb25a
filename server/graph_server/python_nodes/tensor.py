"""The module ``pyovms`` that scripts of Python nodes import.

Sources: src/python/ovms_py_tensor.{hpp,cpp}, src/python/binding/ovms_py_tensor.cpp.
"""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

DTYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "INT8": "i1", "INT16": "i2",
    "INT32": "i4", "INT64": "i8", "FP16": "f2", "FP32": "f4", "FP64": "f8",
}  # fmt: skip
"""The datatypes that have a buffer format. All others are raw bytes."""
# NumPy's int64 has the format "l" on Linux, and OVMS reads "l" as INT32.
_DATATYPES = {
    "?": "BOOL", "B": "UINT8", "H": "UINT16", "I": "UINT32", "L": "UINT32", "Q": "UINT64", "b": "INT8", "h": "INT16",
    "i": "INT32", "l": "INT32", "q": "INT64", "e": "FP16", "f": "FP32", "d": "FP64",
}  # fmt: skip


Buffer = bytes | bytearray | memoryview | npt.NDArray[Any]


class Tensor(np.ndarray[Any, Any]):
    """A named tensor, read-only. ``shape`` and ``datatype`` are what the caller sets, even if the buffer differs.

    It is a NumPy array because only C code can implement the buffer protocol before Python 3.12.
    ``memoryview``, ``bytes`` and ``numpy.array`` see the buffer's own format and shape.
    """

    _name: str
    _datatype: str
    _user_shape: tuple[int, ...]
    _source: object
    _bytes: int

    def __new__(
        cls, name: str, buffer: Buffer, shape: Sequence[int] | None = None, datatype: str | None = None
    ) -> "Tensor":
        """Wrap ``buffer`` without a copy. It is any object with the buffer protocol."""
        view = buffer.data if isinstance(buffer, np.ndarray) else memoryview(buffer)
        array = buffer if isinstance(buffer, np.ndarray) else np.asarray(view)
        known = _DATATYPES.get(view.format, view.format)
        return cls._made(name, array, array.shape if shape is None else shape, datatype or known, buffer)

    @classmethod
    def of_bytes(cls, name: str, data: bytes | memoryview, shape: Sequence[int], datatype: str) -> "Tensor":
        """A tensor of a request. ``data`` has the size of ``shape``; for datatypes without a format it is raw bytes."""
        raw = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
        dtype = DTYPES.get(datatype)
        array = raw if dtype is None else raw.view(dtype).reshape(tuple(shape))
        if not array.flags.aligned:  # NumPy gives an unaligned buffer another format
            array = array.copy()
        return cls._made(name, array, shape, datatype, None)

    @classmethod
    def _made(cls, name: str, array: npt.NDArray[Any], shape: Sequence[int], datatype: str, source: object) -> "Tensor":
        tensor = array.view(cls)
        tensor.flags.writeable = False
        tensor._name, tensor._datatype, tensor._source = str(name), datatype, source
        tensor._bytes = array.nbytes
        tensor._user_shape = tuple(int(size) for size in shape)
        return tensor

    @property
    def name(self) -> str:
        """The stream that the tensor belongs to."""
        return self._name

    @property
    def datatype(self) -> str:
        """KServe's name of the datatype, or any text that the nodes agree on."""
        return self._datatype

    @property  # type: ignore[misc]
    def shape(self) -> tuple[int, ...]:
        """The shape as it was set."""
        return self._user_shape

    @property
    def size(self) -> int:
        """The size of the buffer in bytes."""
        return self._bytes

    @property
    def data(self) -> memoryview:
        """The buffer, in its own format and shape."""
        return self.view(np.ndarray).data

    @property
    def ptr(self) -> int:
        """The address of the buffer."""
        return int(self.ctypes.data)

    @property
    def ref_obj(self) -> object:
        """The object that owns the buffer. ``None`` for a tensor of a request."""
        return self._source

    def contiguous(self) -> memoryview:
        """The buffer's bytes in C order, as they are sent."""
        return np.ascontiguousarray(self.view(np.ndarray)).reshape(-1).view(np.uint8).data


def provide() -> None:
    """Make ``from pyovms import Tensor`` work in this process."""
    if "pyovms" not in sys.modules:
        module = ModuleType("pyovms", "OVMS's module for Python nodes, as the graph server provides it.")
        module.__dict__["Tensor"] = Tensor
        sys.modules["pyovms"] = module
