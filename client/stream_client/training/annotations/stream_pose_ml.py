"""StreamPoseML's annotation tool: ``annotations`` with ``startTime`` and ``endTime`` in seconds."""

from typing import Any

from stream_client.training.annotations.values import Annotation
from stream_client.training.clips import Span


def read(content: Any) -> list[Annotation] | None:
    """The labels of the one video of a file; ``None`` where the content is of another format."""
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        return None
    if not all("label" in item and "metadata" in item for item in content["annotations"]):
        return None
    times = [(item["label"], item["metadata"]["system"]) for item in content["annotations"]]
    spans = tuple(Span(float(time["startTime"]), float(time["endTime"]), str(label)) for label, time in times)
    return [Annotation(str(content.get("name", "")), spans)]
