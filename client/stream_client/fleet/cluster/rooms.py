"""Room that is reserved for a stream on some node: what other programs of the cluster then do not get.

Ray finds the node and keeps the books, with placement groups of one bundle each. They start no process.
"""

from collections.abc import Mapping
from typing import Any

from stream_client.fleet.cluster.placement import Need, selector


class Rooms:
    """Those of one fleet, by the names of what they are for. For one thread at a time."""

    def __init__(self, fleet: str) -> None:
        from ray import util

        self._ray = util
        self._fleet = fleet

    def reserve(self, name: str, need: Need, draining: frozenset[str]) -> None:
        """Wait for room on a node that has what is needed. Returns at once."""
        self._ray.placement_group(
            [{"CPU": need.cores, "memory": need.memory}],
            name=self._full(name),
            lifetime="detached",  # it outlives the supervisor
            bundle_label_selector=[selector(need, draining)],
        )

    def is_reserved(self, name: str) -> bool:
        """Whether there is room of that name, or somebody waits for it."""
        return self._group(name) is not None

    def free(self, name: str) -> None:
        """Give it back; nothing where there is none."""
        group = self._group(name)
        if group is not None:
            self._ray.remove_placement_group(group)

    def found(self) -> Mapping[str, str]:
        """The ids of the nodes on which there is room, by names."""
        groups: Mapping[str, Any] = self._ray.placement_group_table()
        prefix = self._full("")
        return {
            each["name"].removeprefix(prefix): each["bundles_to_node_id"][0]
            for each in groups.values()
            if each["state"] == "CREATED" and each["name"].startswith(prefix)
        }

    def _group(self, name: str) -> Any:
        try:
            return self._ray.get_placement_group(self._full(name))
        except ValueError:
            return None

    def _full(self, name: str) -> str:
        return f"{self._fleet}: {name}"
