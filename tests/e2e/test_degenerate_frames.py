"""Degenerate frames, forty for each shipped graph; `make degenerate` sends a thousand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.degenerate_frames import GRAPHS, MOUNTS, outcome
from tests.support.graph_server import graph_server_process


@pytest.fixture(scope="module", params=GRAPHS, ids=lambda config: config.name)
def served(request: pytest.FixtureRequest, models_dir: Path) -> Iterator[tuple[str, Path]]:
    """Address and configuration of a server of the shipped graphs."""
    config: Path = request.param
    with graph_server_process("--config_path", str(config), *MOUNTS.get(config, ())) as server:
        yield server.address, config


@pytest.mark.timeout(600)
def test_every_degenerate_frame_is_answered_and_no_session_ends(served: tuple[str, Path]) -> None:
    address, config = served
    for graph in GRAPHS[config]:
        found = outcome(address, config, graph, count=40, seed=2)
        assert found.sound, (graph, found)
