"""From a sequence of poses to the columns that a model takes."""

import difflib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stream_client.classify.features import ANGLES, FeatureSchema
from stream_client.classify.windows import WindowSpec
from stream_client.compat.streamposeml.keypoints import Array, Pose, Size, read_pose
from stream_client.compat.streamposeml.original_features import Geometry, frame_geometry, original_row
from stream_client.errors import ConfigurationError

FRAME_RATE = 30.0
"""Frames a second where nobody says otherwise: what StreamPoseML assumes."""
IMAGE_SIZE: Size = (640, 480)
"""Width and height of frames whose size nobody says: what StreamPoseML's page asks of the camera."""
_ALIASES = {f"angle_{group[1]}": f"mean:angle2d:{'-'.join(group)}" for group in ANGLES if len(group) == 3}


class SequenceTransformer:
    """Columns of a window of poses, by name.

    ``transform`` gives any of :meth:`columns`: this project's window features (``mean:angle2d:…``; see
    :class:`~stream_client.classify.FeatureSchema`), and ``angle_JOINT``, such as ``angle_left_elbow``: the mean angle
    at a joint over the window, in radians. With ``original_features`` they are StreamPoseML's own, number for number
    (``angles.frame-1-nose_neck_to_plumb_line.angle_2d``, …), for models that were trained with it. ``frame_rate`` is
    in frames a second; velocities need it.

    >>> "angle_left_elbow" in SequenceTransformer().columns(frames=30)
    True
    """

    def __init__(
        self,
        *,
        original_features: bool = False,
        schema: FeatureSchema | None = None,
        pooling: tuple[str, ...] = WindowSpec().pooling,
        frame_rate: float = FRAME_RATE,
    ) -> None:
        self._original = original_features
        self._schema = schema or FeatureSchema()
        self._pooling = pooling
        self._rate = frame_rate

    def columns(self, frames: int) -> tuple[str, ...]:
        """The names that :meth:`transform` knows for windows of that many frames."""
        if self._original:
            return tuple(original_row([frame_geometry(np.linspace(0, 1, 99).reshape(33, 3))] * frames))
        return (*self._window(frames).names(self._schema.names), *_ALIASES)

    def transform(
        self, data: Mapping[str, Any], columns: Sequence[str] = ()
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """A value for each of ``columns`` (all of them where none is named), in their order, and the sequence's data.

        ``data`` is a sequence as StreamPoseML's serialiser writes it: ``frames``, each with ``joint_positions``. Raises
        :class:`.ConfigurationError` for columns that do not exist, with the nearest that do.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("frames"), Sequence):
            raise ConfigurationError("a sequence is a dictionary with a list of 'frames', each with joint_positions")
        frames = [(frame, pose) for frame in data["frames"] if (pose := read_pose(frame)) is not None]
        if not frames:
            raise ConfigurationError("the sequence has no frame with a person")
        row = original_row([_geometry(*frame) for frame in frames]) if self._original else self._row(frames)
        if unknown := [name for name in columns if name not in row]:
            raise ConfigurationError(f"no such columns: {_with_nearest(unknown, row)}")
        last = data["frames"][-1]
        meta = {key: last.get(key) for key in ("type", "sequence_id", "sequence_source", "image_dimensions")}
        return {name: row[name] for name in columns or row}, meta

    def _row(self, frames: Sequence[tuple[Mapping[str, Any], Pose]]) -> dict[str, float]:
        points = np.stack([pose.in_pixels(IMAGE_SIZE) for _, pose in frames])
        features = self._schema.compute(points, np.arange(len(points)) / self._rate)
        window = self._window(len(points))
        row = dict(zip(window.names(self._schema.names), window.pool(features).tolist(), strict=True))
        # A schema or a pooling of the program's own may lack what a short name stands for.
        return row | {alias: row[name] for alias, name in _ALIASES.items() if name in row}

    def _window(self, frames: int) -> WindowSpec:
        length = 1000 * max(frames, 2) / self._rate
        return WindowSpec(length_ms=length, overlap_ms=0, rate=self._rate, pooling=self._pooling)


def frame_document(points: Array, size: Size | None) -> dict[str, Any]:
    """A frame as StreamPoseML's serialiser writes it; points [33, 3] over its width and height."""
    geometry = frame_geometry(points)
    return {
        "type": "BlasePoseFrame",  # their spelling
        "sequence_id": None,
        "sequence_source": "web",
        "frame_number": None,
        "image_dimensions": None if size is None else {"width": size[0], "height": size[1]},
        "has_joint_positions": True,
        "joint_positions": geometry["joints"],
        "angles": geometry["angles"],
        "distances": geometry["distances"],
    }


def sequence(frames: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A window of frames as StreamPoseML's serialiser writes it."""
    return {"name": f"sequence-{time.time_ns()}", "type": "BlazePoseSequence", "frames": list(frames)}


def _geometry(frame: Mapping[str, Any], pose: Pose) -> Geometry:
    if "angles" in frame and "distances" in frame:
        return {"angles": frame["angles"], "distances": frame["distances"], "joints": frame["joint_positions"]}
    return frame_geometry(pose.points)


def _with_nearest(unknown: Sequence[str], known: Mapping[str, float]) -> str:
    names = []
    for name in unknown[:3]:
        near = difflib.get_close_matches(name, known, n=1)
        names.append(f"{name} (did you mean {near[0]}?)" if near else name)
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return ", ".join(names) + more
