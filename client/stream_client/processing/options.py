"""What is hidden on frames, as a value."""

from dataclasses import dataclass, field
from typing import Literal

from stream_client.util.settings import check, setting

Hidden = Literal["faces", "persons", "background"]
Style = Literal["pixelate", "solid"]


@dataclass(frozen=True, slots=True)
class PrivacyOptions:
    """``blur``: what is hidden on every frame before an output sees it, found by landmarks, detections or both."""

    blur: Hidden | None = field(
        default=None, metadata=setting("hide this on every frame, before any output sees it", otherwise="nothing")
    )
    blur_style: Style = field(
        default="pixelate", metadata=setting("how it is hidden: coarse squares (a face is one), or gray")
    )

    def __post_init__(self) -> None:
        check(self)
