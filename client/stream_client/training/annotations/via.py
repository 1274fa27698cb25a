"""VGG Image Annotator 3: temporal segments of videos, in seconds.

Source: https://gitlab.com/vgg/via/-/blob/master/via-3.x.y/CodeDoc.md (``z`` are the times of a segment, ``av`` its
values by attribute, ``view`` names the files that ``vid`` shows).
"""

from collections.abc import Mapping
from typing import Any

from stream_client.training.annotations.places import place
from stream_client.training.annotations.values import Annotation, Labels


def read(content: Any) -> list[Annotation] | None:
    """The segments of each file; ``None`` where the content is of another format."""
    if not isinstance(content, dict) or not {"metadata", "file", "view", "attribute"} <= content.keys():
        return None
    found = {key: Labels(_name(file)) for key, file in content["file"].items()}
    for item in content["metadata"].values():
        times = item["z"]
        if len(times) < 2:
            continue  # a region of one frame
        view = content["view"].get(str(item["vid"]), {}).get("fid_list")
        labels = found.get(str(view[0])) if view else None
        if labels is None:
            # No file can be named, so the first one bears the note.
            next(iter(found.values()), Labels("")).wrong(place(item), f"there is no file of the view {item['vid']!r}")
            continue
        for attribute, value in item["av"].items():
            if attribute in content["attribute"]:  # it may have been deleted since
                options = content["attribute"][attribute].get("options", {})
                for label in _labels(str(value), options):
                    if label.isdecimal() and options and label not in options.values():
                        labels.wrong(place(item), f"its attribute has no option {label!r}")
                    else:
                        labels.seconds(times[0], times[1], label, place(item))
    return [labels.annotation() for labels in found.values()]


def _labels(value: str, options: Mapping[str, str]) -> list[str]:
    """A choice is stored by its number, several choices with commas between them, none as an empty text."""
    numbers = value.split(",")
    if any(number in options for number in numbers):
        return [str(options.get(number, number)) for number in numbers]
    return [value] if value.strip() else []


def _name(file: Mapping[str, Any]) -> str:
    source = str(file.get("src") or "")
    return str(file["fname"]) if not source or source.startswith(("blob:", "data:")) else source
