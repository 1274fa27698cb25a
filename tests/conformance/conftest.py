"""The server that the rules are checked against: ``OVMS_ADDRESS``, or our own with this folder's configuration."""

import os
from collections.abc import Iterator

import grpc
import pytest

from tests.conformance.wire import Wire
from tests.conftest import ASSUMPTION
from tests.support.graph_server import CONFORMANCE, graph_server_process

FOREIGN = os.environ.get("OVMS_ADDRESS")
"""``host:port`` of a server to check instead of our own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An assumption is reported at the end; that another server does not share it is no failure of that server."""
    for item in items:
        marker = item.get_closest_marker("assumption")
        if marker is not None:
            item.user_properties.append((ASSUMPTION, marker.args[0]))
            if FOREIGN:
                item.add_marker(pytest.mark.xfail(reason=f"an assumption: {marker.args[0]}", strict=False))


@pytest.fixture(scope="session")
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """``host:port`` of a server with the graphs of ``config.json``."""
    if FOREIGN:
        with grpc.insecure_channel(FOREIGN) as channel:
            try:
                grpc.channel_ready_future(channel).result(20)
            except grpc.FutureTimeoutError:
                pytest.exit(f"no gRPC server answers at {FOREIGN} (OVMS_ADDRESS)", returncode=1)
        yield FOREIGN
        return
    request.getfixturevalue("models_dir")
    with graph_server_process(*CONFORMANCE) as server:
        yield server.address


@pytest.fixture
def wire(address: str) -> Iterator[Wire]:
    """A connection of the test's own."""
    made = Wire(address)
    yield made
    made.disconnect()


@pytest.fixture(autouse=True)
def graphs(request: pytest.FixtureRequest, wire: Wire) -> None:
    """Skip a rule about graphs that a foreign server does not serve."""
    needed = {name for marker in request.node.iter_markers("graphs") for name in marker.args}
    for name in sorted(needed) if FOREIGN else ():
        try:
            served = wire.call("ModelReady", name=name).ready
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            served = False
        if not served:
            pytest.skip(f"{FOREIGN} does not serve {name}: start it with tests/conformance/config.json")
