"""The values that flow from a source to the sinks: frozen, slotted, without behavior.

Arrays in them are views where possible. Whoever receives one may read it and must not write to it;
a stage that changes pixels makes its own array.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from kserve_wire.encoded import EncodedFrame
from kserve_wire.pictures import UNDECLARED

if TYPE_CHECKING:
    from stream_client.sound.track import SoundTrack

Image = npt.NDArray[np.uint8]
"""uint8 [height, width, 3], red, green, blue."""
Points = npt.NDArray[np.float32]
PlaneFormat = Literal["nv12", "i420"]
"""How the two planes of color follow that of brightness: sample by sample, or one after the other."""

POSE_POINTS, HAND_POINTS, FACE_POINTS = 33, 21, 468

_HDR = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True, slots=True)
class Color:
    """How a video codes colors: the code points of ITU-T H.273, 2 where the video declares none.

    ``matrix`` makes RGB of YUV, ``primaries`` are the colors that red, green and blue mean, and ``transfer`` is the
    curve from light to values. ``bits`` are those of a sample in the source; frames always have 8.
    """

    matrix: int = UNDECLARED
    primaries: int = UNDECLARED
    transfer: int = UNDECLARED
    bits: int = 8

    @property
    def hdr(self) -> str:
        """The name of the high dynamic range, ``"PQ"`` or ``"HLG"``; empty for ordinary video."""
        return _HDR.get(self.transfer, "")


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a source knows about its stream once it is open.

    ``width`` and ``height`` are in pixels, after rotation. ``frame_rate`` is in frames a second, or ``None`` where the
    source declares none or an impossible one. ``live`` sources cannot be made to wait. ``frame_count`` is an estimate
    for progress, ``None`` when unknown. ``start`` is the timestamp, in microseconds, of time zero: 0 for files, wall
    clock since 1970 for live sources. ``path`` is the source's file, ``None`` for other sources. ``codec`` is
    FFmpeg's name of the video codec, empty where there is none. ``sample_aspect_ratio`` is a pixel's width over its
    height. ``color`` is that of the source, or of the frames where it was tone-mapped. ``sound`` is for outputs that
    carry it on. ``encoded``: frames are passed on as H.264, and have no pixels until they are decoded.
    """

    name: str
    width: int
    height: int
    frame_rate: Fraction | None = None
    live: bool = False
    frame_count: int | None = None
    start: int = 0
    path: str | None = None
    codec: str = ""
    sample_aspect_ratio: Fraction = Fraction(1)
    color: Color = field(default_factory=Color)
    sound: "SoundTrack | None" = field(default=None, compare=False, repr=False)
    encoded: bool = False


@dataclass(frozen=True, slots=True)
class Planes:
    """A frame as video codes it: YUV 4:2:0 of 8 bits in limited range, of an even size.

    ``array`` is uint8 [height * 3 / 2, width]: the rows of brightness, then those of color as ``format`` says.
    ``matrix`` as in :class:`Color`; never undeclared.
    """

    format: PlaneFormat
    array: npt.NDArray[np.uint8]
    matrix: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the source.

    ``index`` counts the source's frames from 0. A gap means frames that the source could not keep. ``timestamp`` is the
    presentation time in microseconds, strictly increasing within a run (file: media time; live: wall clock since 1970).
    ``captured`` is :func:`time.monotonic` when the frame was there. ``offered`` is the time when the source returned
    it; the client sets it. ``capture_time`` is when the camera captured the frame, in microseconds since 1970 by the
    camera's own clock, where it sends that: in RTCP sender reports. ``damaged``: packets of the frame, or of one that
    it is made from, were lost or broken. ``encoded`` is what has to be decoded for a frame that is passed on as it is;
    until then ``image`` is black, and as large. So it is where there are ``planes``, until somebody looks at it.
    """

    index: int
    timestamp: int
    image: Image
    captured: float
    offered: float = float("nan")
    capture_time: int | None = None
    damaged: bool = False
    encoded: EncodedFrame | None = None
    planes: Planes | None = None


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array on its way to or from a server.

    ``datatype`` is KServe's name (``"UINT8"``, ``"FP32"``, …). ``array`` has the tensor's shape; for an
    answer it is a read-only view on the received bytes.
    """

    name: str
    datatype: str
    array: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Label:
    """The classifier's answer: the best label, its score in 0…1, and the scores of all labels.

    ``repetitions`` counts a movement so far. ``None`` where none is counted.
    """

    name: str
    score: float
    scores: Mapping[str, float]
    repetitions: int | None = None


