"""VGG Image Annotator 3: temporal segments of videos, in seconds.

Source: https://gitlab.com/vgg/via/-/blob/master/via-3.x.y/CodeDoc.md (``z`` are the times of a segment, ``av`` its
values by attribute, ``view`` names the files that ``vid`` shows).
"""

from collections.abc import Mapping
from typing import Any

from stream_client.training.annotations.values import Annotation
from stream_client.training.clips import Span


def read(content: Any) -> list[Annotation] | None:
    """The segments of each file; ``None`` where the content is of another format."""
    if not isinstance(content, dict) or not {"metadata", "file", "view", "attribute"} <= content.keys():
        return None
    found: dict[str, list[Span]] = {key: [] for key in content["file"]}
    for item in content["metadata"].values():
        if len(item["z"]) < 2:
            continue  # a region of one frame
        file = str(content["view"][item["vid"]]["fid_list"][0])
        start, end = float(item["z"][0]), float(item["z"][1])
        for attribute, value in item["av"].items():
            if attribute in content["attribute"]:  # it may have been deleted since
                options = content["attribute"][attribute].get("options", {})
                found[file] += [Span(start, end, label) for label in _labels(str(value), options)]
    return [Annotation(_name(content["file"][key]), tuple(spans)) for key, spans in found.items()]


def _labels(value: str, options: Mapping[str, str]) -> list[str]:
    """A choice is stored by its number, several choices with commas between them, none as an empty text."""
    numbers = value.split(",")
    if set(numbers) <= options.keys():
        return [str(options[number]) for number in numbers]
    return [value] if value.strip() else []


def _name(file: Mapping[str, Any]) -> str:
    source = str(file.get("src") or "")
    return str(file["fname"]) if not source or source.startswith(("blob:", "data:")) else source
