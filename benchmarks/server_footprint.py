"""How long the graph server takes to be ready, and its memory with the holistic graph and several sessions.

The peer is a limit: 3 s with OpenVINO's cache warm, 600 MB with 4 sessions. Ratios below 1 keep within it.
"""

import argparse
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import tritonclient.grpc as triton
from client_bench import report_ratios

from graph_server.assets import ensure_clip
from stream_client.embedded import EmbeddedServer

START_SECONDS, MEMORY_MB = 3.0, 600.0
WINDOW = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, nargs="?", help="a video file (default: the demo's clip)")
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with av.open(str(options.clip or ensure_clip())) as video:
        decoded = (frame.to_ndarray(format="rgb24") for frame in video.decode(video=0))
        frames = [frame for frame, _ in zip(decoded, range(options.frames), strict=False)]
    started()  # fills OpenVINO's cache
    seconds, peaks = started(), footprint(frames, options.sessions)
    height, width = frames[0].shape[:2]
    print(f"ready after {seconds:.2f} s with a warm cache; {width}x{height}, {WINDOW} frames in flight a session")
    print(f"{'sessions':>8}  peak MB")
    for sessions, peak in peaks.items():
        print(f"{sessions:>8}  {peak:7.0f}")
    ratios = {"server_start": seconds / START_SECONDS, "server_memory": peaks[options.sessions] / MEMORY_MB}
    ours = {"start, seconds": seconds} | {f"{sessions} sessions, peak MB": peak for sessions, peak in peaks.items()}
    report_ratios(ratios, options.json, ours=ours, start_seconds=seconds, peak_mb=peaks)


def peak_mb(server: EmbeddedServer) -> float:
    """The most memory that the server's process has had so far."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def started() -> float:
    """Seconds until a server is ready."""
    begun = time.perf_counter()
    with EmbeddedServer():
        return time.perf_counter() - begun


def footprint(frames: list[Any], most: int) -> dict[int, float]:
    peaks = {}
    with EmbeddedServer() as server:
        peaks[0] = peak_mb(server)
        for sessions in dict.fromkeys((1, most)):
            threads = [threading.Thread(target=run_session, args=(server.address, frames)) for _ in range(sessions)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            peaks[sessions] = peak_mb(server)
    return peaks


def run_session(address: str, frames: list[np.ndarray[Any, Any]]) -> None:
    room, outputs = threading.Semaphore(WINDOW), 2
    answers: Iterator[int] = iter(range(1, outputs * len(frames) + 1))
    ended = threading.Event()

    def answered(result: Any, error: Any) -> None:
        count = next(answers)
        if error is not None or count == outputs * len(frames):
            ended.set()
        if count % outputs == 0:
            room.release()

    with triton.InferenceServerClient(address) as client:
        client.start_stream(answered)
        for index, frame in enumerate(frames):
            room.acquire()
            value = triton.InferInput("first_input_video", frame.shape, "UINT8")
            value.set_data_from_numpy(frame)
            client.async_stream_infer(
                "holisticClassifier", [value], parameters={"OVMS_MP_TIMESTAMP": 1 + index * 33_333}
            )
        ended.wait(120)
        client.stop_stream()


if __name__ == "__main__":
    main()
