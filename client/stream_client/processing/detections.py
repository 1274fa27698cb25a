"""The detections, drawn on the image."""

from collections.abc import Mapping

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from stream_client.fonts import font_for
from stream_client.frames import Detections, Image, Label
from stream_client.tracking.masks import on_frame

_SURE = 0.3
"""The least score of a key point that is drawn."""
_COVER = np.uint8(110)
"""How much of a thing its color covers, of 255."""
_COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
"""Okabe and Ito's, which color-blind people tell apart."""


def draw_detections(image: Image, detections: Detections, labels: Mapping[int, Label | None] | None = None) -> Image:
    """A copy of ``image`` with a box around each detection, its mask, and its track or class and score above it.

    A track keeps its color; without tracks, a class does. ``labels`` of tracks stand in place of class and score.
    """
    if not len(detections):
        return image
    height, width = image.shape[:2]
    line = max(1, round(max(height, width) / 400))
    dot = 2 * line
    size = max(10, height // 40)
    drawn = PillowImage.fromarray(image)
    pen = ImageDraw.Draw(drawn)
    boxes = detections.boxes.tolist()
    tracks = [-1] * len(boxes) if detections.track_ids is None else detections.track_ids.tolist()
    kinds = detections.class_ids.tolist()
    colors = [
        _COLORS[(track if track >= 0 else kind) % len(_COLORS)] for track, kind in zip(tracks, kinds, strict=True)
    ]
    if detections.masks is not None:
        for index, box in enumerate(boxes):
            x, y, mask = on_frame(detections.masks, index, tuple(box))
            drawn.paste(colors[index], (x, y), PillowImage.fromarray(mask * _COVER))
    for index, (left, top, right, bottom) in enumerate(boxes):
        track, color = tracks[index], colors[index]
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=color, width=line)
        label = None if labels is None else labels.get(track)
        name, score = detections.name(index), float(detections.scores[index])
        if label is not None:
            name, score = label.name, label.score
        above = (left, max(0.0, top - 1.3 * size))
        text = f"{'' if track < 0 else f'#{track} '}{name} {round(100 * score)} %"
        font = font_for(text, size)
        pen.rectangle((*above, above[0] + font.getlength(text) + size / 2, above[1] + 1.3 * size), fill=color)
        pen.text((above[0] + size / 4, above[1]), text, fill=(0, 0, 0), font=font)
        if detections.keypoints is not None:
            for x, y, score in detections.keypoints[index].tolist():
                if score > _SURE:
                    pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=color)
    return np.asarray(drawn)
