"""Landmarks of a video file, without a server, as MediaPipe's Python solution ``holistic`` gives them.

Three habits of that solution are kept, so that results can be compared frame by frame:

- Frames are 33,333 µs apart for the smoothing, whatever the file says (``python/solution_base.py``).
- Frames are decoded with BT.601's colors whatever the file says, as ``cv2.VideoCapture`` does.
- Landmarks are refined with a kernel of 9, not the module's 7: the solution passes its graph on as text and loses
  the options whose messages Python does not know, so that the calculator's default holds.
"""

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

from graph_server.assets import ensure_models, shipped_mounts
from graph_server.calculators import REGISTRY
from graph_server.cli.messages import error_line
from graph_server.config.server_config import read_config
from graph_server.errors import GraphServerError
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.holistic.frame_skipping import EVERY_FRAME, FAST, FrameSkipping
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
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
  output_stream: "WORLD_LANDMARKS:pose_world"
  output_stream: "FACE_LANDMARKS:face"
  output_stream: "LEFT_HAND_LANDMARKS:left_hand"
  output_stream: "RIGHT_HAND_LANDMARKS:right_hand"
  node_options: {
    [type.googleapis.com/mediapipe.RefineLandmarksFromHeatmapCalculatorOptions] { kernel_size: KERNEL }
  }
  node_options: {
    [type.googleapis.com/mediapipe.HolisticFrameSkippingOptions] {
      confirm_every: CONFIRM search_every: SEARCH update_every: UPDATE
    }
  }
}
"""

FRAME_PERIOD = 33_333
"""Microseconds between frames, as ``mediapipe.solutions`` counts."""
SOLUTIONS_KERNEL, GRAPH_KERNEL = 9, 7
"""Sides of the square that refines a landmark: in the wheel's ``mediapipe.solutions``, and in served graphs."""


class LandmarkExtractor:
    """Runs holistic inference in this process; ``process`` takes RGB frames in order."""

    def __init__(
        self, models: ModelRepository, *, kernel: int = SOLUTIONS_KERNEL, skipping: FrameSkipping = EVERY_FRAME
    ) -> None:
        self._found: dict[int, dict[str, npt.NDArray[np.float32]]] = {}
        text = _GRAPH.replace("KERNEL", str(kernel))
        text = text.replace("CONFIRM", str(skipping.confirm)).replace("SEARCH", str(skipping.search))
        text = text.replace("UPDATE", str(skipping.update))
        self._graph = Graph(parse_graph(text, source="landmarks", registry=REGISTRY), REGISTRY, models)
        self._graph.start({}, self._take)

    def process(self, image: npt.NDArray[np.uint8], timestamp: int) -> None:
        """Give a frame; ``timestamp`` in µs."""
        self._graph.add_packet("image", image, timestamp)

    def finish(self) -> dict[int, dict[str, npt.NDArray[np.float32]]]:
        """Wait for the rest. Returns the landmarks by timestamp and part."""
        self._graph.close_inputs()
        self._graph.wait_until_done()
        return self._found

    def _take(self, name: str, value: Any, timestamp: int) -> None:
        self._found.setdefault(timestamp, {})[name] = value


def extract(
    path: Path, models: ModelRepository, skipping: FrameSkipping = EVERY_FRAME
) -> dict[str, npt.NDArray[np.float32]]:
    """Arrays [frames, points, columns] for each of :data:`PARTS`, NaN where a part was not found."""
    extractor = LandmarkExtractor(models, skipping=skipping)
    timestamps = []
    for index, image in enumerate(frames(path)):
        timestamps.append((index + 1) * FRAME_PERIOD)
        extractor.process(image, timestamps[-1])
    found = extractor.finish()
    arrays = {part: np.full((len(timestamps), *shape), np.nan, np.float32) for part, shape in PARTS.items()}
    for row, timestamp in enumerate(timestamps):
        for part, landmarks in found.get(timestamp, {}).items():
            arrays[part][row] = landmarks[:, : PARTS[part][1]]
    return arrays


def frames(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """The frames of a video, RGB [height, width, 3]. Raises :class:`GraphServerError`."""
    return (image for image, _ in timed_frames(path))


def timed_frames(path: Path) -> Iterator[tuple[npt.NDArray[np.uint8], int]]:
    """As :func:`frames`, each with its time in µs, strictly increasing."""
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
                converted = frame.reformat(format="rgb24", src_colorspace="ITU601")
                media = last + 1 if frame.time is None else round(frame.time * 1_000_000)
                last = max(media, last + 1)
                yield np.asarray(converted.to_ndarray(), np.uint8), last
    except av.error.FFmpegError as error:
        raise GraphServerError(f"{path} is not a video that can be read: {error.strerror}") from error


def default_models(models_dir: Path | None = None) -> ModelRepository:
    """The project's models, fetched if need be."""
    path = project_file("server_config/config.json")
    config = read_config(path, shipped_mounts(path, ensure_models(models_dir)))
    return ModelRepository(Runtime(cache_folder() / "openvino"), config.models)


def build_parser() -> argparse.ArgumentParser:
    """The flags of ``python -m graph_server landmarks``."""
    parser = argparse.ArgumentParser(prog="python -m graph_server landmarks", description=__doc__)
    parser.add_argument("video", type=Path, help="a video file")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--models_dir", type=Path, help="model repository (default: the user's cache)")
    parser.add_argument(
        "--fast",
        action="store_true",
        help="look for hands and face in fewer frames, as holisticTrackingFast does",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """``python -m graph_server landmarks VIDEO --out FILE.npz``."""
    options = build_parser().parse_args(arguments)
    try:
        skipping = FAST if options.fast else EVERY_FRAME
        arrays = extract(options.video, default_models(options.models_dir), skipping)
        np.savez_compressed(options.out, allow_pickle=False, **arrays)
    except GraphServerError as error:
        print(f"error: {error_line(error)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{options.out}: {len(arrays['pose'])} frames")
    return 0
