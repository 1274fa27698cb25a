"""What a fleet keeps in the cluster itself, beside no process of its own: Ray's store of keys at the head."""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stream_client.embedded import EmbeddedOptions
from stream_client.fleet.plan import StreamPlan

_NAMESPACE = b"ovms-stream-client"


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives every process of a stream. ``epoch`` is the number of its newest placement, from 1.

    ``host`` names the process that has it; empty: none. ``cores`` and ``memory``, in bytes, are what it took when it
    ran last; ``None`` before it has run.
    """

    plan: StreamPlan
    paused: bool = False
    epoch: int = 0
    host: str = ""
    cores: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A graph server of the fleet: its address, and the files of label names by servable."""

    address: str
    labels: Mapping[str, Path]


class Store:
    """The records of one fleet. For processes that are connected to the cluster; safe from any thread."""

    def __init__(self, fleet: str) -> None:
        from ray.experimental import internal_kv

        self._kv = internal_kv
        self._fleet = fleet

    def streams(self) -> Iterator[Kept]:
        """Every stream."""
        for _, value in self._all("stream"):
            yield pickle.loads(value)

    def keep(self, kept: Kept) -> None:
        """Store a stream; its epoch is what :meth:`epoch` says from now on."""
        name = kept.plan.name
        self._put(self._key("stream", name), pickle.dumps(kept))
        self._put(self._key("epoch", name), str(kept.epoch).encode())

    def forget(self, name: str) -> None:
        """Remove a stream; its epoch stays, so that one that is added again is newer."""
        self._kv._internal_kv_del(self._key("stream", name), namespace=_NAMESPACE)

    def epoch(self, name: str) -> int:
        """The newest placement of a stream; 0 where there was none."""
        return int(self._kv._internal_kv_get(self._key("epoch", name), namespace=_NAMESPACE) or 0)

    def hosts(self) -> Mapping[str, str]:
        """The ids of the nodes of the processes that may deliver results, by the names of these."""
        return {name: node.decode() for name, node in self._all("host")}

    def holds(self, host: str) -> bool:
        """Whether that process may deliver results."""
        return self._get(self._key("host", host)) is not None

    def keep_host(self, host: str, node: str) -> None:
        """Let it deliver results."""
        self._put(self._key("host", host), node.encode())

    def forget_host(self, host: str) -> None:
        """It may deliver nothing from now on. It knows that after :data:`~.lease.LEASE_SECONDS` at the latest."""
        self._kv._internal_kv_del(self._key("host", host), namespace=_NAMESPACE)

    def draining(self) -> frozenset[str]:
        """The ids of nodes that get no stream."""
        value = self._kv._internal_kv_get(self._key("draining", ""), namespace=_NAMESPACE)
        return frozenset((value or b"").decode().split())

    def drain(self, nodes: frozenset[str]) -> None:
        """Store the ids of nodes that get no stream."""
        self._put(self._key("draining", ""), " ".join(sorted(nodes)).encode())

    def wanted_servers(self) -> EmbeddedOptions | None:
        """How the graph servers of the nodes shall be; ``None``: there shall be none."""
        value = self._get(self._key("servers", ""))
        found: EmbeddedOptions | None = None if value is None else pickle.loads(value)
        return found

    def want_servers(self, options: EmbeddedOptions | None) -> None:
        """Store that."""
        self._put(self._key("servers", ""), pickle.dumps(options))

    def servers(self) -> Mapping[str, Served]:
        """The graph servers that serve, by the id of their node."""
        return {node: pickle.loads(value) for node, value in self._all("server")}

    def serve(self, node: str, served: Served | None) -> None:
        """Store the server of a node; ``None``: there is none."""
        if served is None:
            self._kv._internal_kv_del(self._key("server", node), namespace=_NAMESPACE)
        else:
            self._put(self._key("server", node), pickle.dumps(served))

    def _all(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """The names of a kind, with what is stored."""
        prefix = self._key(kind, "")
        for key in self._kv._internal_kv_list(prefix, namespace=_NAMESPACE):
            value = self._get(key)
            if value is not None:
                yield key[len(prefix) :].decode(), value

    def _get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._kv._internal_kv_get(key, namespace=_NAMESPACE)
        return value

    def _put(self, key: bytes, value: bytes) -> None:
        self._kv._internal_kv_put(key, value, overwrite=True, namespace=_NAMESPACE)

    def _key(self, kind: str, name: str) -> bytes:
        return f"{self._fleet}\n{kind}\n{name}".encode()