@dataclass(frozen=True, slots=True)
class Landmarks:
    """MediaPipe's landmarks of one person, float32, in its order of points.

    ``pose`` is [33, 5]: x and y over the image's width and height, z on the scale of x, visibility and presence in 0…1.
    ``pose_world`` is [33, 3]: meters, the middle of the hips is the origin. ``left_hand`` and ``right_hand`` are [21,
    3] and ``face`` is [468, 3], as the first three columns of ``pose``; ``None`` where they are not seen. ``size`` is
    the image's width and height in pixels. Points may lie outside of it.
    """

    pose: Points
    pose_world: Points
    size: tuple[int, int]
    left_hand: Points | None = None
    right_hand: Points | None = None
    face: Points | None = None

    def pixels(self) -> npt.NDArray[np.float64]:
        """Body and hands in one unit, as :class:`~stream_client.classify.FeatureSchema` takes them.

        float64 [75, 3] in pixels: 33 of the pose, 21 of the left hand, 21 of the right; NaN where a hand is absent.
        """
        points = np.full((POSE_POINTS + 2 * HAND_POINTS, 3), np.nan)
        # z is on the scale of x.
        unit = np.array([self.size[0], self.size[1], self.size[0]], dtype=np.float64)
        points[:POSE_POINTS] = self.pose[:, :3] * unit
        for start, hand in ((POSE_POINTS, self.left_hand), (POSE_POINTS + HAND_POINTS, self.right_hand)):
            if hand is not None:
                points[start : start + HAND_POINTS] = hand * unit
        return points

    def world(self) -> npt.NDArray[np.float64]:
        """Body in meters, float64 [75, 3], laid out as :meth:`pixels`; hands are NaN."""
        points = np.full((POSE_POINTS + 2 * HAND_POINTS, 3), np.nan)
        points[:POSE_POINTS] = self.pose_world
        return points


@dataclass(frozen=True, slots=True)
class Masks:
    """Which parts of their boxes detections fill. ``size`` is width and height of the result's image, in pixels.

    ``shapes`` has a uint8 array [h, w] for each detection, over its box: how sure the model is of a part, 0…255. It is
    as fine as the model's own, 160 a side at most. :func:`stream_client.tracking.full_masks` makes masks of the whole
    image.
    """

    shapes: tuple[npt.NDArray[np.uint8], ...]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector found in a frame, best first; ``n`` things.

    ``boxes`` is float32 [n, 4]: left, top, right and bottom in pixels of the result's image. ``scores`` is float32 [n],
    0…1. ``class_ids`` is int64 [n]; ``class_names`` name the classes by their ids, and may be fewer. ``track_ids`` is
    int64 [n], -1 for what has no track yet, and ``None`` without a tracker. ``keypoints`` is float32 [n, k, 3]: x, y in
    pixels and a score, ``None`` where the model gives none; so are ``masks``.
    """

    boxes: Points
    scores: Points
    class_ids: npt.NDArray[np.int64]
    class_names: tuple[str, ...] = ()
    track_ids: npt.NDArray[np.int64] | None = None
    keypoints: Points | None = None
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def name(self, index: int) -> str:
        """The name of the class of a detection; its number where no name is known."""
        number = int(self.class_ids[index])
        return self.class_names[number] if 0 <= number < len(self.class_names) else str(number)


@dataclass(frozen=True, slots=True)
class Person:
    """A person who is followed over frames. ``number`` is theirs for the whole stream, from 1.

    ``box`` is left, top, right and bottom of the landmarks of their body, in pixels of the result's image. ``label`` is
    ``None`` where nothing labels persons. ``carried``: the server had no time to look at them in this frame, and moved
    the landmarks of its last look on.
    """

    number: int
    landmarks: Landmarks
    box: tuple[float, float, float, float]
    label: Label | None = None
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Stamps:
    """When a frame passed each stage, in seconds of :func:`time.monotonic`; ``nan`` where it did not.

    ``captured`` → ``offered`` (capture) → ``dequeued`` (queue) → ``converted`` (layout, datatype, padding) →
    ``sent`` (serialise) → ``received`` (round trip) → ``parsed`` (deserialise) → ``joined`` (join and order) →
    ``dispatched`` (waiting for sinks) → ``delivered`` (postprocess). A delivered frame has passed them all;
    :func:`~stream_client.monitoring.stages.stage_durations` names the spans. ``camera`` is
    ``Frame.capture_time`` on the same clock, where that is known.
    """

    captured: float
    offered: float = float("nan")
    dequeued: float = float("nan")
    converted: float = float("nan")
    sent: float = float("nan")
    received: float = float("nan")
    parsed: float = float("nan")
    joined: float = float("nan")
    dispatched: float = float("nan")
    delivered: float = float("nan")
    camera: float = float("nan")


@dataclass(frozen=True, slots=True)
class Result:
    """The result for a frame, as sinks and callbacks see it.

    ``image`` is what to show: the server's image, or the source's where the server returned none. ``label`` is ``None``
    where the graph gave no label for the frame. ``outputs`` holds every tensor the server returned, by name. ``time``
    is the frame's time in seconds of the source. ``landmarks`` is ``None`` where nobody is seen, and where the graph
    gives none (``holisticLandmarks`` does). ``detections`` is ``None`` where nobody asked for them. ``persons`` are by
    number, empty where the graph sees one person only; of several, ``landmarks`` and ``label`` are the first one's, and
    ``detections`` are their boxes. ``reused``: the frame was not sent, for the latency budget, and has the result
    before it. ``planes``: the picture came as planes and all outputs take them, so ``image`` is black, and as large.
    """

    frame: Frame
    image: Image
    label: Label | None = None
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    time: float = 0.0
    stamps: Stamps = field(default_factory=lambda: Stamps(captured=float("nan")))
    landmarks: Landmarks | None = None
    detections: Detections | None = None
    persons: tuple[Person, ...] = ()
    reused: bool = False
    planes: Planes | None = None

    @property
    def latency(self) -> float:
        """Seconds from capture to delivery."""
        return self.stamps.delivered - self.frame.captured
