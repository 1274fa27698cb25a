"""What a stream needs of a node, and what the cluster lacks for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stream_client.fleet.cluster.store import Kept

_GUESSED_CORES, _GUESSED_MEMORY = 0.25, 300 << 20
"""Before a stream has run: 640x480 at 30 frames/s, and its process."""
_SPARE = 1.25
"""A stream that was measured gets some more: pictures change."""
_LEAST_CORES = 0.05
NODE_ID = "ray.io/node-id"
"""The label that every node has."""


@dataclass(frozen=True, slots=True)
class Need:
    """``cores`` of a node, ``memory`` in bytes, and the labels that it must have."""

    cores: float
    memory: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster, with all that it has, used or not; ``memory`` in bytes."""

    id: str
    address: str
    cores: float
    memory: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The nodes that are alive, the ids of those that get no stream, and what all of them together have left."""

    nodes: tuple[Node, ...] = ()
    draining: frozenset[str] = frozenset()
    free: Mapping[str, float] = field(default_factory=dict)


def need_of(kept: Kept) -> Need:
    """What a stream took when it ran last, with some to spare; a guess before that."""
    cores = _GUESSED_CORES if kept.cores is None else max(_LEAST_CORES, round(_SPARE * kept.cores, 2))
    memory = _GUESSED_MEMORY if kept.memory is None else round(_SPARE * kept.memory)
    return Need(cores, memory, kept.plan.on)


def read_nodes(nodes: Iterable[Mapping[str, object]]) -> tuple[Node, ...]:
    """Those that are alive, from ``ray.nodes()``."""
    found = []
    for each in nodes:
        has, labels = each["Resources"], each.get("Labels") or {}
        if each["Alive"] and isinstance(has, Mapping) and isinstance(labels, Mapping):
            found.append(
                Node(
                    str(each["NodeID"]),
                    str(each["NodeManagerAddress"]),
                    float(has.get("CPU", 0)),
                    float(has.get("memory", 0)),
                    dict(labels),
                )
            )
    return tuple(found)


def selector(need: Need, draining: frozenset[str]) -> dict[str, str]:
    """The labels of nodes that may have a stream, as Ray selects them."""
    without = {NODE_ID: f"!in({','.join(sorted(draining))})"} if draining else {}
    return {**need.labels, **without}


def lacking(need: Need, cluster: ClusterState) -> str:
    """Why no node takes a stream; empty where that does not show."""
    fit = [node for node in cluster.nodes if node.id not in cluster.draining]
    free = cluster.free
    if not fit:
        return "no node is there that is not being drained"
    for name, value in need.labels.items():
        fit = [node for node in fit if node.labels.get(name) == value]
        if not fit:
            return f"no node has the label {name}={value}"
    if all(node.cores < need.cores for node in fit):
        most = max(node.cores for node in fit)
        return f"CPU: it needs {need.cores:g} cores, no node that it may run on has more than {most:g}"
    if all(node.memory < need.memory for node in fit):
        return f"memory: it needs {need.memory >> 20} MiB, no node that it may run on has so much"
    if free.get("CPU", 0.0) < need.cores:
        return f"CPU: it needs {need.cores:g} cores, {free.get('CPU', 0.0):g} are free in the whole cluster"
    if free.get("memory", 0.0) < need.memory:
        return f"memory: it needs {need.memory >> 20} MiB, so much is not free in the whole cluster"
    return ""
