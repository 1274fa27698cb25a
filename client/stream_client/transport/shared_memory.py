"""Triton's system-shared-memory extension: frames to and from a server on this machine, past gRPC.

A session owns two files in shared memory, one for inputs, one for outputs, divided into slots of a frame's size. Our
graph server maps files that are sealed and have no name. For others they are in ``/dev/shm``: the server opens them by
name once, and then the names are removed. So nothing is left behind however the client ends. An input's slot is free
again when its request is answered. An output's slot is free when the last array on it is gone. Both are free once the
graph has passed their frame without an answer. Without a free slot the frame goes inside its message. It does so, too,
when the server does not offer the extension or cannot open the file.

Behind a load balancer, or after a restart, a server may not know a region. Then :class:`SharedMemory` is given up: it
still has the tensors of every unanswered request, which are sent again inside their messages.
"""

import logging
import secrets
import threading
import weakref
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

import grpc
import numpy as np

from kserve_wire.messages import SystemSharedMemoryRegisterRequest, SystemSharedMemoryUnregisterRequest
from kserve_wire.names import method_path
from kserve_wire.shared_memory import Place
from stream_client.errors import MisplacedError
from stream_client.frames import Tensor
from stream_client.transport.datatypes import bytes_of
from stream_client.transport.slots import SharedFile, Slots, kinds_of_files

logger = logging.getLogger(__name__)

REGISTER = method_path("SystemSharedMemoryRegister")
Call = Callable[[bytes, float], bytes]
"""A request's bytes and seconds, to an answer's bytes; raises :class:`grpc.RpcError`, :class:`OSError`."""
_REGISTER_TIMEOUT = 2.0
_UNREGISTER_TIMEOUT = 0.5


