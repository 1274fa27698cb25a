"""What a stream needs of a node, and why it gets none."""

import re

import pytest

from stream_client.fleet.cluster.placement import ClusterState, Need, Node, lacking, need_of, selector
from stream_client.fleet.cluster.store import Kept
from stream_client.fleet.plan import StreamPlan

NODES = (
    Node("a1", "10.0.0.1", 4, 8 << 30, {"site": "north"}),
    Node("b2", "10.0.0.2", 2, 4 << 30, {"site": "south"}),
)
FREE = {"CPU": 6.0, "memory": float(12 << 30)}


def test_a_stream_needs_what_it_took_and_some_more() -> None:
    plan = StreamPlan("door", {}, {"site": "north"})
    assert need_of(Kept(plan)) == Need(0.25, 300 << 20, {"site": "north"})
    assert need_of(Kept(plan, cores=0.4, memory=200 << 20)) == Need(0.5, 250 << 20, {"site": "north"})
    assert need_of(Kept(plan, cores=0.0, memory=200 << 20)).cores == 0.05


@pytest.mark.parametrize(
    ("need", "draining", "free", "text"),
    [
        (Need(1, 1 << 30, {}), "", FREE, ""),
        (Need(1, 1 << 30, {"site": "west"}), "", FREE, "no node has the label site=west"),
        (Need(1, 1 << 30, {"site": "north"}), "a1", FREE, "no node has the label site=north"),
        (Need(1, 1 << 30, {}), "a1 b2", FREE, "no node is there that is not being drained"),
        (Need(3, 1 << 30, {"site": "south"}), "", FREE, "CPU: it needs 3 cores, no node .* has more than 2"),
        (Need(1, 6 << 30, {"site": "south"}), "", FREE, "memory: it needs 6144 MiB, no node"),
        (Need(1, 1 << 30, {}), "", {**FREE, "CPU": 0.5}, "CPU: it needs 1 cores, 0.5 are free in the whole cluster"),
        (Need(1, 1 << 30, {}), "", {"CPU": 6.0}, "memory: it needs 1024 MiB, so much is not free"),
    ],
)
def test_what_is_lacking_is_named(need: Need, draining: str, free: dict[str, float], text: str) -> None:
    found = lacking(need, ClusterState(NODES, frozenset(draining.split()), free))
    assert re.match(text, found) if text else found == ""


def test_nodes_that_are_drained_are_left_out() -> None:
    need = Need(1, 1, {"site": "north"})
    assert selector(need, frozenset()) == {"site": "north"}
    assert selector(need, frozenset({"b", "a"})) == {"site": "north", "ray.io/node-id": "!in(a,b)"}
