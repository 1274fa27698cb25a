"""What each release of OVMS can do.

Sources: OVMS's tags v2023.1 to v2026.3, and its release notes of 2026.4.0 and 2026.4.1.
"""

import re
from dataclasses import dataclass, fields

NAME = "OpenVINO Model Server"
"""How OVMS names itself in its metadata. The graph server has that name too."""

Release = tuple[int, int]
"""Year and number: 2026.4.1 is (2026, 4)."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server of one release has."""

    holistic_calculators: bool
    """The calculators of the holistic and iris graphs. OVMS announced their end for the release after 2026.4."""
    python_nodes: bool
    """Graphs with Python nodes, in images with Python."""
    graph_pools: bool
    """Pools of graphs, which keep a graph's state from stream to stream."""
    idle_unloading: bool
    """Models and graphs that are unloaded when idle, and loaded again for the next request."""
    nv12: bool
    """``color_format`` of models, also NV12 and I420."""
    tfs: bool
    """TensorFlow Serving's API, for ovmsclient."""

    def __str__(self) -> str:
        """What is there, and what is not: ``python nodes, graph pools; no tfs``."""
        there, missing = (
            ", ".join(field.name.replace("_", " ") for field in fields(self) if getattr(self, field.name) is wanted)
            for wanted in (True, False)
        )
        return "; no ".join(part for part in (there, missing) if part)


_SPANS: dict[str, tuple[Release, Release | None]] = {
    "holistic_calculators": ((2023, 1), (2026, 4)),
    "python_nodes": ((2023, 3), None),
    "graph_pools": ((2026, 2), None),
    "idle_unloading": ((2026, 4), None),
    "nv12": ((2026, 0), None),
    "tfs": ((2018, 1), (2026, 2)),
}
"""The first and the last release with each capability."""


def release_of(name: str, version: str) -> Release | None:
    """The release of OVMS from a server's metadata. ``None`` for other servers, as the graph server."""
    found = re.match(r"(20[0-9]{2})\.([0-9]{1,2})(?:\.|$)", version)
    return (int(found[1]), int(found[2])) if found is not None and name == NAME else None


def capabilities(release: Release) -> Capabilities:
    """What OVMS of this release has."""
    return Capabilities(
        **{name: first <= release and (last is None or release <= last) for name, (first, last) in _SPANS.items()}
    )