class SharedMemory:
    """One session's use of the extension over ``channel``: one thread sends, another receives.

    ``outputs`` are the servable's, by name. ``register`` is how the session's own connection registers a region, where
    that is not the channel's: a region belongs to a connection.
    """

    MIN_BYTES = 1 << 16
    """Bytes. Smaller tensors are as fast inside their message."""
    INPUT_SLOTS = 16
    OUTPUT_SLOTS = 32
    KEPT = 256
    """How many unanswered requests can be sent again."""
    REMEMBERED = 256
    """How many of the last requests are remembered, by timestamp."""

    def __init__(self, channel: grpc.Channel, outputs: Sequence[str], register: Call | None = None) -> None:
        self._names = tuple(outputs)
        registering: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(REGISTER)
        self._register: Call = register or registering
        self._unregister: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            method_path("SystemSharedMemoryUnregister")
        )
        self._regions: dict[str, Slots] = {}
        self._inputs: Slots | None = None
        self._outputs: Slots | None = None
        self._output_sizes: dict[str, int] = {}
        self._unwritten = secrets.token_bytes(16)  # stands at the start of a slot until the server writes there
        self._kinds = kinds_of_files()
        self._given_up = False
        self._last_placed = -1
        self._tensors: dict[int, Sequence[Tensor]] = {}
        self._sent: dict[int, list[tuple[Slots, int]]] = {}
        self._offered: dict[tuple[int, str], Place] = {}
        self._awaited: dict[Place, Slots] = {}
        self._timestamps: deque[int] = deque(maxlen=self.REMEMBERED)
        self._lock = threading.Lock()  # for iterating while another thread adds

    # --- the sender's side

    def place_inputs(self, timestamp: int, tensors: Sequence[Tensor]) -> dict[str, Place]:
        """Copy the large tensors into shared memory. Returns the place of each by name."""
        places: dict[str, Place] = {}
        with self._lock:
            self._timestamps.append(timestamp)
            self._tensors[timestamp] = tensors
            while len(self._tensors) > self.KEPT:
                del self._tensors[next(iter(self._tensors))]
        if self._given_up:
            return places
        for tensor in tensors:
            size = tensor.array.nbytes
            if size < self.MIN_BYTES or tensor.datatype == "BYTES":
                continue
            if self._inputs is None or self._inputs.size < size:
                self._inputs = self._new(size, self.INPUT_SLOTS)
            offset = self._inputs.take() if self._inputs is not None else None
            if self._inputs is None or offset is None:
                continue
            self._inputs.view(offset, size)[:] = np.frombuffer(bytes_of(tensor.datatype, tensor.array), np.uint8)
            with self._lock:
                self._sent.setdefault(timestamp, []).append((self._inputs, offset))
            places[tensor.name] = Place(self._inputs.name, offset, size)
        return places

    def place_outputs(self, timestamp: int) -> dict[str, Place | None]:
        """Slots for the outputs that were large before. If there are any, every output is named: Triton sends only
        named outputs.
        """
        if self._given_up:
            return {}
        places: dict[str, Place | None] = dict.fromkeys(self._names) if self._output_sizes else {}
        for name, size in list(self._output_sizes.items()):
            if self._outputs is None or self._outputs.size < size:
                self._outputs = self._new(size, self.OUTPUT_SLOTS)
            offset = self._outputs.take() if self._outputs is not None else None
            if self._outputs is None or offset is None:
                continue
            self._outputs.view(offset, len(self._unwritten))[:] = np.frombuffer(self._unwritten, np.uint8)
            place = Place(self._outputs.name, offset, self._outputs.size)
            places[name] = place
            self._awaited[place] = self._outputs
            with self._lock:
                self._offered[timestamp, name] = place
        return places

    # --- the receiver's side

    def view(self, timestamp: int | None, name: str, place: Place) -> memoryview:
        """The bytes that the server reports as written for that output of that request.

        The slot is free once no array uses them. Raises :class:`MisplacedError` for another place than was offered
        for them, and where nothing was written: that would be the frame of another request.
        """
        offered = self._offered.get((timestamp, name)) if timestamp is not None else None
        slots = self._awaited.get(offered) if offered is not None else None
        if (
            offered is None
            or slots is None
            or (place.region, place.offset) != (offered.region, offered.offset)
            or not 0 <= place.byte_size <= slots.size
        ):
            raise MisplacedError(f"the server says that output {name!r} is in memory that was not offered for it")
        bytes_there = slots.view(place.offset, place.byte_size)
        if place.byte_size >= len(self._unwritten) and bytes_there[: len(self._unwritten)].tobytes() == self._unwritten:
            raise MisplacedError(f"the server says that it wrote output {name!r}, and did not")
        if self._awaited.pop(offered, None) is not None:
            weakref.finalize(bytes_there, slots.give_back, place.offset)
        return bytes_there.data

    def answered(self, timestamp: int, outputs: Mapping[str, Tensor]) -> None:
        """Outputs have come for ``timestamp``."""
        self._free_inputs(timestamp)
        for name, tensor in outputs.items():
            if tensor.array.nbytes >= self.MIN_BYTES and tensor.datatype != "BYTES":
                self._output_sizes[name] = tensor.array.nbytes
            self._take_back(timestamp, name)

    def passed(self, timestamp: int, outputs: Collection[str]) -> None:
        """A graph has answered ``outputs`` at ``timestamp``, so it no longer uses earlier slots.

        Graphs drop frames silently. But the server reads requests in order and copies inputs as it reads. It writes an
        output's packets in the order of their timestamps. A timestamp that a graph made up itself says nothing.
        """
        with self._lock:
            if timestamp not in self._timestamps:
                return
            sent = [earlier for earlier in self._tensors if earlier < timestamp]
            offered = [key for key in self._offered if key[0] < timestamp and key[1] in outputs]
        for earlier in sent:
            self._free_inputs(earlier)
        for key in offered:
            self._take_back(*key)

    def late(self, timestamp: int) -> None:
        """Nobody waits for the answer any more. The server may still use the request's memory."""
        self._tensors.pop(timestamp, None)

    def failed(self, timestamp: int) -> None:
        """The server has refused the request, so it no longer uses its memory."""
        self._free_inputs(timestamp)
        for name in self._output_sizes:
            self._take_back(timestamp, name)

    def close(self) -> None:
        """Unregister the regions at the server. Arrays on them stay valid.

        This goes over the channel. Where a region belongs to another connection, it ends with that one.
        """
        calls = []
        for name in self._regions:
            request = SystemSharedMemoryUnregisterRequest(name=name)
            calls.append(self._unregister.future(request.SerializeToString(), timeout=_UNREGISTER_TIMEOUT))
        for call in calls:
            call.exception()  # a lost server has forgotten them

    # --- a server that does not know a region

    def is_in(self, text: str) -> bool:
        """Whether an error text names a region of this session."""
        return any(name in text for name in list(self._regions))

    def give_up(self) -> bool:
        """From now on, all tensors go inside their messages. ``False`` when that is so already."""
        with self._lock:
            if self._given_up:
                return False
            self._given_up = True
            self._last_placed = max(self._timestamps, default=-1)
            return True

    def is_outdated(self, timestamp: int) -> bool:
        """Whether a request was made before that, so that it may name a region."""
        return self._given_up and timestamp <= self._last_placed

    def tensors_of(self, timestamp: int) -> Sequence[Tensor] | None:
        """The tensors of an unanswered request; ``None`` where they are kept no more."""
        return self._tensors.get(timestamp)

    # --- inside

    def _free_inputs(self, timestamp: int) -> None:
        self._tensors.pop(timestamp, None)
        for slots, offset in self._sent.pop(timestamp, ()):
            slots.give_back(offset)

    def _take_back(self, timestamp: int, name: str) -> None:
        """An output that came in its message although it had a slot."""
        place = self._offered.pop((timestamp, name), None)
        slots = self._awaited.pop(place, None) if place is not None else None
        if slots is not None and place is not None:
            slots.give_back(place.offset)

    def _new(self, size: int, count: int) -> Slots | None:
        """Slots that the server has registered, or ``None`` where it takes no kind of file.

        Only our graph server opens sealed files, and only where it sees this process.
        """
        while self._kinds:
            slots = self._registered(size, count, self._kinds[0])
            if slots is not None:
                self._regions[slots.name] = slots
                return slots
            del self._kinds[0]
        return None

    def _registered(self, size: int, count: int, kind: type[SharedFile]) -> Slots | None:
        try:
            slots = Slots(size, count, kind)
        except OSError as error:
            logger.info("no shared memory: %s", error)
            return None
        request = SystemSharedMemoryRegisterRequest(name=slots.name, key=slots.key, byte_size=slots.byte_size)
        try:
            self._register(request.SerializeToString(), _REGISTER_TIMEOUT)
        except (grpc.RpcError, OSError) as error:
            logger.info("the server does not take shared memory: %s", error)
            return None
        finally:
            slots.unlink()
        return slots
