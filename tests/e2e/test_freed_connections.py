"""What belongs to a lost connection is freed with it, and not when the garbage collector runs: it may never."""

import gc
import os
from collections.abc import Iterator
from contextlib import suppress

import av
import pytest

from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.frames import Result
from tests.support.graph_server import KilledServer
from tests.support.rtsp_server import PATTERN, RtspServer
from tests.support.waiting import wait_until

CUTS = 2


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def decoders() -> int:
    # By its type: an object of PyTorch warns where `isinstance` asks for its class.
    return sum(issubclass(type(found), av.VideoCodecContext) for found in gc.get_objects())


def shared_files() -> int:
    """Descriptors of shared memory that this process has open."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # closed meanwhile
            count += "ovms-stream-client" in os.readlink(f"/proc/self/fd/{name}")
    return count


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("no_collection")
def test_lost_sources_and_servers_leave_no_decoder_and_no_memory() -> None:
    server = KilledServer()
    delivered = 0

    def count(result: Result) -> None:
        nonlocal delivered
        delivered += 1

    with RtspServer(play={"camera": PATTERN.replace("width=160,height=120", "width=640,height=480")}) as source:
        transport = TransportOptions(server.address, model_name="passThrough")
        options = RunOptions(max_inflight=1)  # each frame in flight has memory of its own
        client = StreamClient(source.url("camera"), count, transport, options=options)
        client.start()

        def wait_for_frames() -> None:
            before = delivered
            wait_until(lambda: delivered > before + 10)

        wait_for_frames()
        before = decoders(), shared_files()
        for cut in range(1, CUTS + 1):
            for name, cuttable in (("source", source), ("server", server)):
                cuttable.kill()
                wait_until(lambda name=name: client.connections[name].state != "live")  # type: ignore[misc]
                cuttable.start()
                wait_until(lambda name=name, cut=cut: client.connections[name].reconnections >= cut)  # type: ignore[misc]
                wait_for_frames()
        after = decoders(), shared_files()
        client.stop()
        client.wait()
    server.kill()
    assert before == after
    assert before[0] > 0
    assert before[1] > 0
