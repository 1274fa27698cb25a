"""Runs in the environment `trackers`: that library's ByteTrack, and its HOTA, MOTA and IDF1 of both trackers.

Sequences come as JSON on standard input, figures go as JSON to standard output; :mod:`benchmarks.tracking` describes
both.
"""

import json
import sys
from typing import Any

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker
from trackers.eval import box_iou, compute_clear_metrics, compute_hota_metrics, compute_identity_metrics


def followed(sequence: dict[str, Any], settings: dict[str, float]) -> list[list[int]]:
    """The tracks of the library's ByteTrack for the boxes of each frame, -1 for none."""
    tracker = ByteTrackTracker(
        lost_track_buffer=round(30 * settings["keep"]),
        track_activation_threshold=settings["begin"],
        high_conf_det_threshold=settings["strong"],
        minimum_iou_threshold=settings["least_overlap"],
    )
    answers = []
    for frame in sequence["frames"]:
        count = len(frame["boxes"])
        seen = sv.Detections(
            xyxy=np.array(frame["boxes"], np.float32).reshape(-1, 4),
            confidence=np.array(frame["scores"], np.float32),
            class_id=np.zeros(count, int),
            data={"place": np.arange(count)},
        )
        found = tracker.update(seen, timestamp=frame["timestamp"] / 1e6)
        numbers = np.full(count, -1)
        if len(found):
            numbers[found.data["place"]] = found.tracker_id
        answers.append(numbers.tolist())
    return answers


def measured(sequence: dict[str, Any], tracks: list[list[int]]) -> dict[str, float]:
    """HOTA, MOTA and IDF1 in 0…1, and how often a person changed the track."""
    truth, found, alike = [], [], []
    for frame, numbers in zip(sequence["frames"], tracks, strict=True):
        known = np.array(numbers, int) >= 0
        boxes = np.array(frame["boxes"], float).reshape(-1, 4)[known]
        truth.append(np.array(frame["persons"], int))
        found.append(np.array(numbers, int)[known])
        alike.append(box_iou(np.array(frame["truth"], float).reshape(-1, 4), boxes, box_format="xyxy"))
    truth, found = dense(truth), dense(found)
    clear = compute_clear_metrics(truth, found, alike)
    return {
        "HOTA": float(compute_hota_metrics(truth, found, alike)["HOTA"]),
        "MOTA": float(clear["MOTA"]),
        "IDF1": float(compute_identity_metrics(truth, found, alike)["IDF1"]),
        "switches": int(clear["IDSW"]),
    }


def dense(ids: list[Any]) -> list[Any]:
    """The same ids, numbered from 0."""
    places = {number: place for place, number in enumerate(sorted({int(each) for row in ids for each in row}))}
    return [np.array([places[int(each)] for each in row], int) for row in ids]


def main() -> None:
    given = json.load(sys.stdin)
    answer = {
        sequence["name"]: {
            "ours": measured(sequence, sequence["tracks"]),
            "trackers": measured(sequence, followed(sequence, given["settings"])),
        }
        for sequence in given["sequences"]
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
