"""What a fleet keeps in the cluster itself, beside no process of its own: Ray's store of keys at the head."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass

from stream_client.fleet.plan import StreamPlan

_NAMESPACE = b"ovms-stream-client"


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives every process of a stream. ``epoch`` is the number of its newest placement, from 1.

    ``cores`` and ``memory``, in bytes, are what it took when it ran last; ``None`` before it has run.
    """

    plan: StreamPlan
    paused: bool = False
    epoch: int = 0
    cores: float | None = None
    memory: int | None = None


class Store:
    """The records of one fleet. For processes that are connected to the cluster; safe from any thread."""

    def __init__(self, fleet: str) -> None:
        from ray.experimental import internal_kv

        self._kv = internal_kv
        self._fleet = fleet

    def streams(self) -> Iterator[Kept]:
        """Every stream."""
        for key in self._kv._internal_kv_list(self._key("stream", ""), namespace=_NAMESPACE):
            value = self._kv._internal_kv_get(key, namespace=_NAMESPACE)
            if value is not None:
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

    def draining(self) -> frozenset[str]:
        """The ids of nodes that get no stream."""
        value = self._kv._internal_kv_get(self._key("draining", ""), namespace=_NAMESPACE)
        return frozenset((value or b"").decode().split())

    def drain(self, nodes: frozenset[str]) -> None:
        """Store the ids of nodes that get no stream."""
        self._put(self._key("draining", ""), " ".join(sorted(nodes)).encode())

    def _put(self, key: bytes, value: bytes) -> None:
        self._kv._internal_kv_put(key, value, overwrite=True, namespace=_NAMESPACE)

    def _key(self, kind: str, name: str) -> bytes:
        return f"{self._fleet}\n{kind}\n{name}".encode()
