"""Mutated requests and broken connections, a few thousand of them; `make fuzz` makes 100,000."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from graph_server.service.admission import Limits
from tests.fuzz.attack import break_off, fuzz_in_parallel, is_served, resident_mib
from tests.fuzz.mutator import Mutator, recorded_requests
from tests.support.calls import streaming
from tests.support.graph_server import CONFORMANCE, graph_server_process, request


@pytest.fixture(scope="module")
def running(models_dir: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a server of its own process."""
    with graph_server_process(*CONFORMANCE) as server:
        yield server.address, server.pid


def all_sessions_are_free(address: str) -> None:
    """As many sessions as the limit allows are served at once: none is lost."""
    with grpc.insecure_channel(address) as channel:
        gate = streaming(channel)
        for _ in range(100):
            calls = [gate(iter([request(1).SerializeToString()]), timeout=30) for _ in range(Limits().sessions)]
            for call in calls:
                with contextlib.suppress(grpc.RpcError):
                    list(call)
            codes = {call.code() for call in calls}
            if codes == {grpc.StatusCode.OK}:
                return
            # The server may still be at work for those that vanished.
            assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    pytest.fail("sessions are lost")


def test_mutated_requests_are_answered_and_leave_nothing_behind(running: tuple[str, int]) -> None:
    address, process = running
    first = fuzz_in_parallel(address, 1000, seed=10)
    before = resident_mib(process)
    then = fuzz_in_parallel(address, 3000, seed=20)
    assert (first.faults, then.faults) == ([], [])
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= set(then.codes)
    assert resident_mib(process) - before < 150
    all_sessions_are_free(address)


def test_200_connections_that_break_off_at_random_points_leave_nothing_behind(running: tuple[str, int]) -> None:
    address, process = running
    break_off(address, 20, seed=1)
    before = resident_mib(process)
    break_off(address, 200, seed=2)
    assert is_served(address, frames=50)
    all_sessions_are_free(address)
    assert resident_mib(process) - before < 100


def test_the_same_seed_makes_the_same_mutations() -> None:
    recorded = recorded_requests()
    one, two, other = Mutator(recorded, 3), Mutator(recorded, 3), Mutator(recorded, 4)
    calls = [one.call() for _ in range(50)]
    assert calls == [two.call() for _ in range(50)]
    assert calls != [other.call() for _ in range(50)]
