"""The few functions of libsrt that receive a live stream (its ``srt.h``, 1.4 and later).

PyAV's own FFmpeg has no SRT. The program ffmpeg would take the passphrase of an input on its command line only, where
every user of the machine can read it; libsrt is installed with it.
"""

import ctypes
import ctypes.util
import socket
import struct
import sys
from functools import cache
from typing import Any

_NAMES = ("srt-gnutls", "srt-openssl", "srt")
_ERROR = -1
_LOG_CRITICAL = 2
_RECEIVE_TIMEOUT, _LATENCY, _PASSPHRASE, _KEY_BYTES = 14, 23, 26, 27
_CONNECT_TIMEOUT, _STREAM_ID = 36, 46
_CONNECTION_LOST, _NO_CONNECTION, _TIMED_OUT = 2001, 2002, 6003
_READABLE, _FAILED = 1, 8
_MOST_MESSAGE_BYTES = 1456
_MOST_MILLISECONDS = 2**31 - 1


class _Event(ctypes.Structure):
    _fields_ = (("socket", ctypes.c_int), ("events", ctypes.c_int))


@cache
def _library() -> ctypes.CDLL | None:
    found = next(filter(None, map(ctypes.util.find_library, _NAMES)), None)
    library = None if found is None else ctypes.CDLL(found)
    return library if library is not None and hasattr(library, "srt_getrejectreason") else None


def has_srt() -> bool:
    """Whether libsrt is here."""
    return _library() is not None


class SrtSocket:
    """Used by one thread, but for :meth:`abort`. Times are in seconds. Raises :class:`OSError`."""

    def __init__(self) -> None:
        library = _library()
        assert library is not None
        self._srt: Any = library
        self._srt.srt_startup()
        self._srt.srt_setloglevel(_LOG_CRITICAL)
        self._socket: int = self._srt.srt_create_socket()
        self._buffer = ctypes.create_string_buffer(_MOST_MESSAGE_BYTES)

    def prepare(
        self, *, timeout: float, latency: float | None, passphrase: str, key_bytes: int, stream_id: str
    ) -> None:
        """Set the options. Without ``latency``: libsrt's own."""
        self._set(_CONNECT_TIMEOUT, _milliseconds(timeout))
        if latency is not None:
            self._set(_LATENCY, _milliseconds(latency))
        if key_bytes:
            self._set(_KEY_BYTES, struct.pack("i", key_bytes))
        if passphrase:
            self._set(_PASSPHRASE, passphrase.encode())
        if stream_id:
            self._set(_STREAM_ID, stream_id.encode())

    def connect(self, host: str, port: int) -> int | None:
        """Call a listener. Returns libsrt's reason where there is no connection."""
        address = _address(host, port)
        failed = self._srt.srt_connect(self._socket, address, len(address)) == _ERROR
        return int(self._srt.srt_getrejectreason(self._socket)) if failed else None

    def accept(self, address: str, port: int, timeout: float) -> None:
        """Listen, and take the first caller."""
        at = _address(address, port)
        if self._srt.srt_bind(self._socket, at, len(at)) == _ERROR or self._srt.srt_listen(self._socket, 1) == _ERROR:
            raise OSError("the address is taken")
        waiting = self._srt.srt_epoll_create()
        self._srt.srt_epoll_add_usock(waiting, self._socket, ctypes.byref(ctypes.c_int(_READABLE | _FAILED)))
        milliseconds = ctypes.c_int64(min(round(1000 * timeout), _MOST_MILLISECONDS))
        ready = self._srt.srt_epoll_uwait(waiting, ctypes.byref(_Event()), 1, milliseconds)
        self._srt.srt_epoll_release(waiting)
        if ready < 1:
            raise TimeoutError("nobody called")
        caller = self._srt.srt_accept(self._socket, None, None)
        if caller == _ERROR:
            raise ConnectionAbortedError("stopped")
        listening, self._socket = self._socket, caller
        # A sender that comes back shall not be taken by it, but by the next one.
        self._srt.srt_close(listening)

    def wait_at_most(self, seconds: float) -> None:
        """Bound each :meth:`receive`."""
        self._set(_RECEIVE_TIMEOUT, _milliseconds(seconds))

    def receive(self) -> bytes:
        """Wait for a message; empty once the peer has gone."""
        size = self._srt.srt_recvmsg(self._socket, self._buffer, _MOST_MESSAGE_BYTES)
        if size > 0:
            return self._buffer.raw[:size]
        error = self._srt.srt_getlasterror(None)
        if size == 0 or error in (_CONNECTION_LOST, _NO_CONNECTION):
            return b""
        if error == _TIMED_OUT:
            raise TimeoutError("nothing came")
        raise ConnectionAbortedError("stopped")

    def abort(self) -> None:
        """Make a waiting call fail now; called from another thread."""
        self._srt.srt_close(self._socket)

    def close(self) -> None:
        """Release everything."""
        self.abort()
        self._srt.srt_cleanup()

    def _set(self, option: int, value: bytes) -> None:
        if self._srt.srt_setsockflag(self._socket, option, value, len(value)) == _ERROR:
            raise OSError(f"libsrt refuses its option {option}")


def _milliseconds(seconds: float) -> bytes:
    return struct.pack("i", min(round(1000 * seconds), _MOST_MILLISECONDS))


def _address(host: str, port: int) -> bytes:
    """A ``struct sockaddr`` of the system."""
    family, _, _, _, found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    four = family == socket.AF_INET
    size = 16 if four else 28
    head = struct.pack("BB", size, family) if sys.platform == "darwin" else struct.pack("=H", family)
    packed = socket.inet_pton(family, str(found[0]))
    rest = packed + bytes(8) if four else bytes(4) + packed + bytes(4)
    return head + struct.pack("!H", port) + rest
