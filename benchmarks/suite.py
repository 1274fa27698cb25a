"""What `make bench` measures: which benchmark with which arguments, and the ratios that the table shows of it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

Size = Literal["short", "full", "nightly"]
SIZES: tuple[Size, ...] = ("short", "full", "nightly")
"""Two minutes, less than half an hour, more than an hour; on two cores with nothing else to do."""
ROOT = Path(__file__).resolve().parents[1]
_TIMEOUT = 3600.0
_LACKING = 77
"""The exit status of a benchmark that this machine cannot run, as in tests/support/needs.py."""


@dataclass(frozen=True)
class Ratio:
    """A line of the table: ours over a peer's, under this key in the benchmark's report."""

    key: str
    says: str
    more: bool
    """More is better."""
    goal: float | None = None

    def met(self, value: float) -> bool | None:
        """Whether the goal is reached, where there is one."""
        if self.goal is None:
            return None
        return value >= self.goal if self.more else value <= self.goal


@dataclass(frozen=True)
class Measurement:
    """A benchmark with its arguments by size; a size that is left out does without it."""

    name: str
    script: str
    title: str
    peer: str
    ratios: tuple[Ratio, ...]
    arguments: Mapping[Size, tuple[str, ...]]
    ours: tuple[str, ...] | None = None
    """Further arguments that leave the peers out; a benchmark that cannot is not compared."""
    precision: str = "-"
    needs: frozenset[str] = frozenset()
    """Features of the processor, one of which it must have."""


class Lacking(Exception):
    """This machine cannot run a benchmark; the text says what it needs."""


class Failed(Exception):
    """A benchmark ended without a report; the text is its last line."""


def run(measurement: Measurement, arguments: tuple[str, ...], root: Path = ROOT) -> dict[str, Any]:
    """The report of a benchmark of the checkout ``root``, run in a process of its own.

    Raises :class:`Failed`, and :class:`Lacking`.

    A benchmark may end with a status other than 0 and have a report: then it found what it must not.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        script = root / "benchmarks" / f"{measurement.script}.py"
        packages = os.pathsep.join(str(root / name) for name in ("client", "server", "wire", ""))
        done = subprocess.run(
            [sys.executable, str(script), *arguments, "--json", str(report)],
            cwd=root,
            env=os.environ | {"PYTHONPATH": packages},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        if not report.exists():
            lines = done.stdout.strip().splitlines() or [f"ended with status {done.returncode}"]
            raise (Lacking if done.returncode == _LACKING else Failed)(lines[-1])
        found: dict[str, Any] = json.loads(report.read_text())
        return found


def _speed(name: str, says: str, precision: str, fast: bool) -> Measurement:
    flags = ("--precision", precision, *(("--fast",) if fast else ()))
    sizes: dict[Size, tuple[str, ...]] = {"full": (*flags, "--rounds", "5"), "nightly": (*flags, "--rounds", "9")}
    if not fast:
        sizes["short"] = (*flags, "--rounds", "2", "--frames", "45")
    needs = frozenset[str]() if precision == "f32" else frozenset({"avx512_bf16", "amx_bf16"})
    goal = (4.0 if needs else 3.0) if fast else 2.2
    return Measurement(
        name,
        "holistic_speed",
        f"Pose, hands and face{says}",
        "MediaPipe",
        (Ratio("sign_again", "frames/s, sign-again", True, goal), Ratio("dance", "frames/s, dance", True, goal)),
        sizes,
        ("--clients", "ours"),
        precision,
        needs,
    )


MEASUREMENTS = (
    Measurement(
        "client",
        "client_overhead",
        "The client's cost, 1920x1080 there and back",
        "tritonclient",
        (
            Ratio("throughput", "frames/s, shared memory", True, 3.0),
            Ratio("cpu", "CPU a frame, shared memory", False, 0.3),
            Ratio("throughput_of_grpc", "frames/s, gRPC", True, 1.9),
            Ratio("cpu_of_grpc", "CPU a frame, gRPC", False, 0.45),
            Ratio("throughput_of_grpc_against_8", "frames/s, gRPC, peer with 8 in flight", True),
            Ratio("cpu_of_grpc_against_8", "CPU a frame, gRPC, peer with 8 in flight", False),
        ),
        {
            "short": ("--frames", "100", "--rounds", "2", "--rows", "ours", "ours, gRPC", "peer"),
            "full": ("--rounds", "5", "--rows", "ours", "ours, gRPC", "peer", "peer, 8"),
            "nightly": ("--rounds", "9"),
        },
        ("--rows", "ours", "ours, gRPC"),
    ),
    Measurement(
        "latency",
        "latency_under_load",
        "Latency of a live source",
        "tritonclient",
        tuple(
            Ratio(f"latency_{point}_at_{speed}x", f"{point}, server at {speed} of the source's rate", False, goal)
            for speed, point, goal in (
                ("0.5", "p50", 0.05),
                ("0.5", "p95", 0.05),
                ("1", "p50", 1.0),
                ("1", "p95", 1.0),
                ("2", "p50", 1.0),
                ("2", "p95", 1.0),
            )
        ),
        {
            "short": ("--speeds", "0.5", "--seconds", "5"),
            "full": ("--seconds", "15"),
            "nightly": ("--seconds", "60"),
        },
        ("--clients", "ours"),
    ),
    Measurement(
        "wire",
        "wire",
        "A camera's H.264 passed on, data back",
        "tritonclient",
        (
            Ratio("bytes_h264_data_back_over_peer", "bytes a frame", False, 0.01),
            Ratio("cpu_a_frame_h264_data_back_over_peer", "CPU a frame", False, 0.1),
            Ratio("p50_h264_data_back_over_raw", "p50 over our raw frames'", False, 1.0),
        ),
        {
            "short": ("--seconds", "4", "--rows", "h264, data back", "peer"),
            "full": ("--seconds", "10", "--rows", "raw", "h264, data back", "peer"),
            "nightly": ("--seconds", "20"),
        },
        ("--rows", "raw", "h264, data back"),
    ),
    Measurement(
        "parity",
        "holistic_parity",
        "Distance of landmarks, of what is allowed",
        "MediaPipe",
        tuple(
            Ratio(f"{clip}.{part}", f"{part}, {clip}", False, 1.0)
            for clip in ("sign-again", "dance", "walk")
            for part in ("pose", "left_hand", "right_hand", "face")
        ),
        {"short": ("--frames", "60", "--clips", "dance"), "full": ("--frames", "60"), "nightly": ()},
        precision="shipped",
    ),
    _speed("holistic", "", "f32", fast=False),
    _speed("holistic_fast", ", --fast", "f32", fast=True),
    _speed("holistic_bf16", ", hands in bfloat16 in part", "shipped", fast=False),
    _speed("holistic_fast_bf16", ", --fast, hands in bfloat16 in part", "shipped", fast=True),
    Measurement(
        "end_to_end",
        "end_to_end",
        "From file to labeled file",
        "OpenCV and MediaPipe",
        (
            Ratio("end_to_end", "speed, with the start", True, 2.2),
            Ratio("first_frame", "seconds for a file of one frame, of 1", False, 1.0),
        ),
        {
            "short": ("--rounds", "1", "--clip", "sign-again"),
            "full": ("--rounds", "4"),
            "nightly": ("--rounds", "8"),
        },
        ("--clients", "ours"),
        "shipped",
    ),
    Measurement(
        "footprint",
        "server_footprint",
        "The graph server",
        "a limit",
        (
            Ratio("server_start", "seconds until ready, of 3", False, 1.0),
            Ratio("server_memory", "memory with 4 sessions, of 600 MB", False, 1.0),
        ),
        {"full": (), "nightly": ("--frames", "300")},
        (),
        "shipped",
    ),
    Measurement(
        "relay",
        "relay",
        "A relay by RTSP, 1280x720 at 30 frames/s",
        "GStreamer, ffmpeg",
        (
            Ratio("p50_of_gstreamer", "p50, of GStreamer's without a model server", False, 0.8),
            Ratio("p50_of_ffmpeg_tuned", "p50, of ffmpeg's, tuned", False, 0.5),
            Ratio("cpu_of_gstreamer", "CPU, of GStreamer's", False, 1.2),
            Ratio("i420_cpu_of_gstreamer", "CPU with planes on the wire, of GStreamer's", False, 1.2),
        ),
        {"full": ("--seconds", "10"), "nightly": ()},
    ),
    Measurement(
        "live_lines",
        "live_lines",
        "Thin lines: age of what a viewer sees",
        "a limit",
        (
            Ratio("p99_at_0.5_of_1_s", "p99 at half of what frames want, of 1 s", False, 1.0),
            Ratio("p99_at_2_over_unlimited_of_0.1_s", "p99 at twice that over a free line's, of 0.1 s", False, 1.0),
            Ratio("frames_at_0.5_of_15", "frames/s at half, of 15", True, 1.0),
        ),
        {"full": ("--seconds", "10", "--warm", "8", "--shares", "0.5", "2"), "nightly": ()},
    ),
    Measurement(
        "outputs",
        "outputs",
        "RTSP, HLS and a file at once",
        "RTSP alone",
        (Ratio("cpu_of_three_outputs", "CPU a frame", False, 1.15),),
        {"full": (), "nightly": ("--rounds", "9")},
        (),
    ),
    Measurement(
        "scale",
        "scale",
        "Replicas",
        "so many times one",
        tuple(
            Ratio(f"own_{api}_{count}", f"{count} replicas, {api}", True, 0.9)
            for api in ("unary", "stream")
            for count in (2, 4, 8)
        ),
        {"full": ("--ways", "own", "--replicas", "1", "4", "--seconds", "5"), "nightly": ()},
    ),
)
