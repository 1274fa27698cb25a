"""Data sets on disk: frames, and what was found in them, in the formats of other programs."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image as PillowImage

from stream_client.classify.joints import BODY, BONES, JOINT
from stream_client.collect.options import DataFormat
from stream_client.frames import Image, Landmarks, Points

_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Thing:
    """Something in a frame. ``box`` is left, top, right, bottom in pixels of the frame."""

    kind: str
    box: tuple[float, float, float, float]
    score: float
    track: int | None = None
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame that is kept. ``reason`` names the strategies that wanted it."""

    name: str
    image: Image
    time: float
    label: str | None
    score: float | None
    reason: tuple[str, ...]
    things: tuple[Thing, ...]


class Annotations(Protocol):
    """Writes the annotations of one format."""

    def add(self, sample: Sample, path: Path) -> None:
        """A frame was written to ``path``, relative to the folder."""

    def save(self) -> None:
        """Bring the files up to date."""


class DataSet:
    """Frames in ``folder/images/LABEL/NAME.jpg``, as ``train --data folder/images`` takes them, and annotations beside.

    Frames without a label are in ``unlabeled``. What an earlier run left there is kept, its annotations too.
    """

    def __init__(self, folder: Path, kind: DataFormat) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._annotations: Annotations = _FORMATS[kind](folder)

    def add(self, sample: Sample) -> None:
        """Write a frame; raises :class:`OSError`."""
        label = "unlabeled" if sample.label is None else _file_name(sample.label)
        path = Path("images") / label / f"{sample.name}.jpg"
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(sample.image).save(self._folder / path, quality=_QUALITY)
        self._annotations.add(sample, path)

    def save(self) -> None:
        """Bring the annotations up to date; raises :class:`OSError`."""
        self._annotations.save()


@dataclass(slots=True)
class Coco:
    """``annotations.json`` in COCO's format: persons have MediaPipe's 33 key points.

    Beyond COCO, an image has ``label``, ``score``, ``time`` and ``reason``, an annotation ``score`` and ``track_id``.
    """

    folder: Path
    _images: list[dict[str, Any]] = field(default_factory=list)
    _annotations: list[dict[str, Any]] = field(default_factory=list)
    _categories: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = _read(self.folder / "annotations.json") or {}
        self._images = known.get("images", [])
        self._annotations = known.get("annotations", [])
        self._categories = {each["name"]: each["id"] for each in known.get("categories", [])}

    def add(self, sample: Sample, path: Path) -> None:
        """One image with its annotations."""
        number = len(self._images) + 1
        height, width = sample.image.shape[:2]
        about = {"label": sample.label, "score": sample.score, "time": sample.time, "reason": list(sample.reason)}
        self._images.append({"id": number, "file_name": path.as_posix(), "width": width, "height": height, **about})
        for thing in sample.things:
            left, top, right, bottom = thing.box
            row: dict[str, Any] = {
                "id": len(self._annotations) + 1,
                "image_id": number,
                "category_id": self._categories.setdefault(thing.kind, len(self._categories) + 1),
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "score": thing.score,
            }
            if thing.track is not None:
                row["track_id"] = thing.track
            if thing.landmarks is not None:
                points = _key_points(thing.landmarks.pose, width, height)
                row |= {"keypoints": points, "num_keypoints": sum(value > 0 for value in points[2::3])}
            self._annotations.append(row)

    def save(self) -> None:
        """The whole file, which takes its place at once."""
        skeleton = [[JOINT[a] + 1, JOINT[b] + 1] for a, b in BONES]
        categories = [
            {"id": number, "name": name} | ({"keypoints": list(BODY), "skeleton": skeleton} if name == "person" else {})
            for name, number in self._categories.items()
        ]
        content = {"images": self._images, "annotations": self._annotations, "categories": categories}
        _write(self.folder / "annotations.json", json.dumps(content))


@dataclass(slots=True)
class Yolo:
    """``labels/LABEL/NAME.txt`` beside the images, and ``data.yaml``: a class, then the box over the frame's sides."""

    folder: Path
    _classes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self.folder / "data.yaml"
        names = [line for line in path.read_text().splitlines() if line.startswith("  ")] if path.exists() else []
        self._classes = {json.loads(line.partition(": ")[2]): number for number, line in enumerate(names)}

    def add(self, sample: Sample, path: Path) -> None:
        """A line for each thing."""
        height, width = sample.image.shape[:2]
        lines = []
        for thing in sample.things:
            number = self._classes.setdefault(thing.kind, len(self._classes))
            left, top, right, bottom = thing.box
            middle = ((left + right) / 2 / width, (top + bottom) / 2 / height)
            values = (*middle, (right - left) / width, (bottom - top) / height)
            lines.append(f"{number} " + " ".join(f"{value:.6f}" for value in values))
        target = self.folder / "labels" / path.relative_to("images").with_suffix(".txt")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"{line}\n" for line in lines))

    def save(self) -> None:
        """The names of the classes; JSON texts are YAML, too."""
        names = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in self._classes.items())
        _write(self.folder / "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{names}")


@dataclass(slots=True)
class LabelStudio:
    """``tasks.json``: tasks with predictions, to be imported. Images are named as files of a local folder."""

    folder: Path
    _tasks: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tasks = _read(self.folder / "tasks.json") or []

    def add(self, sample: Sample, path: Path) -> None:
        """A task; boxes are in percent, as Label Studio has them."""
        height, width = sample.image.shape[:2]
        found: list[dict[str, Any]] = [
            {
                "from_name": "box",
                "to_name": "image",
                "type": "rectanglelabels",
                "original_width": width,
                "original_height": height,
                "value": {
                    "x": 100 * thing.box[0] / width,
                    "y": 100 * thing.box[1] / height,
                    "width": 100 * (thing.box[2] - thing.box[0]) / width,
                    "height": 100 * (thing.box[3] - thing.box[1]) / height,
                    "rotation": 0,
                    "rectanglelabels": [thing.kind],
                },
            }
            for thing in sample.things
        ]
        if sample.label is not None:
            value = {"choices": [sample.label]}
            found.append({"from_name": "label", "to_name": "image", "type": "choices", "value": value})
        self._tasks.append(
            {
                "data": {"image": f"/data/local-files/?d={path.as_posix()}", "time": sample.time},
                "predictions": [{"model_version": "stream_client", "score": sample.score or 0, "result": found}],
            }
        )

    def save(self) -> None:
        """The whole file, which takes its place at once."""
        _write(self.folder / "tasks.json", json.dumps(self._tasks))


_FORMATS: Mapping[DataFormat, type[Coco | Yolo | LabelStudio]] = {
    "coco": Coco,
    "yolo": Yolo,
    "label_studio": LabelStudio,
}


def _key_points(pose: Points, width: int, height: int) -> list[float]:
    """x, y and 0, 1 or 2 for each: outside the frame, hidden, visible."""
    x, y = pose[:, 0] * width, pose[:, 1] * height
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    state = np.where(inside, np.where(pose[:, 3] >= 0.5, 2, 1), 0)
    rows = np.stack([np.where(inside, x, 0), np.where(inside, y, 0), state], axis=1)
    return [round(value, 2) for value in rows.ravel().tolist()]


def _file_name(label: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_ " else "_" for sign in label).strip() or "_"


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}")
    new.write_text(text, "utf-8")
    os.replace(new, path)
