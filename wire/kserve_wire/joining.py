"""Joins the parts of a large message while other threads go on."""

import ctypes
from collections.abc import Sequence

import numpy as np

LARGE = 8 << 20
"""Bytes. A smaller message is joined before another thread could begin."""

_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype, _new_bytes.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_ssize_t)
_address_of = ctypes.pythonapi.PyBytes_AsString
_address_of.restype, _address_of.argtypes = ctypes.c_void_p, (ctypes.py_object,)


def joined(parts: Sequence[bytes | bytearray | memoryview]) -> bytes:
    """``b"".join(parts)``, which keeps all other threads waiting where a part is a view. Views are views on bytes.

    Python's C API allows to fill a new ``bytes`` that nobody else has: see ``PyBytes_FromStringAndSize``.
    """
    size = sum(map(len, parts))
    if size < LARGE:
        return b"".join(parts)
    made: bytes = _new_bytes(None, size)
    position = _address_of(made)
    for part in parts:
        if part:
            ctypes.memmove(position, np.frombuffer(part, np.uint8).ctypes.data, len(part))
            position += len(part)
    return made
