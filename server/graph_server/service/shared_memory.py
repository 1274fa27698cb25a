"""Triton's system-shared-memory extension: tensors in POSIX shared memory instead of in their message.

Regions are read and written by system calls, not mapped: a client that shortens its file gets an error; a mapping would
end the server with SIGBUS. Nobody else can open a region after the client has removed its name. So it is forgotten when
its last session ends, or after :data:`IDLE_SECONDS` without use.

Source: Triton's protocol extension "shared memory"; the texts are Triton's.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import grpc

from graph_server.service.messages import InferRequest
from graph_server.service.region import Region, RegionPlace, refused
from graph_server.service.status import Refusal
from kserve_wire.messages import InferParameter, ModelInferResponse
from kserve_wire.shared_memory import Place, place_of, set_place

IDLE_SECONDS = 60.0
MAX_REGIONS = 256


class SharedMemoryRegions:
    """The regions of a server, by name, for tensors of at most ``max_bytes``. Safe from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._regions: dict[str, Region] = {}
        self._users: dict[Region, int] = {}
        self._lock = threading.Lock()

    def register(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Add a region; raises :class:`Refusal`."""
        region = Region(name, key, offset, byte_size)
        with self._lock:
            self._forget_idle()
            if name in self._regions:
                raise Refusal(f"shared memory region '{name}' already in manager", code=grpc.StatusCode.ALREADY_EXISTS)
            if len(self._regions) >= MAX_REGIONS:
                raise Refusal(
                    f"{MAX_REGIONS} shared memory regions are registered: unregister some",
                    code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                )
            self._regions[name] = region

    def unregister(self, name: str) -> None:
        """Forget a region, or all for an empty name. An unknown name is no error."""
        with self._lock:
            if name:
                self._regions.pop(name, None)
            else:
                self._regions.clear()

    def status(self, name: str) -> list[Region]:
        """The region of that name, or all for an empty one; raises :class:`Refusal`."""
        with self._lock:
            return [self._find(name)] if name else list(self._regions.values())

    def resolve(self, request: InferRequest) -> InferRequest:
        """The request with its inputs from shared memory as raw contents, and places for its outputs.

        Raises :class:`Refusal`.
        """
        places = {}
        for output in request.message.outputs:
            place = self._place(output.parameters)
            if place is not None:
                places[output.name] = place
        regions = {place.region for place in places.values()}
        given = iter(request.raw)
        raw: list[memoryview] = []
        size = 0
        for item in request.message.inputs:
            place = self._place(item.parameters)
            if place is not None:
                size += place.byte_size
                if size > self._max_bytes:
                    raise refused(f"a request of {size} bytes in shared memory; the limit is {self._max_bytes}")
                raw.append(memoryview(place.region.read(place.offset, place.byte_size)))
                regions.add(place.region)
            else:
                raw.extend(islice(given, 1))
        return InferRequest(request.message, [*raw, *given], places, frozenset(regions)) if regions else request

    def hold(self, region: Region) -> None:
        """A session uses the region."""
        with self._lock:
            self._users[region] = self._users.get(region, 0) + 1

    def release(self, regions: Iterable[Region]) -> None:
        """A session that held them has ended."""
        with self._lock:
            for region in regions:
                self._users[region] -= 1
                if not self._users[region]:
                    del self._users[region]
                    if region.unlinked and self._regions.get(region.name) is region:
                        del self._regions[region.name]

    def _place(self, parameters: Mapping[str, InferParameter]) -> RegionPlace | None:
        """Where the tensor with these parameters lies; ``None`` for one inside its message."""
        place = place_of(parameters)
        if place is None:
            return None
        with self._lock:
            region = self._find(place.region)
        region.check(place.offset, place.byte_size)
        if place.byte_size > self._max_bytes:
            raise refused(f"a tensor of {place.byte_size} bytes in shared memory; the limit is {self._max_bytes}")
        return RegionPlace(region, place.offset, place.byte_size)

    def _find(self, name: str) -> Region:
        if name not in self._regions:
            raise Refusal(f"Unable to find system shared memory region: '{name}'", code=grpc.StatusCode.NOT_FOUND)
        return self._regions[name]

    def _forget_idle(self) -> None:
        now = time.monotonic()
        for region in list(self._regions.values()):
            if region not in self._users and now - region.last_use > IDLE_SECONDS and region.unlinked:
                del self._regions[region.name]


class SessionPlaces:
    """The places of a streaming session's outputs, by timestamp. Two threads may expect and deliver.

    A region that a request names is held until :meth:`close`.
    """

    MAX_AWAITED = 256
    """A graph may drop packets. So older places are given up; their outputs come in the message."""

    def __init__(self, regions: SharedMemoryRegions) -> None:
        self._regions = regions
        self._places: dict[int, Mapping[str, RegionPlace]] = {}
        self._used: set[Region] = set()

    def expect(self, request: InferRequest, timestamp: int) -> None:
        """Outputs of that timestamp go where the request says."""
        for region in request.regions - self._used:
            self._used.add(region)
            self._regions.hold(region)
        if request.places:
            self._places[timestamp] = request.places
        while len(self._places) > self.MAX_AWAITED:
            self._places.pop(next(iter(self._places)), None)

    def of(self, timestamp: int) -> Mapping[str, RegionPlace]:
        """The places for outputs of that timestamp."""
        return self._places.get(timestamp, {})

    def close(self) -> None:
        """The session is over."""
        self._regions.release(self._used)


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
