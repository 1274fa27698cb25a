"""Frames a second of holistic inference as a Python node, against the same in the server's own calculators.

    python benchmarks/holistic_python_node.py [--rounds 5] [--clip FILE] [--json FILE]

Two graph servers, asked in turns by the client over the stream API. The ratio is Python node to native graph.
"""

import argparse
import statistics
import time
from pathlib import Path

from client_bench import report_ratios

from graph_server.assets import ensure_clip
from stream_client import EmbeddedOptions, RunOptions, StreamClient, TransportOptions
from stream_client.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parents[1]
MODEL = "holisticClassifier"


def frames_a_second(clip: Path, address: str, frames: int) -> float:
    """Of the frames after the first ten, which start the networks."""
    options = RunOptions(limit_frames=frames, max_inflight=4)
    began = 0.0
    with StreamClient(clip, transport=TransportOptions(address, model_name=MODEL), options=options) as client:
        for result in client:
            if result.frame.index == 9:
                began = time.perf_counter()
        return (frames - 10) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clip", type=Path, help="default: the demo's clip")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clip = options.clip or ensure_clip()
    python = EmbeddedOptions(
        arguments=("--model_name", MODEL, "--model_path", str(ROOT / "graphs" / "holistic_python"))
    )
    rates: dict[str, list[float]] = {"native": [], "python node": []}
    with EmbeddedServer() as native_server, EmbeddedServer(python) as python_server:
        for _ in range(options.rounds):
            for name, server in (("native", native_server), ("python node", python_server)):
                rates[name].append(frames_a_second(clip, server.address, options.frames))
    print(f"{'':12} frames/s (median of {options.rounds})")
    for name, values in rates.items():
        print(f"{name:12} {statistics.median(values):.1f}   {' '.join(f'{value:.1f}' for value in values)}")
    pairs = [ours / theirs for ours, theirs in zip(rates["python node"], rates["native"], strict=True)]
    report_ratios({"python_node_to_native": statistics.median(pairs)}, options.json, frames_a_second=rates)


if __name__ == "__main__":
    main()
