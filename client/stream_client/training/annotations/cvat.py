"""CVAT's XML 1.1: tracks of a video and tags of its frames, in frames; tags of images.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element

from stream_client.training.annotations.places import place
from stream_client.training.annotations.values import Annotation, Labels


def read(root: Element) -> list[Annotation]:
    """The labels of each video and image."""
    sources = _sources(root)
    only = next(iter(sources.values()), "")
    declared = {(label.text or "").strip() for label in root.iterfind("meta//labels/label/name")}
    images: list[Labels] = []
    videos: dict[str, Labels] = {}

    def video(source: str) -> Labels:
        return videos.setdefault(source, Labels(source))

    for track in root.iter("track"):
        _track(track, video(sources.get(track.get("task_id", ""), only)), declared)
    tagged: dict[str, list[tuple[int, str, str]]] = {}
    for image in root.iter("image"):
        name, tags = image.get("name", ""), list(image.iter("tag"))
        source = sources.get(image.get("task_id", ""), only)
        of_video = re.fullmatch(r"frame_\d+(\.\w+)?", name.rpartition("/")[2], re.IGNORECASE) and source
        labels = video(source) if of_video else Labels(name)
        number = image.get("id", "")
        for tag in tags:
            label = tag.get("label", "")
            if _is_declared(label, declared, labels, place(tag)):
                if not of_video:
                    labels.whole(label, place(tag))
                elif number.isdecimal():
                    tagged.setdefault(source, []).append((int(number), label, place(tag)))
                else:
                    labels.wrong(place(image), f"the image has the id {number!r}, which is no frame")
        if tags and not of_video:
            images.append(labels)
    for source, found in tagged.items():
        _runs(found, video(source))
    return [labels.annotation() for labels in (*images, *videos.values())]


def _is_declared(label: str, declared: set[str], labels: Labels, where: str) -> bool:
    """Whether the task knows the label. A file without a list of labels knows all."""
    if not declared or not label or label in declared:
        return True
    labels.wrong(where, f"{label!r} is none of the labels of its task: {', '.join(sorted(declared))}")
    return False


def _sources(root: Element) -> dict[str, str]:
    """The file of each task, by the task's number. An export of a project has several tasks."""
    meta = root.find("meta")
    if meta is None:
        return {}
    tasks = {task.findtext("id") or "": task.findtext("source") or "" for task in meta.iter("task")}
    return tasks if any(tasks.values()) else {"": meta.findtext(".//source") or ""}


def _track(track: Element, labels: Labels, declared: set[str]) -> None:
    """The times for which a track is in view: up to a shape that is outside, or up to its last shape."""
    label, where = track.get("label", ""), place(track)
    if not _is_declared(label, declared, labels, where):
        return
    shapes = []
    for shape in track:
        frame = shape.get("frame", "0")
        if frame.isdecimal():
            shapes.append((int(frame), shape.get("outside") == "1"))
        else:
            labels.wrong(place(shape), f"{label!r} has a shape in the frame {frame!r}, which is no number")
            return
    start = last = None
    for number, outside in sorted(shapes):
        if not outside:
            start, last = (number if start is None else start), number
        elif start is not None:
            labels.frames(start, number - 1, label, where)
            start = None
    if start is not None:
        labels.frames(start, last, label, where)


def _runs(tagged: Sequence[tuple[int, str, str]], labels: Labels) -> None:
    """Frames in a row with the same tag."""
    places: dict[str, dict[int, str]] = {}
    for frame, label, where in tagged:
        places.setdefault(label, {}).setdefault(frame, where)
    for label, of_label in sorted(places.items()):
        frames = sorted(of_label)
        first = frames[0]
        for frame, following in pairwise([*frames, frames[-1] + 2]):
            if following != frame + 1:
                labels.frames(first, frame, label, of_label[first])
                first = following
