"""The gRPC calls of Triton's system-shared-memory extension: register, status, unregister."""

from collections.abc import Callable, Mapping

from graph_server.service.connections import Endpoint
from graph_server.service.messages import parse
from graph_server.service.shared_memory import SharedMemoryRegions
from kserve_wire.messages import (
    SystemSharedMemoryRegisterRequest,
    SystemSharedMemoryRegisterResponse,
    SystemSharedMemoryStatusRequest,
    SystemSharedMemoryStatusResponse,
    SystemSharedMemoryUnregisterRequest,
    SystemSharedMemoryUnregisterResponse,
)


class SharedMemoryCalls:
    """Each call is about the regions of its own connection alone."""

    def __init__(self, regions: SharedMemoryRegions) -> None:
        self._regions = regions

    @property
    def methods(self) -> Mapping[str, Callable[[bytes, Endpoint], bytes]]:
        """The methods by name: a request's bytes and its connection, to an answer's bytes."""
        return {
            "SystemSharedMemoryStatus": self._status,
            "SystemSharedMemoryRegister": self._register,
            "SystemSharedMemoryUnregister": self._unregister,
        }

    def _status(self, data: bytes, client: Endpoint) -> bytes:
        answer = SystemSharedMemoryStatusResponse()
        for region in self._regions.status(client, parse(SystemSharedMemoryStatusRequest, data).name):
            entry = answer.regions[region.name]
            entry.name, entry.key = region.name, region.key
            entry.offset, entry.byte_size = region.offset, region.byte_size
        return answer.SerializeToString()

    def _register(self, data: bytes, client: Endpoint) -> bytes:
        request = parse(SystemSharedMemoryRegisterRequest, data)
        self._regions.register(client, request.name, request.key, request.offset, request.byte_size)
        return SystemSharedMemoryRegisterResponse().SerializeToString()

    def _unregister(self, data: bytes, client: Endpoint) -> bytes:
        self._regions.unregister(client, parse(SystemSharedMemoryUnregisterRequest, data).name)
        return SystemSharedMemoryUnregisterResponse().SerializeToString()
