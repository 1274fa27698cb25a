"""A teacher without a network: it follows a white bar on a dark ground, whose direction is the pose."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from stream_client.distill.joints import MEDIAPIPE, JointSet
from stream_client.distill.teacher import TaughtPerson
from stream_client.frames import Image, Result
from stream_client.transport.base import Request
from stream_client.transport.function import Outputs

SIDE = 96
_LENGTH = 0.5


def pose_of(direction: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """The joints stand in a row from the pelvis, half a meter long."""
    joints = np.zeros((len(MEDIAPIPE), 3), np.float32)
    joints[:, :2] = np.linspace(0, _LENGTH, len(MEDIAPIPE))[:, None] * direction
    return joints


def bar(angle: float) -> Image:
    """A frame whose bar points there, in radians from x to the right, y down; its ground is dark blue."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    image = np.full((SIDE, SIDE, 3), (10, 10, 60), np.uint8)
    image[(along > 0) & (along < 40) & (abs(across) < 6)] = 255
    return image


def write_bars(path: Path, angles: Sequence[float], rate: int = 10) -> Path:
    """A video of bars, a frame for each angle; NaN: nobody is there."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for index, angle in enumerate(angles):
            image = np.zeros((SIDE, SIDE, 3), np.uint8) if np.isnan(angle) else bar(angle)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class PuppetTeacher:
    """Finds the bar: the middle of what is white gives the direction. The last joint is never visible."""

    name = "puppet"
    joint_set: JointSet = MEDIAPIPE

    def __init__(self) -> None:
        self.transport = self._find
        self.closed = False

    @staticmethod
    def _find(request: Request) -> Outputs:
        white = np.argwhere(request.inputs[0].array.min(axis=-1) > 128)
        if len(white) < 20:
            return {"direction": np.full(2, np.nan, np.float32)}
        y, x = white.mean(axis=0) - (SIDE - 1) / 2
        return {"direction": (np.array([x, y]) / np.hypot(x, y)).astype(np.float32)}

    def persons(self, result: Result) -> Sequence[TaughtPerson]:
        direction = result.outputs["direction"].array
        if np.isnan(direction).any():
            return []
        visible = np.ones(len(MEDIAPIPE), bool)
        visible[-1] = False
        return [TaughtPerson((0.0, 0.0, SIDE, SIDE), pose_of(direction), visible)]

    def close(self) -> None:
        self.closed = True
