"""StreamPoseML's annotation tool: ``annotations`` with ``startTime`` and ``endTime`` in seconds."""

from typing import Any

from stream_client.training.annotations.places import place
from stream_client.training.annotations.values import Annotation, Labels


def read(content: Any) -> list[Annotation] | None:
    """The labels of the one video of a file; ``None`` where the content is of another format."""
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        return None
    items = content["annotations"]
    if not all(isinstance(item, dict) for item in items) or not any("metadata" in item for item in items):
        return None if items else [Annotation(str(content.get("name", "")))]
    labels = Labels(str(content.get("name", "")))
    for item in items:
        system = item.get("metadata")
        system = system.get("system") if isinstance(system, dict) else None
        times = system if isinstance(system, dict) else {}
        labels.seconds(times.get("startTime"), times.get("endTime"), item.get("label"), place(item))
    return [labels.annotation()]
