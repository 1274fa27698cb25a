"""What a camera costs on this machine, by stage and size of its frames, and what many cameras need.

    python benchmarks/capacity.py [--sizes 640x360 1280x720 1920x1080] [--cameras 100] [--fps 15] [--frames 120]
                                  [--model_name holisticClassifier] [--json FILE]

Costs are processor milliseconds a frame, of the demo clip in each size: `decode` H.264 to RGB, `client` everything else
in the client but the output's encoder, with servers elsewhere (`gRPC`) or on the same machine (`shared memory`),
`server` the graph server, `encode` an H.264 file as output. Cores are those that the cameras keep busy, at a load of
80 %; bytes are those of RGB frames there and back.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av

from graph_server.assets import ensure_clip
from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.sources.file import FileSource

LOAD = 0.8
"""Share of a core's time that is planned with."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor milliseconds a frame of one size, and megabytes that it moves both ways."""

    width: int
    height: int
    decode: float
    client: float
    client_shared: float
    server: float
    encode: float
    megabytes: float


def resized(path: Path, width: int, height: int, frames: int) -> None:
    """The demo clip in this size, H.264, over and over until there are so many frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast"}
        count = 0
        while count < frames:
            with av.open(str(ensure_clip())) as clip:
                for decoded in clip.decode(video=0):
                    frame = decoded.reformat(width, height, "yuv420p")
                    frame.pts, frame.time_base = count, Fraction(1, 30)
                    container.mux(stream.encode(frame))
                    count += 1
                    if count == frames:
                        break
        container.mux(stream.encode(None))


def processor_seconds(pid: int) -> float:
    """What another process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def decoding(path: Path) -> float:
    """Processor seconds to read all frames."""
    source = FileSource(path)
    source.open()
    begun = time.process_time()
    while source.read() is not None:
        pass
    seconds = time.process_time() - begun
    source.close()
    return seconds


def analysis(
    path: Path, server: EmbeddedServer, options: TransportOptions, sinks: Sequence[Path]
) -> tuple[float, float]:
    """Processor seconds of the client and of the server for all frames."""
    client = StreamClient(path, list(sinks), options, options=RunOptions(max_inflight=4))
    before, begun = processor_seconds(server.pid), time.process_time()
    client.run()
    return time.process_time() - begun, processor_seconds(server.pid) - before


def measure(folder: Path, server: EmbeddedServer, model: str, width: int, height: int, frames: int) -> Cost:
    path = folder / f"{width}x{height}.mp4"
    resized(path, width, height, frames)
    through = TransportOptions(server.address, model_name=model, shared_memory=False)
    shared = TransportOptions(server.address, model_name=model)
    analysis(path, server, through, [])  # so that everything is loaded
    decode = decoding(path)
    client, cost = analysis(path, server, through, [])
    client_shared, _ = analysis(path, server, shared, [])
    writing, _ = analysis(path, server, through, [folder / "out.mp4"])
    each = 1000 / frames
    return Cost(
        width,
        height,
        decode * each,
        max(0.0, client - decode) * each,
        max(0.0, client_shared - decode) * each,
        cost * each,
        max(0.0, writing - client) * each,
        2 * 3 * width * height / 1e6,
    )


def cores(milliseconds: float, cameras: int, fps: float) -> float:
    return milliseconds / 1000 * cameras * fps / LOAD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1280x720", "1920x1080"])
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--model_name", default="holisticClassifier")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    costs = []
    print(f"processor ms a frame, {options.model_name}")
    print(f"{'':10}{'decode':>8}{'client':>8}{'shared':>8}{'server':>8}{'encode':>8}{'MB':>7}")
    with tempfile.TemporaryDirectory() as scratch:
        where = ("--grpc_bind_address", "127.0.0.1")
        with EmbeddedServer(EmbeddedOptions(arguments=where)) as server:
            for size in options.sizes:
                width, _, height = size.partition("x")
                cost = measure(Path(scratch), server, options.model_name, int(width), int(height), options.frames)
                costs.append(cost)
                columns = (cost.decode, cost.client, cost.client_shared, cost.server, cost.encode)
                print(f"{size:10}{''.join(f'{each:8.1f}' for each in columns)}{cost.megabytes:7.1f}", flush=True)
    print(f"\n{options.cameras} cameras of {options.fps:g} frames/s, at a load of {LOAD:.0%}")
    print(f"{'':10}{'clients':>10}{'and files':>10}{'servers':>10}{'Gbit/s':>8}   on the same machines, in all")
    for cost in costs:
        client = cores(cost.decode + cost.client, options.cameras, options.fps)
        files = cores(cost.encode, options.cameras, options.fps)
        servers = cores(cost.server, options.cameras, options.fps)
        together = cores(cost.decode + cost.client_shared + cost.server, options.cameras, options.fps)
        gigabits = 8e-3 * cost.megabytes * options.cameras * options.fps
        size = f"{cost.width}x{cost.height}"
        print(f"{size:10}{client:10.0f}{client + files:10.0f}{servers:10.0f}{gigabits:8.1f}{together:10.0f} cores")
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        found = {"environment": environment, "costs": [asdict(cost) for cost in costs]}
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
