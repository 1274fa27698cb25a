"""Triton's system-shared-memory extension: tensors in POSIX shared memory instead of in their message.

A region belongs to the connection that registered it, and ends with it. Others neither see it nor can name it. Its file
has to belong to the user at the other end of the connection, so that the server opens no file for somebody who could
not open it.

Regions are read and written by system calls: a client that shortens its file gets an error, and a mapping would end the
server with SIGBUS. Files that are sealed against that (memfd_create(2)) are mapped. Their key is their descriptor,
``/proc/PID/fd/N``, and their name that of the region: our own extension.

Source: Triton's protocol extension "shared memory"; the texts are Triton's.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

import grpc

from graph_server.service.connections import UNIX_CLIENT, Endpoint
from graph_server.service.messages import InferRequest
from graph_server.service.region import Region, RegionPlace, refused
from graph_server.service.status import Refusal
from kserve_wire.messages import InferParameter, ModelInferResponse
from kserve_wire.shared_memory import Place, place_of, set_place

MAX_REGIONS = 256
"""Regions of one user."""
MAX_MAPPED = 1 << 30
"""Bytes of one user's files that are mapped: memory that a file lacks is taken, and counts as the server's, when the
server first looks there.
"""


class SharedMemoryRegions:
    """The regions of a server, for tensors of at most ``max_bytes``. Safe from several threads.

    ``user_of`` finds the id of the user at the other end of a connection.
    """

    def __init__(self, max_bytes: int, user_of: Callable[[Endpoint], int | None]) -> None:
        self.max_bytes = max_bytes
        self._user_of = user_of
        self._regions: dict[Endpoint, dict[str, Region]] = {}
        self._lock = threading.Lock()

    def register(self, client: Endpoint, name: str, key: str, offset: int, byte_size: int) -> None:
        """Add a region of that connection; raises :class:`Refusal`."""
        user = self._user_of(client)
        if user is None:
            raise refused(f"Unable to open shared memory region: '{key}': the user of this connection is unknown")
        region = Region(name, key, offset, byte_size, user)
        with self._lock:
            own = self._of(client, user)
            if name in own:
                raise Refusal(f"shared memory region '{name}' already in manager", code=grpc.StatusCode.ALREADY_EXISTS)
            held = [found for regions in self._regions.values() for found in regions.values() if found.user == user]
            if len(held) >= MAX_REGIONS:
                raise Refusal(
                    f"{MAX_REGIONS} shared memory regions of this user are registered: unregister some",
                    code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                )
            if region.mapped + sum(other.mapped for other in held) > MAX_MAPPED:
                raise Refusal(
                    f"more than {MAX_MAPPED} bytes of this user's sealed memory: take a file in /dev/shm",
                    code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                )
            own[name] = region

    def unregister(self, client: Endpoint, name: str) -> None:
        """Forget a region of that connection, or all of them for an empty name. An unknown name is no error."""
        with self._lock:
            if name:
                self._regions.get(client, {}).pop(name, None)
            else:
                self._regions.pop(client, None)

    def status(self, client: Endpoint, name: str) -> list[Region]:
        """The region of that connection and name, or all of them for an empty name; raises :class:`Refusal`."""
        user = self._user_of(client)
        with self._lock:
            own = dict(self._of(client, user))
        if name and name not in own:
            raise _unknown(name)
        return [own[name]] if name else list(own.values())

    def find(self, client: Endpoint, name: str) -> Region:
        """A region of that connection; raises :class:`Refusal`."""
        with self._lock:
            region = self._regions.get(client, {}).get(name)
        if region is None:
            raise _unknown(name)
        return region

    def keep_only(self, connected: Collection[Endpoint]) -> None:
        """Forget the regions of every other connection by TCP: it has ended."""
        with self._lock:
            for client in [client for client in self._regions if client not in (*connected, UNIX_CLIENT)]:
                del self._regions[client]

    def _of(self, client: Endpoint, user: int | None) -> dict[str, Region]:
        """The regions of a connection. Those of another user are from an earlier connection with the same port."""
        own = self._regions.setdefault(client, {})
        if any(region.user != user for region in own.values()):
            own = self._regions[client] = {}
        return own


class ClientMemory:
    """Shared memory as the requests of one connection use it. ``regions``: ``None`` where the server offers none."""

    def __init__(self, regions: SharedMemoryRegions | None, client: Endpoint) -> None:
        self._regions = regions
        self._client = client

    def resolve(self, request: InferRequest, take: Callable[[int], None]) -> InferRequest:
        """The request with its inputs from shared memory as raw contents, and places for its outputs.

        ``take`` is called with the number of bytes before they are read. Raises :class:`Refusal`, as ``take`` does.
        """
        places = {}
        for output in request.message.outputs:
            place = self._place(output.parameters)
            if place is not None:
                places[output.name] = place
        inputs = [self._place(item.parameters) for item in request.message.inputs]
        size = sum(place.byte_size for place in inputs if place is not None)
        if not places and not any(inputs):
            return request
        assert self._regions is not None  # it found the places
        if size > self._regions.max_bytes:
            raise refused(f"a request of {size} bytes in shared memory; the limit is {self._regions.max_bytes}")
        take(size)
        given = iter(request.raw)
        raw: list[memoryview] = []
        for place in inputs:
            if place is not None:
                raw.append(place.region.read(place.offset, place.byte_size))
            else:
                raw.extend(islice(given, 1))
        return InferRequest(request.message, [*raw, *given], places)

    def _place(self, parameters: Mapping[str, InferParameter]) -> RegionPlace | None:
        """Where the tensor with these parameters lies; ``None`` for one inside its message."""
        place = place_of(parameters)
        if place is None:
            return None
        if self._regions is None:
            raise _unknown(place.region)
        region = self._regions.find(self._client, place.region)
        region.check(place.offset, place.byte_size)
        return RegionPlace(region, place.offset, place.byte_size)


class SessionPlaces:
    """The places of a streaming session's outputs, by timestamp. Two threads may expect and deliver."""

    MAX_AWAITED = 256
    """A graph may drop packets. So older places are given up; their outputs come in the message."""

    def __init__(self) -> None:
        self._places: dict[int, Mapping[str, RegionPlace]] = {}

    def expect(self, request: InferRequest, timestamp: int) -> None:
        """Outputs of that timestamp go where the request says."""
        if request.places:
            self._places[timestamp] = request.places
        while len(self._places) > self.MAX_AWAITED:
            self._places.pop(next(iter(self._places)), None)

    def of(self, timestamp: int) -> Mapping[str, RegionPlace]:
        """The places for outputs of that timestamp."""
        return self._places.get(timestamp, {})


def deliver(
    message: ModelInferResponse, raw: Sequence[memoryview], places: Mapping[str, RegionPlace]
) -> list[memoryview]:
    """Write the outputs that have a place, and note the place in ``message``. Returns the other raw contents."""
    left = []
    for output, data in zip(message.outputs, raw, strict=True):
        place = places.get(output.name)
        if place is not None and len(data) <= place.byte_size and place.region.write(place.offset, data):
            set_place(output.parameters, Place(place.region.name, place.offset, len(data)))
        else:
            left.append(data)
    return left


def _unknown(name: str) -> Refusal:
    return Refusal(f"Unable to find system shared memory region: '{name}'", code=grpc.StatusCode.NOT_FOUND)
