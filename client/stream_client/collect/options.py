"""What is collected, as a value."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream_client.errors import ConfigurationError
from stream_client.util.settings import check, setting

DataFormat = Literal["coco", "yolo", "label_studio"]


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """Frames that are kept for training, in a folder. Without ``collect`` none are."""

    collect: Path | None = field(
        default=None, metadata=setting("keep frames for training in this folder (see docs)", metavar="DIR")
    )
    collect_by: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            "which frames: uncertain[:LOW-HIGH], rare[:SHARE], disagree:DIR, random[:SHARE], motion[:AMOUNT], "
            "pose[:DISTANCE] (default: uncertain)"
        ),
    )
    collect_format: DataFormat = field(default="coco", metadata=setting("format of the annotations"))
    collect_per_minute: int = field(
        default=10, metadata=setting("frames kept in a minute of the stream at most", minimum=1)
    )
    collect_per_day: int = field(
        default=1000, metadata=setting("frames kept in a day of the stream at most", minimum=1)
    )

    def __post_init__(self) -> None:
        check(self)
        if self.collect is None and self.collect_by:
            raise ConfigurationError("frames are kept in a folder: name it", option="collect")
