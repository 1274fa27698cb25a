"""The messages of a live session, both ways. ``page/messages.js`` has the other half.

A frame from the browser is :data:`HEAD` and the encoded image. A result is the length of a JSON object, the object,
zeros up to a multiple of four bytes, and the landmarks as float32, or a JPEG.
"""

import json
import math
import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream_client.frames import Landmarks, Person, Result
from stream_client.monitoring.stages import stage_durations

HEAD = struct.Struct("<BxxxId")
"""Kind, the frame's number, and when the camera captured it: milliseconds since 1970."""
JPEG, KEY, DELTA = 1, 2, 3
Kind = Literal[1, 2, 3]
_PARTS = ("pose", "left_hand", "right_hand", "face")


@dataclass(frozen=True, slots=True)
class SentFrame:
    """An encoded frame: a JPEG, or an access unit of H.264 in Annex B. ``captured`` is in milliseconds since 1970."""

    kind: int
    number: int
    captured: float
    data: memoryview

    @classmethod
    def parse(cls, message: bytes) -> "SentFrame":
        """Raises ``ValueError`` for what is no frame."""
        if len(message) <= HEAD.size:
            raise ValueError("a frame has a head of 16 bytes and an image")
        kind, number, captured = HEAD.unpack_from(message)
        if kind not in (JPEG, KEY, DELTA) or not 0 < captured < 1e13:
            raise ValueError("the head of a frame has no known kind, or no time in milliseconds since 1970")
        return cls(kind, number, captured, memoryview(message)[HEAD.size :])


def result_message(result: Result, number: int, captured: float, drawn: bytes | None) -> bytes:
    """A result: its landmarks to draw, or the ``drawn`` frame as a JPEG, empty where it goes by a video track.

    ``number`` and ``captured`` are those of its :class:`SentFrame`.
    """
    height, width = result.image.shape[:2]
    persons = result.persons or _one(result)
    head: dict[str, object] = {
        "number": number,
        "captured": captured,
        "size": [width, height],
        "label": None if result.label is None else [result.label.name, round(result.label.score, 4)],
        "repetitions": None if result.label is None else result.label.repetitions,
        "stages": {
            name: round(1000 * seconds, 2)
            for name, seconds in stage_durations(result.stamps).items()
            if math.isfinite(seconds)
        },
        "jpeg": bool(drawn),
        "video": drawn == b"",
        "persons": [],
    }
    if drawn is not None:
        return _packed(head, drawn)
    blocks: list[npt.NDArray[np.float32]] = []
    rows = []
    for person in persons:
        parts = {}
        for name in _PARTS:
            points = getattr(person.landmarks, name)
            if points is not None:
                blocks.append(_points(points))
                parts[name] = len(points)
        label = None if person.label is None else [person.label.name, round(person.label.score, 4)]
        rows.append({"person": person.number, "label": label, "parts": parts})
    head["persons"] = rows
    return _packed(head, b"".join(block.tobytes() for block in blocks))


def _one(result: Result) -> tuple[Person, ...]:
    landmarks: Landmarks | None = result.landmarks
    return () if landmarks is None else (Person(0, landmarks, (0, 0, 0, 0)),)


def _points(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """x, y and visibility of each point, which is 1 where the part has none."""
    found = np.ones((len(points), 3), "<f4")
    found[:, :2] = points[:, :2]
    if points.shape[1] > 3:
        found[:, 2] = points[:, 3]
    return found


def _packed(head: dict[str, object], body: bytes) -> bytes:
    text = json.dumps(head).encode()
    padding = b"\0" * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + padding + body
