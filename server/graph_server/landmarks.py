"""Landmarks of a video file, without a server."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from graph_server.assets import ensure_models
from graph_server.calculators import REGISTRY
from graph_server.config import read_config
from graph_server.errors import GraphServerError
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.models import ModelRepository, Runtime
from graph_server.resources import cache_folder, project_file

PARTS = {
    "pose": (33, 4),
    "pose_world": (33, 4),
    "face": (468, 3),
    "left_hand": (21, 3),
    "right_hand": (21, 3),
}
"""The parts, with how many points and columns each has."""

_GRAPH = """
input_stream: "IMAGE:image"
output_stream: "pose"
output_stream: "pose_world"
output_stream: "face"
output_stream: "left_hand"
output_stream: "right_hand"
node {
  calculator: "HolisticLandmarkCpu"
  input_stream: "IMAGE:image"
  output_stream: "POSE_LANDMARKS:pose"
  output_stream: "POSE_WORLD_LANDMARKS:pose_world"
  output_stream: "FACE_LANDMARKS:face"
  output_stream: "LEFT_HAND_LANDMARKS:left_hand"
  output_stream: "RIGHT_HAND_LANDMARKS:right_hand"
}
"""


class LandmarkExtractor:
    """Runs holistic inference in this process; ``process`` takes RGB frames in order."""

    def __init__(self, models: ModelRepository) -> None:
        self._found: dict[int, dict[str, npt.NDArray[np.float32]]] = {}
        self._graph = Graph(parse_graph(_GRAPH, source="landmarks", registry=REGISTRY), REGISTRY, models)
        self._graph.start({}, self._take)

    def process(self, image: npt.NDArray[np.uint8], timestamp: int) -> None:
        """Give a frame; ``timestamp`` in µs."""
        self._graph.add_packet("image", image, timestamp)

    def finish(self) -> dict[int, dict[str, npt.NDArray[np.float32]]]:
        """Wait for the rest; what was found, by timestamp and part."""
        self._graph.close_inputs()
        self._graph.wait_until_done()
        return self._found

    def _take(self, name: str, value: Any, timestamp: int) -> None:
        self._found.setdefault(timestamp, {})[name] = value


def extract(path: Path, models: ModelRepository) -> dict[str, npt.NDArray[np.float32]]:
    """Arrays [frames, points, columns] for each of :data:`PARTS`, NaN where a part was not found."""
    extractor = LandmarkExtractor(models)
    timestamps: list[int] = []
    for image, timestamp in _frames(path):
        extractor.process(image, timestamp)
        timestamps.append(timestamp)
    found = extractor.finish()
    arrays = {part: np.full((len(timestamps), *shape), np.nan, np.float32) for part, shape in PARTS.items()}
    for row, timestamp in enumerate(timestamps):
        for part, landmarks in found.get(timestamp, {}).items():
            arrays[part][row] = landmarks[:, : PARTS[part][1]]
    return arrays


def _frames(path: Path) -> Iterator[tuple[npt.NDArray[np.uint8], int]]:
    if not path.is_file():
        raise GraphServerError(f"{path} does not exist")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise GraphServerError(f"{path} has no video")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            last = -1
            for frame in tqdm(container.decode(stream), total=stream.frames or None, unit="frame", file=sys.stderr):
                media = last + 1 if frame.time is None else round(frame.time * 1_000_000)
                last = max(media, last + 1)
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), last
    except av.error.FFmpegError as error:
        raise GraphServerError(f"{path} is not a video that can be read: {error.strerror}") from error


def default_models(models_dir: Path | None = None) -> ModelRepository:
    """The project's models, fetched if need be."""
    folder = ensure_models(models_dir)
    config = read_config(project_file("server_config/config.json"), folder)
    return ModelRepository(Runtime(cache_folder() / "openvino"), config.models)


def main(arguments: Sequence[str]) -> int:
    """``python -m graph_server landmarks VIDEO --out FILE.npz``."""
    parser = argparse.ArgumentParser(prog="python -m graph_server landmarks", description=__doc__)
    parser.add_argument("video", type=Path, help="a video file")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--models_dir", type=Path, help="model repository (default: the user's cache)")
    options = parser.parse_args(arguments)
    try:
        arrays = extract(options.video, default_models(options.models_dir))
        np.savez_compressed(options.out, allow_pickle=False, **arrays)
    except GraphServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{options.out}: {len(arrays['pose'])} frames")
    return 0
