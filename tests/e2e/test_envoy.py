"""Graph servers behind the real Envoy, with the configuration of deploy/envoy: one address for all."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph_server.server import GraphServer
from stream_client import Result, RunOptions, StreamClient, TransportOptions
from stream_client.transport.options import Api
from tests.support.envoy import CONFIGURATION, Envoy, program
from tests.support.graph_server import graph_server
from tests.support.ports import free_port
from tests.support.video import picture
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment
both = pytest.mark.parametrize("api", ["stream", "unary"])
FRAMES = 60
SIZE = (192, 144)
"""Pixels: large enough for shared memory, which has to be left behind a balancer."""


@pytest.fixture
def servers() -> Iterator[Callable[..., GraphServer]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(graph_server("delay=10", **{"rest_port": 0, **options}))


def addresses(*servers: GraphServer) -> list[tuple[str, str]]:
    return [(server.address, str(server.rest_address)) for server in servers]


class Streams:
    """Clients that stream until :meth:`finish`."""

    def __init__(self, address: str, count: int) -> None:
        self._going = True
        options = RunOptions(drop_policy="block", max_inflight=2)
        self.clients = [
            StreamClient(self._read, [], TransportOptions(address, model_name="passThrough"), options=options)
            for _ in range(count)
        ]
        for client in self.clients:
            client.start()

    def _read(self) -> Any:
        time.sleep(0.02)
        return picture(0) if self._going else None

    def finish(self) -> None:
        self._going = False
        for client in self.clients:
            client.wait()


def test_envoy_takes_the_configuration_as_it_is_shipped() -> None:
    command = [str(program()), "--mode", "validate", "-c", str(CONFIGURATION)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@both
@pytest.mark.parametrize("what", ["killed", "drained"])
def test_a_file_loses_nothing_when_a_server_behind_envoy_goes(
    servers: Callable[..., GraphServer], tmp_path: Path, api: Api, what: str
) -> None:
    three = [servers() for _ in range(3)]
    gone: list[GraphServer] = []

    def frames() -> Iterator[Any]:
        for index in range(FRAMES):
            if index == 20:
                busy = wait_until(
                    lambda: [host for host, of in envoy.hosts().items() if of["rq_active"] or api == "unary"]
                )
                gone.append(next(server for server in three if server.address == busy[0]))
                gone[0].stop(0) if what == "killed" else gone[0].drain()
            if index == 40:
                wait_until(lambda: gone[0].address not in envoy.hosts())
            yield picture(index, *SIZE)

    results: list[Result] = []
    with Envoy(tmp_path, addresses(*three)) as envoy:
        envoy.wait_for(3)
        transport = TransportOptions(envoy.address, model_name="passThrough", api=api)
        ledger = StreamClient(frames(), results.append, transport, options=RunOptions(request_timeout=20)).run().ledger
        assert ledger.delivered == FRAMES
        assert [result.frame.index for result in results] == list(range(FRAMES))
        assert all(np.array_equal(result.image, picture(result.frame.index, *SIZE)) for result in results)
        answered = [of["rq_success"] for host, of in envoy.hosts().items() if host != gone[0].address]
        assert api == "stream" or all(answered)


def test_sessions_are_spread_and_move_when_a_drained_server_ends(
    servers: Callable[..., GraphServer], tmp_path: Path
) -> None:
    """Not always evenly: a light call that is open when a session begins counts as much as a session."""
    three = [servers() for _ in range(3)]

    def spread(count: int) -> bool:
        active = [of["rq_active"] for of in envoy.hosts().values()]
        return len(active) == count and min(active) > 0 and sum(active) >= 6

    with Envoy(tmp_path, addresses(*three)) as envoy:
        envoy.wait_for(3)
        streams = Streams(envoy.address, 6)
        try:
            wait_until(lambda: spread(3))
            three[0].drain()
            wait_until(lambda: len(envoy.hosts()) == 2)
            three[0].stop(0)
            wait_until(lambda: spread(2))
        finally:
            streams.finish()


def test_a_server_that_is_added_gets_sessions_when_old_ones_end(
    servers: Callable[..., GraphServer], tmp_path: Path
) -> None:
    first, port, rest_port = servers(), free_port(), free_port()
    late = (f"127.0.0.1:{port}", f"127.0.0.1:{rest_port}")
    with Envoy(tmp_path, [*addresses(first), late], session_seconds=1) as envoy:
        envoy.wait_for(1)
        streams = Streams(envoy.address, 2)
        try:
            servers(port=port, rest_port=rest_port)
            wait_until(lambda: envoy.hosts().get(late[0], {}).get("rq_active"))
        finally:
            streams.finish()
