"""StreamClient against the graph server with injected faults: every frame is accounted for."""

from typing import Any

import pytest

from stream_client import Result, RunOptions, StreamClient, TransportOptions
from tests.support.graph_server import graph_server
from tests.support.video import picture

FRAMES = 30


@pytest.mark.parametrize("api", ["stream", "unary"])
@pytest.mark.parametrize(
    "faults",
    [
        ("drop=0.1",),
        ("duplicate=0.5",),
        ("reorder",),
        ("delay=5", "reorder", "duplicate=0.2", "drop=0.1"),
        ("error=0.1",),
    ],
)
def test_every_frame_is_accounted_for_whatever_the_server_does(faults: tuple[str, ...], api: Any) -> None:
    images = (picture(index) for index in range(FRAMES))
    results: list[Result] = []
    lossy = any(fault.startswith(("drop", "error")) for fault in faults)
    with graph_server(*faults) as server:
        transport = TransportOptions(server.address, api=api, model_name="passThrough")
        # What does come is waited for, however loaded the machine.
        times = {"request_timeout": 1.0} if lossy else {"request_timeout": 20.0, "join_timeout": 20.0}
        options = RunOptions(max_inflight=4, drop_policy="block", **times)  # type: ignore[arg-type]
        ledger = StreamClient(lambda: next(images, None), results.append, transport, options=options).run().ledger
    assert ledger.entered == FRAMES
    assert ledger.delivered == len(results)
    assert ledger.delivered + sum(ledger.dropped.values()) + sum(ledger.failed.values()) == FRAMES
    indices = [result.frame.index for result in results]
    assert indices == sorted(set(indices))
    if not lossy:
        assert ledger.delivered == FRAMES
