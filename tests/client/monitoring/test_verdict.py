"""The sentence after a run names what held it back. Culprits are injected into real runs."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.cli.command import main
from stream_client.frames import Stamps
from stream_client.monitoring.histogram import HistogramSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.lines import LineSnapshot
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.monitoring.stages import STAGES
from stream_client.monitoring.statistics import Statistics, StatisticsSnapshot
from stream_client.monitoring.verdict import Conditions, Verdict, verdict
from stream_client.replicas.snapshot import ReplicaSnapshot
from tests.support.kserve_server import ScriptedServer, answer, slow
from tests.support.narrow_link import LongLink, NarrowLink
from tests.support.video import picture


def judge(
    frames: Iterator[Any],
    address: str,
    sinks: Any = (),
    *,
    api: Any = "stream",
    window: Any = "auto",
    size: int = 64,
    policy: Any = "block",
) -> Verdict:
    """The verdict on a real run over all ``frames``."""
    statistics = Statistics()
    options = RunOptions(max_inflight=window, drop_policy=policy, request_timeout=60)
    transport = TransportOptions(address, api=api, model_name="graph")
    summary = StreamClient(frames, sinks, transport, options=options, observers=[statistics]).run()
    found = verdict(
        statistics.snapshot(), Conditions(size, size * 9 // 16, window == "auto", False, summary.upload_rate)
    )
    assert found is not None
    return found


def pictures(count: int, pause: float = 0.0) -> Iterator[Any]:
    for index in range(count):
        time.sleep(pause)
        yield picture(index)


def test_a_slow_server_is_named(server: ScriptedServer) -> None:
    server.script = slow(0.05)
    found = judge(pictures(20), server.address)
    assert found.culprit == "server"
    assert found.sentence.endswith("of the latency is the server: add replicas or a smaller model")


def test_a_slow_server_is_named_though_a_live_source_is_waited_for_all_the_time(server: ScriptedServer) -> None:
    server.script = slow(0.05)
    found = judge(pictures(60, pause=0.01), server.address, policy="latest")
    assert found.culprit == "server"


def test_a_slow_sink_is_named(server: ScriptedServer) -> None:
    def paint(result: object) -> None:
        threading.Event().wait(0.05)

    found = judge(pictures(20), server.address, [lambda result: None, paint])
    assert found.culprit == "sink"
    assert "function paint" in found.sentence


def test_a_slow_source_is_named(server: ScriptedServer) -> None:
    found = judge(pictures(20, pause=0.05), server.address)
    assert found.culprit == "source"
    assert "frames/s" in found.sentence


def test_a_line_that_is_too_narrow_is_named_with_a_size_to_try(server: ScriptedServer) -> None:
    def scores(request: Any, number: int) -> Iterator[Any]:
        yield answer(request, "label_scores")

    server.outputs, server.script = ["label_scores"], scores
    frame = np.zeros((2160, 3840, 3), np.uint8)  # far larger than the buffers on the way
    with NarrowLink(server.address, rate=60e6) as link:
        found = judge((frame for _ in range(9)), link.address, size=3840)
    assert found.culprit == "server_line"
    assert "of the latency is the line to the server, which carries " in found.sentence
    assert found.sentence.endswith(" Mbit/s: send smaller frames")
    assert (found.option, found.value) == ("max_side", 1920)


def test_a_small_window_is_named(server: ScriptedServer) -> None:
    server.script = slow(0.05)  # each call by a thread of its own
    found = judge(pictures(20), server.address, api="unary", window=1)
    assert found.culprit == "window"
    assert found.sentence.endswith("let the window find itself")
    assert (found.option, found.value) == ("max_inflight", "auto")


def test_the_same_server_with_a_window_that_finds_itself_is_not_blamed_on_the_window(server: ScriptedServer) -> None:
    server.script = slow(0.05)
    assert judge(pictures(20), server.address, api="unary").culprit != "window"


def test_a_server_with_a_queue_is_blamed_and_not_the_window(server: ScriptedServer) -> None:
    server.script = slow(0.05)  # in a stream, one after the other
    assert judge(pictures(20), server.address, window=6).culprit == "server"


def test_it_is_printed_after_a_run(clip: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.script = slow(0.02)
    flags = ["--input_stream", str(clip), "--output_stream", "none", "--grpc_address", server.address]
    assert main([*flags, "--model_name", "graph"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("verdict: ")]
    assert "the server" in line


# --- the words, from numbers alone


def run(stages: dict[str, float], **changes: Any) -> StatisticsSnapshot:
    """Ten frames that spent ``stages`` seconds each in the stages named."""
    statistics = Statistics(lambda: 0.0)
    statistics.entered()
    at = [0.0]
    for stage in STAGES:
        at.append(at[-1] + stages.get(stage, 0.0))
    for _ in range(10):
        statistics.delivered(Stamps(*at))
    statistics.started("in", "graph", lambda: LedgerSnapshot(entered=10, delivered=10))
    counted = statistics.snapshot()
    return replace(counted, **{"elapsed": 100.0, "bytes_sent": 10, "bytes_received": 10, **changes})


@pytest.mark.parametrize(
    ("stage", "culprit"),
    [
        ("capture", "frame_size"),
        ("convert", "frame_size"),
        ("serialise", "frame_size"),
        ("round_trip", "server"),
        ("deserialise", "frame_size"),
        ("join", "join"),
        ("dispatch", "sink"),
        ("postprocess", "postprocess"),
    ],
)
def test_the_longest_stage_is_put_to_the_account_of_its_cause(stage: str, culprit: str) -> None:
    found = verdict(run({**dict.fromkeys(STAGES, 0.001), stage: 0.03}), Conditions(1920, 1080, adaptive=True))
    assert found is not None
    assert found.culprit == culprit
    assert found.share > 0.7
    assert found.sentence.startswith(f"{found.share:.0%} of the latency is ")


def test_waiting_to_be_sent_is_the_fault_of_what_comes_behind() -> None:
    found = verdict(run({"queue": 0.08, "round_trip": 0.015, "serialise": 0.005}), Conditions(640, 360, adaptive=True))
    assert found is not None
    assert (found.culprit, found.share) == ("server", pytest.approx(0.75))


def test_the_part_of_the_round_trip_that_moves_bytes_is_the_lines_fault() -> None:
    counted = run({"round_trip": 0.1}, bytes_sent=60_000_000, bytes_received=20_000_000)
    narrow = verdict(counted, Conditions(1920, 1080, adaptive=True, upload_rate=1e8))
    wide = verdict(counted, Conditions(1920, 1080, adaptive=True, upload_rate=1e9))
    assert narrow is not None
    assert wide is not None
    assert (narrow.culprit, narrow.share) == ("server_line", pytest.approx(0.8))
    assert (wide.culprit, wide.share) == ("server", pytest.approx(0.92))


def line(distance: float, loaded: float) -> LineSnapshot:
    return LineSnapshot(HistogramSnapshot((), (), 0.0), distance, 0.0005, loaded)


def test_a_round_trip_that_is_long_without_frames_is_distance() -> None:
    found = verdict(run({"round_trip": 0.1}, line=line(0.09, 0.001)), Conditions(640, 360, adaptive=True))
    assert found is not None
    assert (found.culprit, found.share) == ("distance", pytest.approx(0.9))
    assert found.sentence == (
        "90% of the latency is distance: a request without a frame takes 90 ms to the server and back; "
        "take a server that is nearer"
    )


def test_a_handshake_that_waits_beside_frames_shows_that_the_line_is_full() -> None:
    sent = run({"round_trip": 0.4}, line=line(0.001, 0.02), bytes_sent=61_250_000, elapsed=10.0)
    found = verdict(replace(sent, ledger=LedgerSnapshot(40, 10)), Conditions(640, 480, adaptive=True, live=True))
    assert found is not None
    assert (found.culprit, found.share) == ("server_line", pytest.approx(0.9975))
    assert found.sentence.endswith("which carries 49 Mbit/s and the frames want 196: send smaller frames")
    assert (found.option, found.value) == ("max_side", 320)


def test_a_handshake_that_is_as_quick_as_ever_shows_that_the_server_is_busy() -> None:
    found = verdict(run({"round_trip": 0.4}, line=line(0.001, 0.002)), Conditions(640, 480, adaptive=True, live=True))
    assert found is not None
    assert found.culprit == "server"


def test_a_full_line_is_not_blamed_on_a_fixed_window() -> None:
    full = run({"round_trip": 0.4}, line=line(0.001, 0.02), window_full=95.0, bytes_sent=600_000_000)
    assert verdict(full, Conditions(640, 480, adaptive=False)).culprit == "server_line"  # type: ignore[union-attr]
    free = run({"round_trip": 0.4}, line=line(0.001, 0.002), window_full=95.0)
    assert verdict(free, Conditions(640, 480, adaptive=False)).culprit == "window"  # type: ignore[union-attr]


def test_a_smaller_size_is_advised_only_where_something_would_be_left_to_see() -> None:
    small = verdict(run({"convert": 0.1}), Conditions(320, 240, adaptive=True))
    large = verdict(run({"convert": 0.1}), Conditions(3840, 2160, adaptive=True))
    assert small is not None
    assert large is not None
    assert small.option is None
    assert (large.option, large.value) == ("max_side", 1920)


def test_a_live_source_that_is_waited_for_is_good_news() -> None:
    reads = HistogramSnapshot((10.0,), (10, 0), 97.0)
    found = verdict(run({"round_trip": 0.1}, source_reads=reads), Conditions(640, 360, adaptive=True, live=True))
    assert found is not None
    assert found.culprit == "source"
    assert "everything else keeps up" in found.sentence


def test_passwords_in_names_of_sinks_are_left_out() -> None:
    writes = {"rtsp://user:secret@host/x": HistogramSnapshot((10.0,), (10, 0), 97.0)}
    found = verdict(run({"round_trip": 0.1}, sink_writes=writes), Conditions(640, 360, adaptive=True))
    assert found is not None
    assert found.culprit == "sink"
    assert "secret" not in found.sentence


def test_too_few_frames_have_no_verdict() -> None:
    assert verdict(Statistics().snapshot(), Conditions(640, 360, adaptive=True)) is None
    assert (
        verdict(
            run({"round_trip": 0.1}, ledger=LedgerSnapshot(entered=4, delivered=4)), Conditions(640, 360, adaptive=True)
        )
        is None
    )


def test_an_output_whose_line_is_the_limit_is_named_with_what_it_carries() -> None:
    slow = OutputSnapshot(sent=10, line_rate=190_000.0, wanted_rate=300_000.0, limited=60.0)
    found = verdict(
        run({"round_trip": 0.1}, outputs={"none": OutputSnapshot(sent=10), "rtsp://host/x": slow}),
        Conditions(640, 360, adaptive=True),
    )
    assert found is not None
    assert found.culprit == "line"
    assert found.sentence.startswith("the line to rtsp://host/x carries 190 kbit/s and the frames want 300: ")


def test_a_line_that_was_the_limit_for_a_moment_is_not_named() -> None:
    short = OutputSnapshot(sent=10, line_rate=190_000.0, wanted_rate=300_000.0, limited=5.0)
    found = verdict(run({"round_trip": 0.1}, outputs={"rtsp://host/x": short}), Conditions(640, 360, adaptive=True))
    assert found is not None
    assert found.culprit != "line"


# --- several servers


def of_several(near: ReplicaSnapshot, far: ReplicaSnapshot, **lines: LineSnapshot) -> Verdict:
    """The verdict on ten frames of 0.1 s each, by two servers."""
    counted = run({"round_trip": 0.1}, replicas=(near, far), lines=lines, bytes_sent=61_250_000, elapsed=10.0)
    found = verdict(counted, Conditions(640, 480, adaptive=True))
    assert found is not None
    return found


def used(address: str, seconds: float) -> ReplicaSnapshot:
    return ReplicaSnapshot(address, "ready", answered=5, p50=seconds)


def test_of_several_servers_the_far_one_is_named_as_distance() -> None:
    found = of_several(used("a", 0.01), used("b", 0.19), a=line(0.001, 0.001), b=line(0.18, 0.001))
    assert found.culprit == "distance"
    assert found.sentence.endswith("takes 180 ms to b and back; take a server that is nearer")


def test_of_several_servers_that_behind_a_full_line_is_named() -> None:
    found = of_several(used("a", 0.01), used("b", 0.19), a=line(0.001, 0.001), b=line(0.001, 0.02))
    assert found.culprit == "server_line"
    assert "the line to b, which carries 24 Mbit/s: send smaller frames, or leave that server out" in found.sentence


def test_of_several_servers_the_slow_one_is_named_and_equals_are_not() -> None:
    free = {"a": line(0.001, 0.001), "b": line(0.001, 0.001)}
    slow_one = of_several(used("a", 0.01), used("b", 0.19), **free)
    equals = of_several(used("a", 0.1), used("b", 0.1), **free)
    assert (slow_one.culprit, equals.culprit) == ("server", "server")
    assert "the server b, which takes 190 ms for a frame and the others 10: look at that one" in slow_one.sentence
    assert "add replicas or a smaller model" in equals.sentence


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_a_run_with_two_servers_that_are_far_names_one_of_them(server: ScriptedServer, api: Any) -> None:
    with ScriptedServer() as other, LongLink(server.address, 0.1) as far, LongLink(other.address, 0.15) as farther:
        names = far.address, farther.address
        found = judge(pictures(60, pause=0.05), ",".join(names), api=api, policy="latest")
    assert found.culprit == "distance"
    assert any(f"to {name} and back" in found.sentence for name in names)
