"""How far the client's landmarks are from those that the graph server computes itself, on the shared clips.

    python benchmarks/landmark_parity.py [--clips sign-again.mkv dance.webm walk.mp4] [--json FILE]

The client's come out of graphs/holistic_landmarks, as tensors and crops of coordinates; the server's straight out of
HolisticLandmarkCpu. Distances are shares of the image's diagonal; `unlike` counts frames in which one side sees a
part and the other does not. Nothing is timed.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from graph_server.calculators import REGISTRY
from graph_server.cli.landmarks import GRAPH_KERNEL, LandmarkExtractor, default_models, timed_frames
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.models.repository import ModelRepository
from graph_server.resources import project_file
from stream_client.frames import Tensor
from stream_client.landmarks.decoder import OUTPUTS, LandmarkDecoder, coordinate_image

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "clips"


def measure(path: Path, models: ModelRepository) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each part's distances, and frames in which only one side sees it."""
    text = project_file("graphs/holistic_landmarks/graph.pbtxt").read_text()
    graph = Graph(parse_graph(text, source="landmarks", registry=REGISTRY), REGISTRY, models)
    ours: dict[int, dict[str, Any]] = {}
    graph.start({}, lambda name, value, timestamp: ours.setdefault(timestamp, {}).__setitem__(name, value))
    extractor = LandmarkExtractor(models, kernel=GRAPH_KERNEL)
    size = (1, 1)
    for image, timestamp in timed_frames(path):
        size = (image.shape[1], image.shape[0])
        graph.add_packet("first_input_video", image, timestamp)
        graph.add_packet("coordinates", coordinate_image(*size), timestamp)
        extractor.process(image, timestamp)
    graph.close_inputs()
    graph.wait_until_done()
    theirs = extractor.finish()
    decoder = LandmarkDecoder()
    apart: dict[str, list[Any]] = {part: [] for part in OUTPUTS}
    unlike = dict.fromkeys(OUTPUTS, 0)
    for timestamp in sorted(ours):
        outputs = {part: Tensor(part, "FP32", ours[timestamp][part]) for part in OUTPUTS}
        found = decoder.decode(outputs, size, size, timestamp)
        for part in OUTPUTS:
            points, expected = getattr(found, part, None), theirs.get(timestamp, {}).get(part)
            unlike[part] += (points is None) != (expected is None)
            if points is not None and expected is not None:
                apart[part].append(np.linalg.norm((points[:, :2] - expected[:, :2]) * size, axis=1) / np.hypot(*size))
    return {
        part: {
            "frames": len(distances),
            "median": float(np.median(distances)),
            "percentile_99": float(np.quantile(distances, 0.99)),
            "unlike": unlike[part],
        }
        for part, distances in apart.items()
        if distances
    }


def main() -> None:
    """Measure each clip, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", default=["sign-again.mkv", "dance.webm", "walk.mp4"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    models = default_models()
    report = {clip: measure(CLIPS / clip, models) for clip in options.clips}
    print(f"{'clip':16}{'part':12}{'frames':>8}{'median':>10}{'99 %':>10}{'unlike':>8}")
    for clip, parts in report.items():
        for part, row in parts.items():
            distances = f"{row['median']:10.3%}{row['percentile_99']:10.3%}"
            print(f"{clip:16}{part:12}{row['frames']:8.0f}{distances}{row['unlike']:8.0f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
