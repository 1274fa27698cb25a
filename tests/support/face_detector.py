"""MediaPipe's full-range face detector, which judges whether faces are hidden."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from graph_server.assets import ensure_files, read_manifest
from graph_server.resources import cache_folder
from kserve_wire.openvino_core import new_core
from stream_client.frames import Image

_SIDE, _CELLS = 192, 48
_NAME = "face_detection_full_range_sparse"


def ensure_network() -> Path:
    """The network's file, fetched if need be."""
    folder = cache_folder() / "models"
    ensure_files(folder, "models/", read_manifest(Path(__file__).parents[1] / "data" / "assets.toml"))
    return folder / _NAME / "1" / f"{_NAME}.tflite"


class FaceDetector:
    """Scores what it sees at a place. MediaPipe takes 0.6 and more for a face (face_detection_full_range.pbtxt)."""

    def __init__(self) -> None:
        model = new_core().read_model(ensure_network())
        self._run = new_core().compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        )

    def score(self, image: Image, box: Sequence[float]) -> float:
        """The best score, 0…1, of a face whose middle is in ``box``: left, top, right, bottom in pixels.

        ``image`` is RGB uint8 [height, width, 3].
        """
        height, width = image.shape[:2]
        size = (round(width * _SIDE / max(height, width)), round(height * _SIDE / max(height, width)))
        pixels = np.zeros((1, _SIDE, _SIDE, 3), np.float32)
        small = PillowImage.fromarray(image).resize(size, PillowImage.Resampling.BILINEAR)
        pixels[0, : size[1], : size[0]] = np.asarray(small, np.float32) / 127.5 - 1
        boxes, logits = (self._run(pixels)[index][0] for index in (0, 1))
        # One anchor in the middle of each of 48 by 48 cells.
        rows, columns = np.mgrid[0:_CELLS, 0:_CELLS]
        middles = (np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5) * (_SIDE / _CELLS) + boxes[:, :2]
        middles *= max(height, width) / _SIDE
        there = (middles >= box[:2]).all(axis=1) & (middles <= box[2:]).all(axis=1)
        return float(1 / (1 + np.exp(-logits[there, 0].max(initial=-50))))


if __name__ == "__main__":
    print(ensure_network())
