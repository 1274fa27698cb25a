"""VGG Image Annotator 3: temporal segments of videos, in seconds.

Source: https://gitlab.com/vgg/via/-/blob/master/via-3.x.y/CodeDoc.md (``z`` are the times of a segment, ``av`` its
values by attribute, ``view`` names the files that ``vid`` shows).
"""

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
        for attribute, value in item["av"].items():
            # A choice is stored by its number.
            label = content["attribute"][attribute].get("options", {}).get(value, value)
            found[file].append(Span(float(item["z"][0]), float(item["z"][1]), str(label)))
    return [
        Annotation(str(content["file"][key].get("src") or content["file"][key]["fname"]), tuple(spans))
        for key, spans in found.items()
    ]
